// SPDX-License-Identifier: MIT
//! The tables as the MMU sees them: Intel SDM vol. 3A 4.5. Physical addresses are pointers.
use crate::frames::{self, FRAME, Side};

const PRESENT: u64 = 1 << 0;
const WRITABLE_USER: u64 = 3 << 1;
const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const PAGE_SIZE: u64 = 1 << 7;
const NO_ACCESS: u64 = 1 << 9; // ours; the CPU ignores it
const NO_EXECUTE: u64 = 1 << 63;
const SMALL_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const HUGE_ADDRESS: u64 = 0x000f_ffff_ffff_e000;

const LAST_LEVEL: usize = 3;
const VA_MASK: u64 = (1 << 48) - 1;

pub struct Page {
    pub vaddr: u64,
    pub size: u64,
    pub paddr: u64,
    pub present: bool,
}

pub fn level_size(level: usize) -> u64 {
    1 << (39 - 9 * level)
}

pub fn canonical(vaddr: u64) -> u64 {
    ((vaddr << 16) as i64 >> 16) as u64
}

fn entries<'a>(table: usize) -> &'a mut [u64; 512] {
    unsafe { &mut *(table as *mut [u64; 512]) }
}

fn is_table(entry: u64, level: usize) -> bool {
    level < LAST_LEVEL && entry & PRESENT != 0 && entry & PAGE_SIZE == 0
}

fn table_of(entry: u64) -> usize {
    (entry & SMALL_ADDRESS) as usize
}

fn index(vaddr: u64, level: usize) -> usize {
    (vaddr >> (39 - 9 * level)) as usize & 511
}

/// Call f for each entry of a table that begins at `base`, as far as it overlaps [first, last], all of 48 bits.
fn in_range(table: usize, level: usize, base: u64, first: u64, last: u64, mut f: impl FnMut(&mut u64, u64)) {
    let size = level_size(level);
    let from = if first > base { index(first, level) } else { 0 };
    let end = base + (size << 9) - 1;
    let to = if last < end { index(last, level) } else { 511 };
    for (i, entry) in entries(table).iter_mut().enumerate().take(to + 1).skip(from) {
        f(entry, base + i as u64 * size);
    }
}

/// The pages that overlap [first, last], in ascending order.
pub fn pages(root: usize, first: u64, last: u64) -> Vec<Page> {
    fn add(list: &mut Vec<Page>, table: usize, level: usize, base: u64, first: u64, last: u64) {
        in_range(table, level, base, first, last, |entry, at| {
            if is_table(*entry, level) {
                add(list, table_of(*entry), level + 1, at, first, last);
            } else if *entry != 0 {
                list.push(Page {
                    vaddr: canonical(at),
                    size: level_size(level),
                    paddr: *entry & SMALL_ADDRESS & !(level_size(level) - 1),
                    present: *entry & PRESENT != 0,
                });
            }
        });
    }
    let mut list = Vec::new();
    add(&mut list, root, 0, 0, first & VA_MASK, last & VA_MASK);
    list
}

fn is_empty(table: usize, level: usize) -> bool {
    entries(table).iter().all(|entry| *entry == 0 || is_table(*entry, level) && is_empty(table_of(*entry), level + 1))
}

/// Some table below the root that overlaps [first, last] maps nothing.
pub fn has_empty_tables(root: usize, first: u64, last: u64) -> bool {
    fn search(table: usize, level: usize, base: u64, first: u64, last: u64) -> bool {
        let mut found = false;
        in_range(table, level, base, first, last, |entry, at| {
            if is_table(*entry, level) {
                let next = table_of(*entry);
                found = found || is_empty(next, level + 1) || search(next, level + 1, at, first, last);
            }
        });
        found
    }
    search(root, 0, 0, first & VA_MASK, last & VA_MASK)
}

fn free(table: usize, level: usize) {
    for entry in entries(table).iter().filter(|entry| is_table(**entry, level)) {
        free(table_of(*entry), level + 1);
    }
    frames::give_back(Side::Theirs, table);
}

/// Take the empty tables that overlap [first, last] out of their tree.
pub fn prune(theirs: usize, first: u64, last: u64) {
    fn prune_in(table: usize, level: usize, base: u64, first: u64, last: u64) {
        in_range(table, level, base, first, last, |entry, at| {
            if is_table(*entry, level) && is_empty(table_of(*entry), level + 1) {
                free(table_of(*entry), level + 1);
                *entry = 0;
            } else if is_table(*entry, level) {
                prune_in(table_of(*entry), level + 1, at, first, last);
            }
        });
    }
    prune_in(theirs, 0, 0, first & VA_MASK, last & VA_MASK);
}

