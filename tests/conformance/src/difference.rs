// SPDX-License-Identifier: MIT
//! Where the library differs from the crate on purpose: the reasons, and a test that shows each.
use crate::lockstep::Pair;
use crate::ours::Status;
use crate::raw;
use std::panic::{AssertUnwindSafe, catch_unwind};

macro_rules! differences {
    ($($name:ident, $at_random:literal, $reason:literal, $test:ident;)*) => {
        #[derive(Clone, Copy, Debug)]
        pub enum Difference { $($name,)* }

        impl Difference {
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            pub const COUNT: usize = Self::ALL.len();

            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }

            /// The steps meet it, too; else they keep out of its way.
            pub fn is_met_at_random(self) -> bool {
                match self { $(Self::$name => $at_random,)* }
            }
        }

        pub const TESTS: &[(&str, fn())] = &[$((concat!(stringify!($name), ": ", $reason), $test),)*];
    };
}

differences! {
    NoAccess, true, "a page without rights stays a page: reported, protected back, its address inverted against L1TF",
        no_access;
    OnlyUser, false, "USER, DEVICE or UNCACHED without a right gives none", only_user;
    Uncached, false, "UNCACHED is UC-, which write-combining MTRRs may relax; UC is for devices", uncached;
    Device, true, "DEVICE is reported as such, not as UNCACHED", device;
    Alignment, true, "what is not aligned is refused, not rounded down, and never gets into an entry", alignment;
    Address, true, "addresses that are not canonical or too wide are refused, not cut off", address;
    FrameZero, false, "frame 0 is an ordinary frame: a huge page there is still a huge page", frame_zero;
    RemapMaps, true, "remap changes what is mapped, and maps nothing", remap_maps;
    EmptyTable, true, "a table with nothing in it gives way to a huge page", empty_table;
    Tables, true, "no empty tables are left by unmap_region, nor by a call that failed", tables;
    NotAtomic, true, "a region call that fails has changed nothing", not_atomic;
    LooksFirst, true, "what is mapped already is told before memory is asked for", looks_first;
    Split, true, "a huge page that a region covers in part is split; the crate panics after having changed it", split;
    Holes, true, "unmap_region and protect_region treat holes alike: refused, or skipped if so asked", holes;
    NoBytes, true, "a region of no bytes is done, wherever it begins", no_bytes;
    Recorded, false, "accessed and dirty survive protect", recorded;
}

const PAGE: u64 = 0x40_0000_0000;
const FRAME: u64 = 0x1_4000_0000;
const K4: u64 = 1 << 12;
const M2: u64 = 1 << 21;
const G1: u64 = 1 << 30;
const READ: u32 = 1;
const WRITE: u32 = 2;
const USER: u32 = 8;
const DEVICE: u32 = 16;
const UNCACHED: u32 = 32;

/// The same page in both.
fn with_page(size: u64, flags: u32) -> Pair {
    let mut pair = Pair::new();
    pair.ours.map(PAGE, FRAME, size, flags).unwrap();
    pair.theirs.map(PAGE, FRAME, size, flags).unwrap();
    pair
}

fn entries(pair: &Pair) -> (u64, u64) {
    (raw::leaf(pair.ours.root(), PAGE), raw::leaf(pair.theirs.root(), PAGE))
}

fn panics(f: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let panicked = catch_unwind(AssertUnwindSafe(f)).is_err();
    std::panic::set_hook(hook);
    panicked
}

fn no_access() {
    let mut pair = with_page(K4, 0);
    let (ours, theirs) = entries(&pair);
    assert_eq!(theirs, FRAME);
    assert_eq!(ours & 1, 0);
    assert_eq!(!ours & 0x000f_ffff_ffff_f000, FRAME);
    assert!(pair.ours.query(PAGE).is_ok_and(|page| page.paddr == FRAME && page.flags == 0));
    assert_eq!(pair.theirs.query(PAGE), Err(Status::NotMapped));
    assert_eq!(pair.theirs.map(PAGE, FRAME, K4, READ), Err(Status::AlreadyMapped));
    assert_eq!(pair.ours.protect(PAGE, READ), Ok(K4));
    assert_eq!(pair.theirs.protect(PAGE, READ), Err(Status::NotMapped));
}

