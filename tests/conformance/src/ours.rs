// SPDX-License-Identifier: MIT
//! The library, through subject.c.
use crate::frames::{self, Side};
use std::ffi::{CStr, c_char, c_void};

#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(dead_code)] // the library makes them
pub enum Status {
    Ok,
    NoMemory,
    NotAligned,
    NotMapped,
    AlreadyMapped,
    MappedToHugePage,
    BadAddress,
    BadSize,
    BadFlags,
    BadFormat,
    Shared,
    InUse,
}

const NAMES: [&str; 12] = [
    "PT_OK",
    "PT_NO_MEMORY",
    "PT_NOT_ALIGNED",
    "PT_NOT_MAPPED",
    "PT_ALREADY_MAPPED",
    "PT_MAPPED_TO_HUGE_PAGE",
    "PT_BAD_ADDRESS",
    "PT_BAD_SIZE",
    "PT_BAD_FLAGS",
    "PT_BAD_FORMAT",
    "PT_SHARED",
    "PT_IN_USE",
];

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mapping {
    pub paddr: u64,
    pub page_size: u64,
    pub flags: u32,
}

type Visit = extern "C" fn(*mut c_void, u32, u32, u64, u64);

unsafe extern "C" {
    fn pt_status_name(status: u32) -> *const c_char;
    fn subject_new(
        alloc: extern "C" fn(*mut c_void, usize, usize) -> u64,
        dealloc: extern "C" fn(*mut c_void, u64, usize),
    ) -> *mut c_void;
    fn subject_delete(subject: *mut c_void);
    fn subject_root(subject: *const c_void) -> u64;
    fn subject_map(subject: *mut c_void, vaddr: u64, paddr: u64, page_size: u64, flags: u32) -> Status;
    fn subject_unmap(subject: *mut c_void, vaddr: u64, old: *mut Mapping) -> Status;
    fn subject_protect(subject: *mut c_void, vaddr: u64, flags: u32, page_size: *mut u64) -> Status;
    fn subject_remap(subject: *mut c_void, vaddr: u64, paddr: u64, flags: u32, page_size: *mut u64) -> Status;
    fn subject_query(subject: *const c_void, vaddr: u64, out: *mut Mapping) -> Status;
    fn subject_map_region(s: *mut c_void, vaddr: u64, paddr: u64, size: u64, flags: u32, huge: bool) -> Status;
    fn subject_unmap_region(subject: *mut c_void, vaddr: u64, size: u64, skip_holes: bool) -> Status;
    fn subject_protect_region(s: *mut c_void, vaddr: u64, size: u64, flags: u32, skip_holes: bool) -> Status;
    fn subject_walk(subject: *const c_void, limit: usize, visit: Visit, arg: *mut c_void);
}

extern "C" fn alloc_frames(_: *mut c_void, count: usize, align: usize) -> u64 {
    assert!(count == 1 && align == frames::FRAME);
    frames::take(Side::Ours).map_or(u64::MAX, |frame| frame as u64)
}

extern "C" fn dealloc_frames(_: *mut c_void, first: u64, count: usize) {
    assert!(count == 1);
    frames::give_back(Side::Ours, first as usize);
}

/// The values of `Status` are those of the library's header.
pub fn statuses_are_known() {
    for (value, name) in NAMES.iter().enumerate() {
        assert_eq!(unsafe { CStr::from_ptr(pt_status_name(value as u32)) }.to_str(), Ok(*name));
    }
}

pub struct Ours(*mut c_void);

impl Ours {
    pub fn new() -> Self {
        Self(unsafe { subject_new(alloc_frames, dealloc_frames) })
    }

    pub fn root(&self) -> usize {
        unsafe { subject_root(self.0) as usize }
    }

    pub fn map(&mut self, vaddr: u64, paddr: u64, page_size: u64, flags: u32) -> Result<(), Status> {
        result(unsafe { subject_map(self.0, vaddr, paddr, page_size, flags) }, ())
    }

    pub fn unmap(&mut self, vaddr: u64) -> Result<Mapping, Status> {
        let mut old = Mapping::default();
        let status = unsafe { subject_unmap(self.0, vaddr, &mut old) };
        result(status, old)
    }

    pub fn protect(&mut self, vaddr: u64, flags: u32) -> Result<u64, Status> {
        let mut page_size = 0;
        let status = unsafe { subject_protect(self.0, vaddr, flags, &mut page_size) };
        result(status, page_size)
    }

    pub fn remap(&mut self, vaddr: u64, paddr: u64, flags: u32) -> Result<u64, Status> {
        let mut page_size = 0;
        let status = unsafe { subject_remap(self.0, vaddr, paddr, flags, &mut page_size) };
        result(status, page_size)
    }

    pub fn query(&self, vaddr: u64) -> Result<Mapping, Status> {
        let mut out = Mapping::default();
        let status = unsafe { subject_query(self.0, vaddr, &mut out) };
        result(status, out)
    }

    pub fn map_region(&mut self, vaddr: u64, paddr: u64, size: u64, flags: u32, huge: bool) -> Result<(), Status> {
        result(unsafe { subject_map_region(self.0, vaddr, paddr, size, flags, huge) }, ())
    }

    pub fn unmap_region(&mut self, vaddr: u64, size: u64, skip_holes: bool) -> Result<(), Status> {
        result(unsafe { subject_unmap_region(self.0, vaddr, size, skip_holes) }, ())
    }

    pub fn protect_region(&mut self, vaddr: u64, size: u64, flags: u32, skip_holes: bool) -> Result<(), Status> {
        result(unsafe { subject_protect_region(self.0, vaddr, size, flags, skip_holes) }, ())
    }

    /// Level, index, address and entry of each visit.
    pub fn walk(&self, limit: usize) -> Vec<(u32, u32, u64, u64)> {
        extern "C" fn visit(list: *mut c_void, level: u32, index: u32, vaddr: u64, bits: u64) {
            unsafe { &mut *(list as *mut Vec<_>) }.push((level, index, vaddr, bits));
        }
        let mut list: Vec<(u32, u32, u64, u64)> = Vec::new();
        unsafe { subject_walk(self.0, limit, visit, &raw mut list as *mut c_void) };
        list
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        unsafe { subject_delete(self.0) }
    }
}

fn result<T>(status: Status, value: T) -> Result<T, Status> {
    if status == Status::Ok { Ok(value) } else { Err(status) }
}