/// Give their tree the same empty tables as ours has: they decide nothing but what the next call allocates. Tells
/// whether any had to go. Whatever else is different stays, for `compare` to find.
pub fn match_empty_tables(ours: usize, theirs: usize, first: u64, last: u64) -> bool {
    fn walk(ours: usize, theirs: usize, level: usize, base: u64, first: u64, last: u64) -> bool {
        let mut removed = false;
        in_range(theirs, level, base, first, last, |their, at| {
            let our = entries(ours)[index(at, level)];
            let (our_table, their_table) = (is_table(our, level), is_table(*their, level));
            if their_table && our == 0 && is_empty(table_of(*their), level + 1) {
                free(table_of(*their), level + 1);
                *their = 0;
                removed = true;
            } else if our_table && *their == 0 && is_empty(table_of(our), level + 1) {
                let table = frames::take(Side::Theirs).unwrap();
                entries(table).fill(0);
                *their = table as u64 | WRITABLE_USER | PRESENT;
            }
            if our_table && is_table(*their, level) {
                removed |= walk(table_of(our), table_of(*their), level + 1, at, first, last);
            }
        });
        removed
    }
    walk(ours, theirs, 0, 0, first & VA_MASK, last & VA_MASK)
}

/// What ours must be where theirs is this; a table's address apart. The deliberate differences of encoding are here,
/// and nowhere else.
pub fn as_ours(their: u64, level: usize, vaddr: u64) -> u64 {
    if their == 0 {
        0
    } else if is_table(their, level) {
        their & !SMALL_ADDRESS
    } else if their & PRESENT == 0 {
        // Difference::NoAccess: marked as a page, not executable, and its address inverted against L1TF.
        let address = if level == LAST_LEVEL { SMALL_ADDRESS } else { HUGE_ADDRESS };
        (their ^ address) | NO_ACCESS | NO_EXECUTE
    } else if their & PCD != 0 && crate::is_uncached_half(vaddr) {
        // Difference::Uncached: UC- instead of UC.
        their & !PWT
    } else {
        their
    }
}

pub fn without_table_address(entry: u64, level: usize) -> u64 {
    if is_table(entry, level) { entry & !SMALL_ADDRESS } else { entry }
}

fn differ(our: u64, their: u64, level: usize, vaddr: u64) -> Option<String> {
    let want = as_ours(their, level, vaddr);
    (without_table_address(our, level) != want).then(|| {
        format!("level {level}, {:#x}: ours {our:#x}, theirs {their:#x}, expected of ours {want:#x}", canonical(vaddr))
    })
}

/// Every entry of every table.
pub fn compare(ours: usize, theirs: usize) -> Result<(), String> {
    fn compare_tables(ours: usize, theirs: usize, level: usize, base: u64) -> Result<(), String> {
        for (i, (our, their)) in entries(ours).iter().zip(entries(theirs).iter()).enumerate() {
            let at = base + i as u64 * level_size(level);
            if *our | *their == 0 {
                continue;
            }
            if let Some(difference) = differ(*our, *their, level, at) {
                return Err(difference);
            }
            if is_table(*our, level) {
                compare_tables(table_of(*our), table_of(*their), level + 1, at)?;
            }
        }
        Ok(())
    }
    compare_tables(ours, theirs, 0, 0)
}

/// The entries on the way to one address.
pub fn compare_path(mut ours: usize, mut theirs: usize, vaddr: u64) -> Result<(), String> {
    for level in 0..=LAST_LEVEL {
        let (our, their) = (entries(ours)[index(vaddr, level)], entries(theirs)[index(vaddr, level)]);
        if let Some(difference) = differ(our, their, level, vaddr & VA_MASK) {
            return Err(difference);
        }
        if !is_table(our, level) {
            break;
        }
        (ours, theirs) = (table_of(our), table_of(their));
    }
    Ok(())
}

/// The entry that translates vaddr, for those tests that look at one.
pub fn leaf(mut table: usize, vaddr: u64) -> u64 {
    let mut level = 0;
    loop {
        let entry = entries(table)[index(vaddr, level)];
        if !is_table(entry, level) {
            return entry;
        }
        (table, level) = (table_of(entry), level + 1);
    }
}

/// What the MMU does when it uses a page: accessed and dirty.
pub fn record(mut table: usize, vaddr: u64) {
    let mut level = 0;
    loop {
        let entry = &mut entries(table)[index(vaddr, level)];
        if !is_table(*entry, level) {
            *entry |= 1 << 5 | 1 << 6;
            return;
        }
        (table, level) = (table_of(*entry), level + 1);
    }
}

const _: () = assert!(FRAME == size_of::<[u64; 512]>());