fn only_user() {
    for flags in [USER, DEVICE, UNCACHED] {
        let (ours, theirs) = entries(&with_page(K4, flags));
        assert_eq!((ours & 1, theirs & 1), (0, 1));
    }
}

fn uncached() {
    let (ours, theirs) = entries(&with_page(M2, READ | UNCACHED));
    assert_eq!((ours >> 3 & 3, theirs >> 3 & 3), (2, 3));
    assert_eq!(ours | 1 << 3, theirs);
    let (ours, theirs) = entries(&with_page(M2, READ | DEVICE));
    assert_eq!(ours, theirs);
}

fn device() {
    let pair = with_page(K4, READ | DEVICE);
    assert!(pair.ours.query(PAGE).is_ok_and(|page| page.flags == READ | DEVICE));
    assert!(pair.theirs.query(PAGE).is_ok_and(|page| page.flags == READ | UNCACHED));
}

fn alignment() {
    let mut pair = with_page(M2, READ);
    assert_eq!(pair.ours.map(PAGE + G1 + 8, FRAME, K4, READ), Err(Status::NotAligned));
    assert_eq!(pair.theirs.map(PAGE + G1 + 8, FRAME, K4, READ), Ok(()));
    assert_eq!(pair.ours.map(PAGE + G1 + M2, FRAME + K4, M2, READ), Err(Status::NotAligned));
    assert_eq!(pair.theirs.map(PAGE + G1 + M2, FRAME + K4, M2, READ), Ok(()));
    // Bits 20:13 of a 2M page are reserved, and bit 12 is PAT: this one would fault.
    assert_eq!(pair.ours.remap(PAGE, FRAME + 3 * K4, READ), Err(Status::NotAligned));
    assert_eq!(pair.theirs.remap(PAGE, FRAME + 3 * K4, READ), Ok(M2));
    assert_eq!(entries(&pair).1 & 0x1f_f000, 3 * K4);
}

fn address() {
    let mut pair = with_page(K4, READ);
    assert_eq!(pair.ours.query(PAGE | 1 << 48), Err(Status::BadAddress));
    assert!(pair.theirs.query(PAGE | 1 << 48).is_ok());
    assert_eq!(pair.ours.map(PAGE + K4, 1 << 52, K4, READ), Err(Status::BadAddress));
    assert_eq!(pair.theirs.map(PAGE + K4, 1 << 52, K4, READ), Ok(()));
    assert!(pair.theirs.query(PAGE + K4).is_ok_and(|page| page.paddr == 0));
}

fn frame_zero() {
    let mut pair = Pair::new();
    pair.ours.map(PAGE, 0, M2, READ).unwrap();
    pair.theirs.map(PAGE, 0, M2, READ).unwrap();
    assert_eq!(pair.ours.map(PAGE, FRAME, K4, READ), Err(Status::MappedToHugePage));
    assert_eq!(pair.theirs.map(PAGE, FRAME, K4, READ), Err(Status::NotMapped));
}

fn remap_maps() {
    let mut pair = with_page(K4, READ);
    assert_eq!(pair.ours.remap(PAGE + K4, FRAME, READ), Err(Status::NotMapped));
    assert_eq!(pair.theirs.remap(PAGE + K4, FRAME, READ), Ok(K4));
    assert!(pair.theirs.query(PAGE + K4).is_ok());
}

fn empty_table() {
    let mut pair = with_page(K4, READ);
    pair.ours.unmap(PAGE).unwrap();
    pair.theirs.unmap(PAGE).unwrap();
    assert_eq!(pair.ours.map(PAGE, FRAME, M2, READ), Ok(()));
    assert_eq!(pair.theirs.map(PAGE, FRAME, M2, READ), Err(Status::AlreadyMapped));
}

fn tables() {
    let mut pair = with_page(K4, READ);
    pair.ours.unmap_region(PAGE, K4, false).unwrap();
    pair.theirs.unmap_region(PAGE, K4).unwrap();
    assert!(!raw::has_empty_tables(pair.ours.root(), 0, u64::MAX));
    assert!(raw::has_empty_tables(pair.theirs.root(), 0, u64::MAX));
    // One frame for three tables.
    crate::frames::limit(1);
    assert_eq!(pair.ours.map(0, FRAME, K4, READ), Err(Status::NoMemory));
    assert_eq!(pair.theirs.map(0, FRAME, K4, READ), Err(Status::NoMemory));
    crate::frames::limit(usize::MAX);
    assert!(!raw::has_empty_tables(pair.ours.root(), 0, u64::MAX));
    assert!(raw::has_empty_tables(pair.theirs.root(), 0, K4));
}

