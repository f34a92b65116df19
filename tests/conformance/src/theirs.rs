// SPDX-License-Identifier: MIT
//! The crate page_table_multiarch, on the host: nothing to flush.
use crate::frames::{self, Side};
use crate::ours::{Mapping, Status};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{
    GenericPTE, MappingFlags, PageSize, PageTable64, PageTable64Cursor, PagingError, PagingHandler, PagingMetaData,
};
use std::cell::RefCell;

struct MetaData;

impl PagingMetaData for MetaData {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {}
}

struct Handler;

impl PagingHandler for Handler {
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        assert!(count == 1);
        frames::take(Side::Theirs).map(PhysAddr::from)
    }

    fn dealloc_frames(paddr: PhysAddr, count: usize) {
        assert!(count == 1);
        frames::give_back(Side::Theirs, paddr.as_usize());
    }

    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        VirtAddr::from(paddr.as_usize())
    }
}

pub struct Theirs(PageTable64<MetaData, X64PTE, Handler>);

impl Theirs {
    pub fn new() -> Self {
        Self(PageTable64::try_new().unwrap())
    }

    pub fn root(&self) -> usize {
        self.0.root_paddr().as_usize()
    }

    fn cursor(&mut self) -> PageTable64Cursor<'_, MetaData, X64PTE, Handler> {
        self.0.cursor()
    }

    pub fn map(&mut self, vaddr: u64, paddr: u64, page_size: u64, flags: u32) -> Result<(), Status> {
        let size = match page_size {
            0x1000 => PageSize::Size4K,
            0x20_0000 => PageSize::Size2M,
            _ => PageSize::Size1G,
        };
        self.cursor().map(virt(vaddr), phys(paddr), size, rights(flags)).map_err(status)
    }

    pub fn unmap(&mut self, vaddr: u64) -> Result<Mapping, Status> {
        self.cursor().unmap(virt(vaddr)).map(mapping).map_err(status)
    }

    pub fn protect(&mut self, vaddr: u64, flags: u32) -> Result<u64, Status> {
        self.cursor().protect(virt(vaddr), rights(flags)).map(|size| size as u64).map_err(status)
    }

    pub fn remap(&mut self, vaddr: u64, paddr: u64, flags: u32) -> Result<u64, Status> {
        self.cursor().remap(virt(vaddr), phys(paddr), rights(flags)).map(|size| size as u64).map_err(status)
    }

    pub fn query(&self, vaddr: u64) -> Result<Mapping, Status> {
        self.0.query(virt(vaddr)).map(mapping).map_err(status)
    }

    pub fn map_region(&mut self, vaddr: u64, paddr: u64, size: u64, flags: u32, huge: bool) -> Result<(), Status> {
        let frame = |at: VirtAddr| phys(paddr.wrapping_add((at.as_usize() as u64).wrapping_sub(vaddr)));
        self.cursor().map_region(virt(vaddr), frame, size as usize, rights(flags), huge).map_err(status)
    }

    pub fn unmap_region(&mut self, vaddr: u64, size: u64) -> Result<(), Status> {
        self.cursor().unmap_region(virt(vaddr), size as usize).map_err(status)
    }

    pub fn protect_region(&mut self, vaddr: u64, size: u64, flags: u32) -> Result<(), Status> {
        self.cursor().protect_region(virt(vaddr), size as usize, rights(flags)).map_err(status)
    }

    /// Level, index, address and entry of each visit.
    pub fn walk(&self, limit: usize) -> Vec<(u32, u32, u64, u64)> {
        let list = RefCell::new(Vec::new());
        let visit = |level: usize, index: usize, vaddr: VirtAddr, entry: &X64PTE| {
            list.borrow_mut().push((level as u32, index as u32, vaddr.as_usize() as u64, entry.bits() as u64));
        };
        self.0.walk(limit, Some(&visit), None);
        list.into_inner()
    }
}

fn virt(vaddr: u64) -> VirtAddr {
    VirtAddr::from(vaddr as usize)
}

fn phys(paddr: u64) -> PhysAddr {
    PhysAddr::from(paddr as usize)
}

fn rights(flags: u32) -> MappingFlags {
    MappingFlags::from_bits(flags as usize).expect("a flag that the crate has")
}

fn mapping((paddr, flags, size): (PhysAddr, MappingFlags, PageSize)) -> Mapping {
    Mapping { paddr: paddr.as_usize() as u64, page_size: size as u64, flags: flags.bits() as u32 }
}

fn status(error: PagingError) -> Status {
    match error {
        PagingError::NoMemory => Status::NoMemory,
        PagingError::NotAligned => Status::NotAligned,
        PagingError::NotMapped => Status::NotMapped,
        PagingError::AlreadyMapped => Status::AlreadyMapped,
        PagingError::MappedToHugePage => Status::MappedToHugePage,
    }
}
