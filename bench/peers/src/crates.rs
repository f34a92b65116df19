// SPDX-License-Identifier: MIT
//! Page tables from crates.io. Each call is what its documentation proposes, without TLB instructions.
use crate::arena::{self, FRAME};
use crate::peer::{Call, Entries, Peer, Table};
use std::hint::black_box; // an answer is wanted as a whole: address, size and rights

const K4: usize = 1 << 12;
const M2: usize = 1 << 21;
const G1: usize = 1 << 30;

fn zeroed_frame() -> usize {
    let frame = arena::take().expect("a larger arena");
    unsafe { std::ptr::write_bytes(frame as *mut u8, 0, FRAME) };
    frame
}

mod multiarch {
    use super::*;
    use memory_addr::{PhysAddr, VirtAddr};
    use page_table_entry::x86_64::X64PTE;
    use page_table_multiarch::{MappingFlags, PageSize, PageTable64, PagingHandler, PagingMetaData};

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
        fn alloc_frames(_: usize, _: usize) -> Option<PhysAddr> {
            arena::take().map(PhysAddr::from)
        }
        fn dealloc_frames(paddr: PhysAddr, _: usize) {
            arena::give_back(paddr.as_usize());
        }
        fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
            VirtAddr::from(paddr.as_usize())
        }
    }

    const READ: MappingFlags = MappingFlags::READ;
    const RIGHTS: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);

    struct Multiarch(PageTable64<MetaData, X64PTE, Handler>);

    impl Table for Multiarch {
        fn root(&self) -> usize {
            self.0.root_paddr().as_usize()
        }
        fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool) {
            let frame = |at: VirtAddr| PhysAddr::from(paddr + (at.as_usize() - vaddr));
            self.0.cursor().map_region(vaddr.into(), frame, size, RIGHTS, huge).unwrap();
        }
        fn unmap_region(&mut self, vaddr: usize, size: usize) {
            self.0.cursor().unmap_region(vaddr.into(), size).unwrap();
        }
        fn protect_region(&mut self, vaddr: usize, size: usize) {
            self.0.cursor().protect_region(vaddr.into(), size, READ).unwrap();
        }
        fn map_pages(&mut self, pages: &[usize], first_frame: usize) {
            let mut cursor = self.0.cursor();
            for (i, page) in pages.iter().enumerate() {
                let frame = PhysAddr::from(first_frame + i * K4);
                cursor.map((*page).into(), frame, PageSize::Size4K, RIGHTS).unwrap();
            }
        }
        fn unmap_pages(&mut self, pages: &[usize]) {
            let mut cursor = self.0.cursor();
            for page in pages {
                cursor.unmap((*page).into()).unwrap();
            }
        }
        fn query(&self, addresses: &[usize]) -> u64 {
            let query = |vaddr: &usize| black_box(self.0.query((*vaddr).into()).unwrap()).0.as_usize() as u64;
            addresses.iter().map(query).sum()
        }
    }

    pub fn create() -> Box<dyn Table> {
        Box::new(Multiarch(PageTable64::try_new().unwrap()))
    }
}

mod x86 {
    use super::*;
    use x86_64::structures::paging::mapper::{
        MapToError, MappedPageTable, OffsetPageTable, PageTableFrameMapping, TranslateResult,
    };
    use x86_64::structures::paging::{
        FrameAllocator, FrameDeallocator, Mapper, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size1GiB,
        Size2MiB, Size4KiB, Translate,
    };
    use x86_64::{PhysAddr, VirtAddr};

    struct Frames;

    unsafe impl FrameAllocator<Size4KiB> for Frames {
        fn allocate_frame(&mut self) -> Option<PhysFrame> {
            arena::take().map(|frame| PhysFrame::containing_address(PhysAddr::new(frame as u64)))
        }
    }

