/* SPDX-License-Identifier: MIT */
/* What the compiler calls; the run-time ABI for Arm (IHI 0043) has other names and another order. */
#include <stddef.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void __aeabi_memset(void *to, size_t size, int byte);
void __aeabi_memset4(void *to, size_t size, int byte);
void __aeabi_memset8(void *to, size_t size, int byte);
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memclr4(void *to, size_t size);
void __aeabi_memclr8(void *to, size_t size);
void __aeabi_memcpy(void *to, const void *from, size_t size);
void __aeabi_memcpy4(void *to, const void *from, size_t size);
void __aeabi_memcpy8(void *to, const void *from, size_t size);

void __aeabi_memset(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memset4(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memset8(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memclr(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memclr4(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memclr8(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memcpy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void __aeabi_memcpy4(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void __aeabi_memcpy8(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}
