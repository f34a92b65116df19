// SPDX-License-Identifier: MIT
//! What is measured of a page table, and those written in C (../peer.h).
use crate::arena::{self, Arena};
use std::ffi::{CStr, c_char, c_void};

/// An empty table when it is made, freed when it is dropped. Pages are of 4 KiB unless `huge`, readable and writable.
/// What the peer has no call for is `unreachable`: see `Peer::lacks`.
pub trait Table {
    fn root(&self) -> usize;
    fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool);
    fn unmap_region(&mut self, vaddr: usize, size: usize);
    /// To readable only.
    fn protect_region(&mut self, vaddr: usize, size: usize);
    /// The frames follow one another.
    fn map_pages(&mut self, pages: &[usize], first_frame: usize);
    fn unmap_pages(&mut self, pages: &[usize]);
    /// The sum of the translations.
    fn query(&self, addresses: &[usize]) -> u64;
}

#[derive(Clone, Copy, PartialEq)]
pub enum Entries {
    X86,
    AArch64,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Call {
    MapRegion,
    MapHuge,
    UnmapRegion,
    ProtectRegion,
    MapPages,
    UnmapPages,
    Query,
    Destroy,
    /// The CPU records in the entries that pages were written to.
    RecordsUse,
    /// Any region, not just the one that the limit's loops know.
    AnyRegion,
}

pub struct Peer {
    pub name: String,
    pub compiler: String,
    pub entries: Entries,
    pub create: Box<dyn Fn() -> Box<dyn Table>>,
    pub lacks: Vec<Call>,
    /// What to know when comparing.
    pub remark: &'static str,
}

/// struct peer of ../peer.h
#[repr(C)]
pub struct CPeer {
    name: *const c_char,
    compiler: *const c_char,
    create: extern "C" fn(*mut Arena) -> *mut c_void,
    destroy: extern "C" fn(*mut c_void),
    root: extern "C" fn(*const c_void) -> usize,
    map_region: extern "C" fn(*mut c_void, usize, usize, usize, bool),
    unmap_region: extern "C" fn(*mut c_void, usize, usize),
    protect_region: extern "C" fn(*mut c_void, usize, usize),
    map_pages: Option<extern "C" fn(*mut c_void, *const usize, usize, usize)>,
    unmap_pages: Option<extern "C" fn(*mut c_void, *const usize, usize)>,
    query: Option<extern "C" fn(*const c_void, *const usize, usize) -> u64>,
}

unsafe impl Sync for CPeer {}

mod linked {
    use super::CPeer;
    include!(concat!(env!("OUT_DIR"), "/c_peers.rs"));
}

struct CTable {
    peer: &'static CPeer,
    table: *mut c_void,
}

impl Table for CTable {
    fn root(&self) -> usize {
        (self.peer.root)(self.table)
    }
    fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool) {
        (self.peer.map_region)(self.table, vaddr, paddr, size, huge);
    }
    fn unmap_region(&mut self, vaddr: usize, size: usize) {
        (self.peer.unmap_region)(self.table, vaddr, size);
    }
    fn protect_region(&mut self, vaddr: usize, size: usize) {
        (self.peer.protect_region)(self.table, vaddr, size);
    }
    fn map_pages(&mut self, pages: &[usize], first_frame: usize) {
        self.peer.map_pages.unwrap()(self.table, pages.as_ptr(), pages.len(), first_frame);
    }
    fn unmap_pages(&mut self, pages: &[usize]) {
        self.peer.unmap_pages.unwrap()(self.table, pages.as_ptr(), pages.len());
    }
    fn query(&self, addresses: &[usize]) -> u64 {
        self.peer.query.unwrap()(self.table, addresses.as_ptr(), addresses.len())
    }
}

impl Drop for CTable {
    fn drop(&mut self) {
        (self.peer.destroy)(self.table);
    }
}

fn text(pointer: *const c_char) -> String {
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().trim().into()
}

pub fn in_c() -> Vec<Peer> {
    let make = |peer: &'static CPeer| {
        let limit = peer.query.is_none();
        Peer {
            name: text(peer.name),
            compiler: text(peer.compiler),
            entries: Entries::X86,
            create: Box::new(move || Box::new(CTable { peer, table: (peer.create)(arena::get()) })),
            lacks: match limit {
                true => {
                    vec![Call::MapHuge, Call::MapPages, Call::UnmapPages, Call::Query, Call::Destroy, Call::AnyRegion]
                }
                false => vec![],
            },
            remark: match text(peer.name).as_str() {
                "limit loop" => "plain loops over the leaf tables of W1, which are allocated and linked beforehand",
                "naive C" => "one descent for each page, nothing checked, no empty table freed",
                _ => "this library",
            },
        }
    };
    linked::all().into_iter().map(make).collect()
}