    impl FrameDeallocator<Size4KiB> for Frames {
        unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
            arena::give_back(frame.start_address().as_u64() as usize);
        }
    }

    struct Identity;

    unsafe impl PageTableFrameMapping for Identity {
        fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
            frame.start_address().as_u64() as *mut PageTable
        }
    }

    const PARENT: PageTableFlags =
        PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE).union(PageTableFlags::USER_ACCESSIBLE);
    const READ: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
    const RIGHTS: PageTableFlags = READ.union(PageTableFlags::WRITABLE);

    struct X86<M> {
        mapper: M,
        root: usize,
    }

    fn page<S: PageSize>(vaddr: usize) -> Page<S> {
        Page::from_start_address(VirtAddr::new(vaddr as u64)).unwrap()
    }

    fn map<S: PageSize + std::fmt::Debug, M: Mapper<S>>(mapper: &mut M, vaddr: usize, paddr: usize) {
        let frame = PhysFrame::from_start_address(PhysAddr::new(paddr as u64)).unwrap();
        let result: Result<_, MapToError<S>> =
            unsafe { mapper.map_to_with_table_flags(page(vaddr), frame, RIGHTS, PARENT, &mut Frames) };
        result.unwrap().ignore();
    }

    impl<M> Table for X86<M>
    where
        M: Mapper<Size4KiB> + Mapper<Size2MiB> + Mapper<Size1GiB> + Translate,
    {
        fn root(&self) -> usize {
            self.root
        }
        fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool) {
            let mut done = 0;
            while done < size {
                let (at, frame) = (vaddr + done, paddr + done);
                if huge && (at | frame) & (G1 - 1) == 0 && size - done >= G1 {
                    map::<Size1GiB, M>(&mut self.mapper, at, frame);
                    done += G1;
                } else if huge && (at | frame) & (M2 - 1) == 0 && size - done >= M2 {
                    map::<Size2MiB, M>(&mut self.mapper, at, frame);
                    done += M2;
                } else {
                    map::<Size4KiB, M>(&mut self.mapper, at, frame);
                    done += K4;
                }
            }
        }
        fn unmap_region(&mut self, vaddr: usize, size: usize) {
            for at in (vaddr..vaddr + size).step_by(K4) {
                Mapper::<Size4KiB>::unmap(&mut self.mapper, page(at)).unwrap().1.ignore();
            }
        }
        fn protect_region(&mut self, vaddr: usize, size: usize) {
            for at in (vaddr..vaddr + size).step_by(K4) {
                unsafe { Mapper::<Size4KiB>::update_flags(&mut self.mapper, page(at), READ) }.unwrap().ignore();
            }
        }
        fn map_pages(&mut self, pages: &[usize], first_frame: usize) {
            for (i, at) in pages.iter().enumerate() {
                map::<Size4KiB, M>(&mut self.mapper, *at, first_frame + i * K4);
            }
        }
        fn unmap_pages(&mut self, pages: &[usize]) {
            for at in pages {
                Mapper::<Size4KiB>::unmap(&mut self.mapper, page(*at)).unwrap().1.ignore();
            }
        }
        fn query(&self, addresses: &[usize]) -> u64 {
            let query = |vaddr: &usize| match black_box(self.mapper.translate(VirtAddr::new(*vaddr as u64))) {
                TranslateResult::Mapped { frame, offset, .. } => (frame.start_address() + offset).as_u64(),
                _ => panic!("not mapped"),
            };
            addresses.iter().map(query).sum()
        }
    }

    pub fn create_mapped() -> Box<dyn Table> {
        let root = zeroed_frame();
        let mapper = unsafe { MappedPageTable::new(&mut *(root as *mut PageTable), Identity) };
        Box::new(X86 { mapper, root })
    }

    pub fn create_offset() -> Box<dyn Table> {
        let root = zeroed_frame();
        let mapper = unsafe { OffsetPageTable::new(&mut *(root as *mut PageTable), VirtAddr::zero()) };
        Box::new(X86 { mapper, root })
    }
}

