// SPDX-License-Identifier: MIT
//! What the hardware would translate: the judge of all peers. Physical addresses are pointers.
use crate::peer::Entries;
use crate::workload::Translation;

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Follow four levels of tables. `is_table`, `is_leaf` of an entry and its level; `is_writable` of a leaf.
fn walk(
    mut table: usize,
    vaddr: usize,
    is_table: fn(u64, usize) -> bool,
    is_leaf: fn(u64, usize) -> bool,
    is_writable: fn(u64) -> bool,
) -> Translation {
    for level in 0..4 {
        let shift = 39 - 9 * level;
        let entry = unsafe { *(table as *const u64).add(vaddr >> shift & 511) };
        if is_leaf(entry, level) {
            let offset = (1 << shift) - 1;
            return Some(((entry & ADDRESS) as usize & !offset | vaddr & offset, is_writable(entry)));
        }
        if !is_table(entry, level) {
            return None;
        }
        table = (entry & ADDRESS) as usize;
    }
    None
}

/// Intel SDM vol. 3A 4.5; rights of tables aside.
fn walk_x86(root: usize, vaddr: usize) -> Translation {
    let is_table = |entry, _| entry & 0x81 == 1;
    let is_leaf = |entry, level| entry & 1 != 0 && (level == 3 || entry & 0x80 != 0);
    walk(root, vaddr, is_table, is_leaf, |entry| entry & 2 != 0)
}

/// Arm ARM D8.3, 4K granule.
fn walk_aarch64(root: usize, vaddr: usize) -> Translation {
    let is_table = |entry, level| level < 3 && entry & 3 == 3;
    let is_leaf = |entry, level| if level == 3 { entry & 3 == 3 } else { level > 0 && entry & 3 == 1 };
    walk(root, vaddr, is_table, is_leaf, |entry| entry & 0x80 == 0)
}

/// Set Accessed and Dirty in what translates these pages, as the CPU does when they are written to.
pub fn write_to(root: usize, pages: &[usize]) {
    for vaddr in pages {
        let leaf_table = (0..3).fold(root, |table, level| {
            let entry = unsafe { *(table as *const u64).add(vaddr >> (39 - 9 * level) & 511) };
            (entry & ADDRESS) as usize
        });
        unsafe { *(leaf_table as *mut u64).add(vaddr >> 12 & 511) |= 0x60 };
    }
}

pub fn of(entries: Entries) -> fn(usize, usize) -> Translation {
    match entries {
        Entries::X86 => walk_x86,
        Entries::AArch64 => walk_aarch64,
    }
}
