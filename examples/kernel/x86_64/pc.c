/* SPDX-License-Identifier: MIT */
/* The serial line of a PC, and how QEMU is told to exit: 32 and 64 bits. */
#include "machine.h"

#define SERIAL_DATA 0x3f8
#define SERIAL_STATUS 0x3fd
#define SERIAL_CAN_SEND 0x20
#define EXIT_PORT 0xf4 /* the emulator's status is value << 1 | 1 */
#define EXIT_PASSED 0x10u
#define EXIT_FAILED 0x01u

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void machine_put_char(char c)
{
    while ((in8(SERIAL_STATUS) & SERIAL_CAN_SEND) == 0)
        ;
    out8(SERIAL_DATA, (uint8_t)c);
}

_Noreturn void machine_exit(bool passed)
{
    __asm__ volatile("outl %0, %1" : : "a"(passed ? EXIT_PASSED : EXIT_FAILED), "Nd"((uint16_t)EXIT_PORT));
    for (;;)
        __asm__ volatile("cli; hlt");
}