mod aarch64 {
    use super::*;
    use aarch64_paging::Mapping;
    use aarch64_paging::descriptor::{El1Attributes, PhysicalAddress, UpdatableDescriptor};
    use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, Translation, VaRange};
    use std::ptr::NonNull;

    struct Identity;

    impl Translation<El1Attributes> for Identity {
        fn allocate_table(&mut self) -> (NonNull<PageTable<El1Attributes>>, PhysicalAddress) {
            let frame = zeroed_frame();
            (NonNull::new(frame as *mut _).unwrap(), PhysicalAddress(frame))
        }
        unsafe fn deallocate_table(&mut self, table: NonNull<PageTable<El1Attributes>>) {
            arena::give_back(table.as_ptr() as usize);
        }
        fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<PageTable<El1Attributes>> {
            NonNull::new(pa.0 as *mut _).unwrap()
        }
    }

    const RIGHTS: El1Attributes = El1Attributes::VALID
        .union(El1Attributes::ACCESSED)
        .union(El1Attributes::INNER_SHAREABLE)
        .union(El1Attributes::PXN)
        .union(El1Attributes::UXN);

    struct AArch64(Mapping<Identity, El1And0>);

    fn region(vaddr: usize, size: usize) -> MemoryRegion {
        MemoryRegion::new(vaddr, vaddr + size)
    }

    impl Table for AArch64 {
        fn root(&self) -> usize {
            self.0.root_address().0
        }
        fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool) {
            let constraints = if huge { Constraints::empty() } else { Constraints::NO_BLOCK_MAPPINGS };
            self.0.map_range(&region(vaddr, size), PhysicalAddress(paddr), RIGHTS, constraints).unwrap();
        }
        fn unmap_region(&mut self, vaddr: usize, size: usize) {
            let nothing = El1Attributes::empty();
            self.0.map_range(&region(vaddr, size), PhysicalAddress(0), nothing, Constraints::empty()).unwrap();
        }
        fn protect_region(&mut self, vaddr: usize, size: usize) {
            let read_only = |_: &MemoryRegion, entry: &mut UpdatableDescriptor<El1Attributes>| {
                entry.modify_flags(El1Attributes::READ_ONLY, El1Attributes::empty())
            };
            self.0.modify_range(&region(vaddr, size), &read_only).unwrap();
        }
        fn map_pages(&mut self, pages: &[usize], first_frame: usize) {
            for (i, page) in pages.iter().enumerate() {
                self.map_region(*page, first_frame + i * K4, K4, false);
            }
        }
        fn unmap_pages(&mut self, pages: &[usize]) {
            for page in pages {
                self.unmap_region(*page, K4);
            }
        }
        fn query(&self, addresses: &[usize]) -> u64 {
            let mut sum = 0;
            for vaddr in addresses {
                let page = region(*vaddr & !(K4 - 1), K4);
                let mut visit =
                    |_: &MemoryRegion, entry: &aarch64_paging::descriptor::Descriptor<El1Attributes>, level| {
                        let offset = vaddr & ((K4 << ((3 - level) * 9)) - 1);
                        sum += (entry.output_address().0 + offset) as u64;
                        if entry.is_valid() { Ok(()) } else { Err(()) }
                    };
                self.0.walk_range(&page, &mut visit).unwrap();
            }
            sum
        }
    }

    pub fn create() -> Box<dyn Table> {
        Box::new(AArch64(Mapping::with_asid_and_va_range(Identity, 0, 0, El1And0, VaRange::Lower)))
    }
}

mod generic {
    use super::*;
    use page_table_generic::{Access, MapConfig, PTEGeneric, PageTableRef, PhysAddr, TableGeneric, VirtAddr};
    use std::alloc::Layout;

    /// The crate leaves entries to its user: these are x86_64's.
    #[derive(Clone, Copy, Debug)]
    #[repr(transparent)]
    struct Entry(u64);

    const PRESENT: u64 = 1;
    const HUGE: u64 = 1 << 7;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// It gives tables the attributes of the page for which it makes them, so that they cannot be no-execute.
    const RIGHTS: Entry = Entry(2);

