// SPDX-License-Identifier: MIT
//! The memory of all tables: ../../arena.h. Every peer gets the same frames in the same order.

#[repr(C)]
pub struct Arena {
    pub memory: usize,
    pub frames: usize,
    pub fresh: usize,
    pub used: usize,
    pub returned: u64,
}

pub const FRAME: usize = 4096;
const NONE: u64 = u64::MAX;

unsafe extern "C" {
    fn arena_init(arena: *mut Arena, frames: usize);
    fn arena_reset(arena: *mut Arena);
}

static mut ARENA: Arena = Arena { memory: 0, frames: 0, fresh: 0, used: 0, returned: NONE };

pub fn get() -> *mut Arena {
    &raw mut ARENA
}

pub fn init(frames: usize) {
    unsafe { arena_init(get(), frames) }
}

pub fn reset() {
    unsafe { arena_reset(get()) }
}

pub fn used() -> usize {
    unsafe { (*get()).used }
}

/// As arena_alloc of ../../arena.c.
#[inline]
pub fn take() -> Option<usize> {
    let arena = unsafe { &mut *get() };
    if arena.used == arena.frames {
        return None;
    }
    arena.used += 1;
    if arena.returned == NONE {
        arena.fresh += 1;
        return Some(arena.memory + (arena.fresh - 1) * FRAME);
    }
    let frame = arena.returned as usize;
    arena.returned = unsafe { *(frame as *const u64) };
    Some(frame)
}

#[inline]
pub fn give_back(frame: usize) {
    let arena = unsafe { &mut *get() };
    unsafe { *(frame as *mut u64) = arena.returned };
    arena.returned = frame as u64;
    arena.used -= 1;
}
