// SPDX-License-Identifier: MIT
//! Memory for tables, as much for each side. Physical addresses are pointers.
use std::alloc::{Layout, alloc};
use std::cell::RefCell;

pub const FRAME: usize = 4096;
const FRAMES: usize = 1 << 13;

struct Frames {
    fresh: usize,
    end: usize,
    returned: Vec<usize>,
    used: usize,
    /// How many may still be taken before memory "runs out".
    left: usize,
}

#[derive(Clone, Copy)]
pub enum Side {
    Ours,
    Theirs,
}

thread_local! {
    static SIDES: [RefCell<Frames>; 2] = [RefCell::new(Frames::new()), RefCell::new(Frames::new())];
}

impl Frames {
    fn new() -> Self {
        let memory = unsafe { alloc(Layout::from_size_align(FRAMES * FRAME, FRAME).unwrap()) } as usize;
        assert!(memory != 0);
        Self { fresh: memory, end: memory + FRAMES * FRAME, returned: Vec::new(), used: 0, left: usize::MAX }
    }
}

fn with<T>(side: Side, f: impl FnOnce(&mut Frames) -> T) -> T {
    SIDES.with(|sides| f(&mut sides[side as usize].borrow_mut()))
}

pub fn take(side: Side) -> Option<usize> {
    with(side, |frames| {
        if frames.left == 0 {
            return None;
        }
        let frame = frames.returned.pop().unwrap_or_else(|| {
            assert!(frames.fresh < frames.end, "the tests need more frames");
            frames.fresh += FRAME;
            frames.fresh - FRAME
        });
        // What is in a fresh frame is nobody's business.
        unsafe { std::ptr::write_bytes(frame as *mut u8, 0xa5, FRAME) };
        frames.left -= 1;
        frames.used += 1;
        Some(frame)
    })
}

pub fn give_back(side: Side, frame: usize) {
    with(side, |frames| {
        unsafe { std::ptr::write_bytes(frame as *mut u8, 0x5a, FRAME) };
        frames.returned.push(frame);
        frames.used -= 1;
    });
}

pub fn used(side: Side) -> usize {
    with(side, |frames| frames.used)
}

/// Both sides can take this many more.
pub fn limit(count: usize) {
    with(Side::Ours, |frames| frames.left = count);
    with(Side::Theirs, |frames| frames.left = count);
}