    impl PTEGeneric for Entry {
        fn valid(&self) -> bool {
            self.0 & PRESENT != 0
        }
        fn paddr(&self) -> PhysAddr {
            PhysAddr::from((self.0 & ADDRESS) as usize)
        }
        fn set_paddr(&mut self, paddr: PhysAddr) {
            self.0 = self.0 & !ADDRESS | paddr.raw() as u64;
        }
        fn set_valid(&mut self, valid: bool) {
            self.0 = self.0 & !PRESENT | valid as u64;
        }
        fn is_huge(&self) -> bool {
            self.0 & HUGE != 0
        }
        fn set_is_huge(&mut self, huge: bool) {
            self.0 = self.0 & !HUGE | (huge as u64) << 7;
        }
    }

    #[derive(Clone, Copy)]
    struct FourLevels;

    impl TableGeneric for FourLevels {
        type PTE = Entry;
        fn flush(_: Option<VirtAddr>) {}
    }

    struct Frames;

    impl Access for Frames {
        unsafe fn alloc(&mut self, _: Layout) -> Option<PhysAddr> {
            arena::take().map(PhysAddr::from)
        }
        unsafe fn dealloc(&mut self, ptr: PhysAddr, _: Layout) {
            arena::give_back(ptr.raw());
        }
        fn phys_to_mut(&self, phys: PhysAddr) -> *mut u8 {
            phys.raw() as *mut u8
        }
    }

    struct Generic(PageTableRef<'static, FourLevels>);

    impl Table for Generic {
        fn root(&self) -> usize {
            self.0.paddr().raw()
        }
        fn map_region(&mut self, vaddr: usize, paddr: usize, size: usize, huge: bool) {
            let config = MapConfig::new(vaddr.into(), paddr.into(), size, RIGHTS, huge, false);
            unsafe { self.0.map(config, &mut Frames) }.unwrap();
        }
        fn unmap_region(&mut self, _: usize, _: usize) {
            unreachable!()
        }
        fn protect_region(&mut self, _: usize, _: usize) {
            unreachable!()
        }
        fn map_pages(&mut self, pages: &[usize], first_frame: usize) {
            for (i, page) in pages.iter().enumerate() {
                self.map_region(*page, first_frame + i * K4, K4, false);
            }
        }
        fn unmap_pages(&mut self, _: &[usize]) {
            unreachable!()
        }
        fn query(&self, _: &[usize]) -> u64 {
            unreachable!()
        }
    }

    impl Drop for Generic {
        fn drop(&mut self) {
            self.0.release(&mut Frames);
        }
    }

    pub fn create() -> Box<dyn Table> {
        Box::new(Generic(PageTableRef::create_empty(&mut Frames).unwrap()))
    }
}

pub fn all() -> Vec<Peer> {
    let peer = |name: &str, create: fn() -> Box<dyn Table>, entries, lacks, remark| Peer {
        name: name.into(),
        compiler: env!("RUSTC_VERSION").into(),
        entries,
        create: Box::new(create),
        lacks,
        remark,
    };
    vec![
        peer(
            "page_table_multiarch 0.6.1",
            multiarch::create,
            Entries::X86,
            vec![],
            "the reference; frees no table before the whole is dropped",
        ),
        peer(
            "x86_64 0.15.4 MappedPageTable",
            x86::create_mapped,
            Entries::X86,
            vec![Call::Destroy],
            "knows single pages only: regions are loops; frees no table unless told to clean up",
        ),
        peer("x86_64 0.15.4 OffsetPageTable", x86::create_offset, Entries::X86, vec![Call::Destroy], "the same"),
        peer(
            "aarch64-paging 0.12.1",
            aarch64::create,
            Entries::AArch64,
            vec![Call::RecordsUse],
            "AArch64 entries, in which the CPU records nothing; regions only: a single page is a region of one; W7 drops a whole sub-tree at once",
        ),
        peer(
            "page-table-generic 0.6.7",
            generic::create,
            Entries::X86,
            vec![Call::UnmapRegion, Call::ProtectRegion, Call::UnmapPages, Call::Query],
            "maps, over what is there, and releases; no unmap, protect or query",
        ),
    ]
}