fn not_atomic() {
    let mut pair = with_page(K4, READ);
    assert_eq!(pair.ours.map_region(PAGE - K4, FRAME, 2 * K4, READ, false), Err(Status::AlreadyMapped));
    assert_eq!(pair.theirs.map_region(PAGE - K4, FRAME, 2 * K4, READ, false), Err(Status::AlreadyMapped));
    assert_eq!(pair.ours.query(PAGE - K4), Err(Status::NotMapped));
    assert!(pair.theirs.query(PAGE - K4).is_ok());
    assert_eq!(pair.ours.unmap_region(PAGE, 2 * K4, false), Err(Status::NotMapped));
    assert_eq!(pair.theirs.unmap_region(PAGE, 2 * K4), Err(Status::NotMapped));
    assert!(pair.ours.query(PAGE).is_ok());
    assert_eq!(pair.theirs.query(PAGE), Err(Status::NotMapped));
}

fn looks_first() {
    let mut pair = with_page(K4, READ);
    crate::frames::limit(0);
    assert_eq!(pair.ours.map_region(PAGE - K4, FRAME, 2 * K4, READ, false), Err(Status::AlreadyMapped));
    assert_eq!(pair.theirs.map_region(PAGE - K4, FRAME, 2 * K4, READ, false), Err(Status::NoMemory));
    crate::frames::limit(usize::MAX);
}

fn split() {
    let mut pair = with_page(M2, READ);
    assert_eq!(pair.ours.unmap_region(PAGE, K4, false), Ok(()));
    assert_eq!(pair.ours.query(PAGE), Err(Status::NotMapped));
    assert!(pair.ours.query(PAGE + K4).is_ok_and(|page| page.paddr == FRAME + K4 && page.page_size == K4));
    assert!(panics(|| pair.theirs.unmap_region(PAGE, K4).unwrap_or(())));
    assert_eq!(pair.theirs.query(PAGE + K4), Err(Status::NotMapped));

    let mut pair = with_page(M2, READ);
    assert_eq!(pair.ours.protect_region(PAGE + K4, K4, READ | WRITE, false), Ok(()));
    assert!(pair.ours.query(PAGE).is_ok_and(|page| page.flags == READ));
    assert!(panics(|| pair.theirs.protect_region(PAGE + K4, K4, READ | WRITE).unwrap_or(())));
    assert!(pair.theirs.query(PAGE).is_ok_and(|page| page.flags == READ | WRITE));
}

fn holes() {
    let mut pair = with_page(K4, READ);
    assert_eq!(pair.ours.protect_region(PAGE, 2 * K4, READ, false), Err(Status::NotMapped));
    assert_eq!(pair.ours.protect_region(PAGE, 2 * K4, READ, true), Ok(()));
    assert_eq!(pair.theirs.protect_region(PAGE, 2 * K4, READ), Ok(()));
    assert_eq!(pair.ours.unmap_region(PAGE, 2 * K4, true), Ok(()));
    assert_eq!(pair.theirs.unmap_region(PAGE, 2 * K4), Err(Status::NotMapped));
}

fn no_bytes() {
    let mut pair = Pair::new();
    assert_eq!(pair.ours.map_region(PAGE + 8, FRAME, 0, READ, false), Ok(()));
    assert_eq!(pair.theirs.map_region(PAGE + 8, FRAME, 0, READ, false), Err(Status::NotAligned));
}

fn recorded() {
    let mut pair = with_page(K4, READ | WRITE);
    raw::record(pair.ours.root(), PAGE);
    raw::record(pair.theirs.root(), PAGE);
    pair.ours.protect(PAGE, READ | WRITE).unwrap();
    pair.theirs.protect(PAGE, READ | WRITE).unwrap();
    let (ours, theirs) = entries(&pair);
    assert_eq!((ours >> 5 & 3, theirs >> 5 & 3), (3, 0));
}
