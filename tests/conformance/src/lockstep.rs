// SPDX-License-Identifier: MIT
//! Random calls, to both.
use crate::difference::Difference;
use crate::frames::{self, Side};
use crate::is_uncached_half;
use crate::ours::{Mapping, Ours, Status};
use crate::raw::{self, canonical};
use crate::theirs::Theirs;
use std::collections::{HashSet, VecDeque};

const READ: u32 = 1;
const ANY_RIGHT: u32 = 7;
const USER: u32 = 8;
const DEVICE: u32 = 16;
const UNCACHED: u32 = 32;

const K4: u64 = 1 << 12;
const M2: u64 = 1 << 21;
const G1: u64 = 1 << 30;

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Map { vaddr: u64, paddr: u64, size: u64, flags: u32 },
    Unmap { vaddr: u64 },
    Protect { vaddr: u64, flags: u32 },
    Remap { vaddr: u64, paddr: u64, flags: u32 },
    Query { vaddr: u64 },
    MapRegion { vaddr: u64, paddr: u64, size: u64, flags: u32, huge: bool },
    UnmapRegion { vaddr: u64, size: u64, skip_holes: bool },
    ProtectRegion { vaddr: u64, size: u64, flags: u32, skip_holes: bool },
}

/// The first and the last GiB of both halves, two at each end; few places in them, so that calls meet.
fn some_vaddr(random: &mut Random) -> u64 {
    let (root, first_gib) =
        random.of(&[(0, 0), (0x7f80_0000_0000, 510), (0xffff_8000_0000_0000, 0), (0xffff_ff80_0000_0000, 510)]);
    let page = if random.once_in(4) { random.below(512) } else { random.of(&[0, 1, 2, 3, 509, 510, 511]) };
    root + (first_gib + random.below(2)) * G1 + random.of(&[0, 1, 2, 510, 511]) * M2 + page * K4
}

fn some_paddr(random: &mut Random, alignment: u64) -> u64 {
    let paddr = random.below(1 << 40) / alignment * alignment + G1;
    match random.below(256) {
        0 => paddr + (1 << 52),
        1 => paddr + 1,
        2..16 => paddr + K4,
        _ => paddr,
    }
}

fn some_flags(random: &mut Random, vaddr: u64) -> u32 {
    if random.once_in(24) {
        return 0;
    }
    let rights = random.below(8) as u32 & ANY_RIGHT;
    let memory = if !random.once_in(4) {
        0
    } else if is_uncached_half(vaddr) {
        UNCACHED
    } else {
        DEVICE | if random.once_in(2) { UNCACHED } else { 0 }
    };
    (if rights == 0 { READ } else { rights }) | (random.below(2) as u32 * USER) | memory
}

/// Within the half that vaddr is in, but for a few.
fn some_size(random: &mut Random, vaddr: u64) -> u64 {
    let pages = match random.below(64) {
        0 => 0,
        1..40 => 1 + random.below(16),
        40..56 => 1 + random.below(700),
        56..62 => (1 + random.below(3)) * 512 + random.of(&[0, 0, 1, 511]),
        62 => 262144 + random.of(&[0, 512, 513]),
        _ => random.below(8) * 512,
    };
    let to_end = (1u64 << 47) - (vaddr & ((1 << 47) - 1));
    if random.once_in(64) { pages * K4 } else { (pages * K4).min(to_end) }
}

fn some_step(random: &mut Random) -> Step {
    let mut vaddr = some_vaddr(random);
    let flags = some_flags(random, vaddr);
    match random.below(100) {
        0..22 => {
            let size = random.of(&[K4, K4, K4, K4, K4, K4, M2, M2, M2, G1]);
            if !random.once_in(24) {
                vaddr &= !(size - 1);
            }
            vaddr += random.once_in(256) as u64 * 8;
            vaddr ^= (random.once_in(256) as u64) << 47;
            Step::Map { vaddr, paddr: some_paddr(random, size), size, flags }
        }
        22..38 => Step::Unmap { vaddr: vaddr + random.of(&[0, 0, 8]) },
        38..48 => Step::Protect { vaddr: vaddr + random.of(&[0, 0, 8]), flags },
        48..56 => {
            let alignment = random.of(&[K4, M2, G1]);
            Step::Remap { vaddr, paddr: some_paddr(random, alignment), flags }
        }
        56..72 => {
            vaddr ^= (random.once_in(64) as u64) << 47;
            Step::Query { vaddr: vaddr + random.below(K4) }
        }
        72..82 => {
            let mut size = some_size(random, vaddr);
            let huge = random.once_in(2);
            if !huge && !random.once_in(32) {
                size = size.min(4 * M2);
            }
            if huge && random.once_in(2) {
                vaddr &= !(M2 - 1);
            }
            if huge && size > G1 {
                vaddr &= !(G1 - 1);
            }
            // Most often, huge pages fit the frames, too.
            let mut paddr = some_paddr(random, G1);
            if !random.once_in(8) {
                paddr += vaddr & (G1 - 1);
            }
            vaddr += random.once_in(256) as u64 * 8;
            Step::MapRegion { vaddr, paddr, size, flags, huge }
        }
        82..92 => {
            let skip_holes = random.once_in(2);
            let size = if skip_holes && random.once_in(8) { 2 * G1 } else { some_size(random, vaddr) };
            if size == 2 * G1 {
                vaddr &= !(2 * G1 - 1);
            }
            Step::UnmapRegion { vaddr, size, skip_holes }
        }
        _ => {
            let size = some_size(random, vaddr);
            let skip_holes = random.once_in(2);
            Step::ProtectRegion { vaddr, size, flags, skip_holes }
        }
    }
}

pub struct Pair {
    pub ours: Ours,
    pub theirs: Theirs,
    pub met: [u64; Difference::COUNT],
    /// Calls that both answered with PT_OK, and with the same error.
    pub done: u64,
    pub refused: u64,
}

/// What the crate reports of a page that ours reports so: it knows no device memory on x86.
fn as_theirs(mapping: Mapping) -> Mapping {
    let device = mapping.flags & DEVICE != 0;
    Mapping { flags: if device { mapping.flags & !DEVICE | UNCACHED } else { mapping.flags }, ..mapping }
}

fn has_no_access(mapping: &Mapping) -> bool {
    mapping.flags & ANY_RIGHT == 0
}

impl Pair {
    pub fn new() -> Self {
        Self { ours: Ours::new(), theirs: Theirs::new(), met: [0; Difference::COUNT], done: 0, refused: 0 }
    }

    fn meet(&mut self, difference: Difference) {
        self.met[difference as usize] += 1;
    }

    /// Same answer? Counts it.
    fn agree<T: PartialEq>(&mut self, ours: &Result<T, Status>, theirs: &Result<T, Status>) -> bool {
        let same = ours == theirs;
        match ours {
            Ok(_) => self.done += same as u64,
            Err(_) => self.refused += same as u64,
        }
        same
    }

    /// Bring the crate's pages in [first, last] to what ours are, by its own calls. Tells whether it had to.
    fn restore(&mut self, first: u64, last: u64) -> bool {
        let mut changed = false;
        let ours = raw::pages(self.ours.root(), first, last);
        let theirs = raw::pages(self.theirs.root(), first, last);
        let wanted: HashSet<u64> = ours.iter().map(|page| page.vaddr).collect();
        let present: HashSet<u64> = theirs.iter().map(|page| page.vaddr).collect();

        for page in theirs.iter().filter(|page| !wanted.contains(&page.vaddr)) {
            let _ = self.theirs.unmap(page.vaddr);
            changed = true;
        }
        for page in ours.iter().filter(|page| !present.contains(&page.vaddr)) {
            let mapping = self.ours.query(page.vaddr).unwrap();
            self.theirs.map(page.vaddr, mapping.paddr, mapping.page_size, mapping.flags).unwrap();
            changed = true;
        }
        changed
    }

    /// Bring the page at vaddr in the crate's table back to what it was.
    fn undo(&mut self, vaddr: u64, before: Option<Mapping>) {
        match before {
            None => drop(self.theirs.unmap(vaddr)),
            Some(mapping) => {
                let page = mapping.paddr & !(mapping.page_size - 1);
                self.theirs.remap(vaddr, page, mapping.flags).unwrap();
            }
        }
    }

    /// Split the crate's huge page around an address that a region of ours has just split, by its own calls.
    fn split(&mut self, at: u64) {
        while let Some(page) = raw::pages(self.theirs.root(), at, at).first() {
            if at & (page.size - 1) == 0 {
                break;
            }
            let flags = self.theirs.unmap(page.vaddr).map_or(0, |mapping| mapping.flags);
            for i in 0..512 {
                let offset = i * (page.size >> 9);
                self.theirs.map(page.vaddr + offset, page.paddr + offset, page.size >> 9, flags).unwrap();
            }
            self.meet(Difference::Split);
        }
    }

    fn match_empty_tables(&mut self, first: u64, last: u64, difference: Difference) {
        if raw::match_empty_tables(self.ours.root(), self.theirs.root(), first, last) {
            self.meet(difference);
        }
    }

    fn map(&mut self, vaddr: u64, paddr: u64, size: u64, flags: u32) {
        let ours = self.ours.map(vaddr, paddr, size, flags);
        let mut theirs = self.theirs.map(vaddr, paddr, size, flags);
        frames::limit(usize::MAX);

        if ours == Err(Status::BadAddress) || ours == Err(Status::NotAligned) {
            if ours == Err(Status::BadAddress) {
                assert!(canonical(vaddr) != vaddr || paddr >> 52 != 0);
                self.meet(Difference::Address);
            } else {
                assert!((vaddr | paddr) & (size - 1) != 0);
                self.meet(Difference::Alignment);
            }
            if theirs.is_ok() {
                self.undo(vaddr, None);
            }
            self.match_empty_tables(vaddr, vaddr, Difference::Tables);
            return;
        }
        if ours.is_ok() && theirs == Err(Status::AlreadyMapped) {
            raw::prune(self.theirs.root(), vaddr, vaddr + size - 1);
            theirs = self.theirs.map(vaddr, paddr, size, flags);
            self.meet(Difference::EmptyTable);
        }
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
        self.match_empty_tables(vaddr, vaddr + (size - 1), Difference::Tables);
    }

    fn unmap(&mut self, vaddr: u64) {
        let ours = self.ours.unmap(vaddr);
        let theirs = self.theirs.unmap(vaddr);

        if ours.is_ok_and(|old| has_no_access(&old)) {
            assert_eq!(theirs, Err(Status::NotMapped));
            self.meet(Difference::NoAccess);
            return;
        }
        let ours = ours.map(as_theirs);
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
    }

    fn protect(&mut self, vaddr: u64, flags: u32) {
        let before = self.ours.query(vaddr).ok();
        let ours = self.ours.protect(vaddr, flags);
        let theirs = self.theirs.protect(vaddr, flags);

        if let Some(mapping) = before.filter(has_no_access) {
            assert!(ours.is_ok() && theirs == Err(Status::NotMapped), "{ours:?}, {theirs:?}");
            self.undo(vaddr, Some(Mapping { flags, ..mapping }));
            self.meet(Difference::NoAccess);
            return;
        }
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
    }

    fn remap(&mut self, vaddr: u64, paddr: u64, flags: u32) {
        let before = self.ours.query(vaddr).ok();
        let ours = self.ours.remap(vaddr, paddr, flags);
        let theirs = self.theirs.remap(vaddr, paddr, flags);

        if ours.is_err() && theirs.is_ok() {
            match before {
                None => self.meet(Difference::RemapMaps),
                Some(mapping) if paddr >> 52 == 0 => {
                    assert!(ours == Err(Status::NotAligned) && paddr & (mapping.page_size - 1) != 0);
                    self.meet(Difference::Alignment);
                }
                Some(_) => self.meet(Difference::Address),
            }
            self.undo(vaddr, before);
            return;
        }
        // Nothing is there, and the new frame is none either: ours may name the one or the other.
        if before.is_none() && theirs == Err(Status::NotMapped) {
            assert!(matches!(ours, Err(Status::NotMapped | Status::BadAddress | Status::NotAligned)), "{ours:?}");
            self.refused += 1;
            return;
        }
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
    }

    fn query(&mut self, vaddr: u64) {
        let ours = self.ours.query(vaddr);
        let theirs = self.theirs.query(vaddr);

        if canonical(vaddr) != vaddr {
            assert_eq!(ours, Err(Status::BadAddress));
            return self.meet(Difference::Address);
        }
        if ours.is_ok_and(|mapping| has_no_access(&mapping)) {
            assert_eq!(theirs, Err(Status::NotMapped));
            return self.meet(Difference::NoAccess);
        }
        if ours.is_ok_and(|mapping| mapping.flags & DEVICE != 0) {
            self.meet(Difference::Device);
        }
        let ours = ours.map(as_theirs);
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
    }

    fn map_region(&mut self, vaddr: u64, paddr: u64, size: u64, flags: u32, huge: bool, limited: bool) {
        let last = vaddr.wrapping_add(size.wrapping_sub(1));
        let ours = self.ours.map_region(vaddr, paddr, size, flags, huge);

        if ours == Err(Status::BadAddress) {
            return self.meet(Difference::Address);
        }
        if ours == Err(Status::NotAligned) && paddr & (K4 - 1) != 0 {
            return self.meet(Difference::Alignment);
        }
        let mut theirs = self.theirs.map_region(vaddr, paddr, size, flags, huge);
        frames::limit(usize::MAX);
        if size == 0 && ours.is_ok() && theirs == Err(Status::NotAligned) {
            return self.meet(Difference::NoBytes);
        }
        if size == 0 || ours == Err(Status::NotAligned) {
            assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
            return;
        }
        if ours != theirs && limited && theirs == Err(Status::NoMemory) {
            assert!(matches!(ours, Err(Status::AlreadyMapped | Status::MappedToHugePage)), "{ours:?}");
            self.meet(Difference::LooksFirst);
            theirs = ours;
        } else if ours != theirs {
            // Was one of its empty tables in the way of a huge page?
            assert!(huge && theirs == Err(Status::AlreadyMapped), "{ours:?}, {theirs:?}");
            if ours.is_ok() {
                for page in raw::pages(self.theirs.root(), vaddr, last) {
                    let _ = self.theirs.unmap(page.vaddr);
                }
            } else {
                self.restore(vaddr, last);
            }
            raw::prune(self.theirs.root(), vaddr, last);
            theirs = self.theirs.map_region(vaddr, paddr, size, flags, huge);
            self.meet(Difference::EmptyTable);
        }
        assert!(self.agree(&ours, &theirs), "{ours:?}, {theirs:?}");
        if ours.is_err() && self.restore(vaddr, last) {
            self.meet(Difference::NotAtomic);
        }
        self.match_empty_tables(vaddr, last, Difference::Tables);
    }

    fn unmap_region(&mut self, vaddr: u64, size: u64, skip_holes: bool) {
        let last = vaddr.wrapping_add(size.wrapping_sub(1));
        let ours = self.ours.unmap_region(vaddr, size, skip_holes);

        frames::limit(usize::MAX);
        if size == 0 {
            assert!(ours.is_ok() && self.theirs.unmap_region(vaddr, 0).is_ok());
            return;
        }
        match ours {
            Err(Status::NotMapped) => {
                assert!(!skip_holes);
                let pages = raw::pages(self.theirs.root(), vaddr, last);
                if pages.iter().any(|page| page.vaddr < vaddr || page.vaddr + (page.size - 1) > last || !page.present) {
                    return self.meet(Difference::NotAtomic); // the crate would panic; difference.rs shows it
                }
                let theirs = self.theirs.unmap_region(vaddr, size);
                assert!(self.agree(&ours, &theirs), "{theirs:?}");
                if self.restore(vaddr, last) {
                    self.meet(Difference::NotAtomic);
                }
            }
            Err(Status::BadAddress) => self.meet(Difference::Address),
            Err(Status::NoMemory) => self.meet(Difference::Split), // it took memory to split; the crate splits nothing
            Err(other) => panic!("{other:?}"),
            Ok(()) => {
                self.split(vaddr);
                self.split(last.wrapping_add(1));
                let pages = raw::pages(self.theirs.root(), vaddr, last);
                let covered: u64 = pages.iter().map(|page| page.size).sum();
                if covered == size && pages.iter().all(|page| page.present) {
                    let theirs = self.theirs.unmap_region(vaddr, size);
                    assert!(self.agree(&ours, &theirs), "{theirs:?}");
                } else {
                    assert!(covered == size || skip_holes);
                    for page in pages {
                        let theirs = self.theirs.unmap(page.vaddr);
                        assert_eq!(theirs.is_ok(), page.present);
                    }
                    self.meet(if covered == size { Difference::NoAccess } else { Difference::Holes });
                }
                self.match_empty_tables(vaddr, last, Difference::Tables);
            }
        }
    }

    fn protect_region(&mut self, vaddr: u64, size: u64, flags: u32, skip_holes: bool) {
        let last = vaddr.wrapping_add(size.wrapping_sub(1));
        let ours = self.ours.protect_region(vaddr, size, flags, skip_holes);

        frames::limit(usize::MAX);
        match ours {
            Err(Status::NotMapped) => {
                assert!(!skip_holes);
                self.meet(Difference::Holes);
            }
            Err(Status::BadAddress) => self.meet(Difference::Address),
            Err(Status::NoMemory) => self.meet(Difference::Split),
            Err(other) => panic!("{other:?}"),
            Ok(()) => {
                if size != 0 {
                    self.split(vaddr);
                    self.split(last.wrapping_add(1));
                }
                let without_access: Vec<_> = match size {
                    0 => Vec::new(),
                    _ => raw::pages(self.theirs.root(), vaddr, last).into_iter().filter(|page| !page.present).collect(),
                };
                let theirs = self.theirs.protect_region(vaddr, size, flags);
                assert!(self.agree(&ours, &theirs), "{theirs:?}");
                for page in without_access {
                    self.theirs.remap(page.vaddr, page.paddr, flags).unwrap();
                    self.meet(Difference::NoAccess);
                }
            }
        }
    }

    fn step(&mut self, step: Step, limit: Option<usize>) -> Result<(), String> {
        let (first, size) = match step {
            Step::Map { vaddr, size, .. } => (vaddr, size),
            Step::MapRegion { vaddr, size, .. }
            | Step::UnmapRegion { vaddr, size, .. }
            | Step::ProtectRegion { vaddr, size, .. } => (vaddr, size.max(1)),
            Step::Unmap { vaddr } | Step::Protect { vaddr, .. } | Step::Remap { vaddr, .. } | Step::Query { vaddr } => {
                (vaddr, 1)
            }
        };
        let last = first.wrapping_add(size - 1);
        // An empty table makes the crate need another number of frames.
        let limit = limit.filter(|_| first <= last && !raw::has_empty_tables(self.theirs.root(), first, last));

        if let Some(count) = limit {
            frames::limit(count);
        }
        match step {
            Step::Map { vaddr, paddr, size, flags } => self.map(vaddr, paddr, size, flags),
            Step::Unmap { vaddr } => self.unmap(vaddr),
            Step::Protect { vaddr, flags } => self.protect(vaddr, flags),
            Step::Remap { vaddr, paddr, flags } => self.remap(vaddr, paddr, flags),
            Step::Query { vaddr } => self.query(vaddr),
            Step::MapRegion { vaddr, paddr, size, flags, huge } => {
                self.map_region(vaddr, paddr, size, flags, huge, limit.is_some())
            }
            Step::UnmapRegion { vaddr, size, skip_holes } => self.unmap_region(vaddr, size, skip_holes),
            Step::ProtectRegion { vaddr, size, flags, skip_holes } => {
                self.protect_region(vaddr, size, flags, skip_holes)
            }
        }
        frames::limit(usize::MAX);
        raw::compare_path(self.ours.root(), self.theirs.root(), first)?;
        raw::compare_path(self.ours.root(), self.theirs.root(), last)
    }

    pub fn compare(&mut self) -> Result<(), String> {
        raw::compare(self.ours.root(), self.theirs.root())?;
        if frames::used(Side::Ours) == frames::used(Side::Theirs) { Ok(()) } else { Err("number of tables".into()) }
    }

    /// The walks meet the same entries. The crate's knows neither sign extension nor pages without access.
    fn compare_walks(&mut self) {
        let ours = self.ours.walk(usize::MAX);
        let theirs = self.theirs.walk(usize::MAX);
        let mut theirs = theirs.iter();

        for (level, index, vaddr, bits) in ours {
            if bits & 1 == 0 {
                continue;
            }
            let (their_level, their_index, their_vaddr, their_bits) = *theirs.next().expect("as many visits");
            assert_eq!((level, index, vaddr), (their_level, their_index, canonical(their_vaddr)));
            assert_eq!(
                raw::without_table_address(bits, level as usize),
                raw::as_ours(their_bits, level as usize, vaddr)
            );
        }
        assert!(theirs.next().is_none());
    }
}

pub fn run(steps: u64, seed: u64) {
    let mut random = Random(seed);
    let mut latest = VecDeque::new();
    let mut pair = Pair::new();

    for number in 0..steps {
        let step = some_step(&mut random);
        let limit = random.once_in(12).then(|| random.below(4) as usize);
        latest.push_back((step, limit));
        if latest.len() > 12 {
            latest.pop_front();
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pair.step(step, limit).unwrap_or_else(|difference| panic!("{difference}"));
            if number % 128 == 0 || number + 1 == steps {
                pair.compare().unwrap_or_else(|difference| panic!("{difference}"));
            }
            if number % 1024 == 0 || number + 1 == steps {
                pair.compare_walks();
            }
        }));
        if let Err(panic) = result {
            println!("step {number} of seed {seed}; the last ones, with the frames that there were for them:");
            for (step, limit) in &latest {
                println!("    {step:x?} {limit:?}");
            }
            std::panic::resume_unwind(panic);
        }
    }
    println!("      {steps} calls of seed {seed}: {} done by both, {} refused by both, alike", pair.done, pair.refused);
    println!("      deliberate differences met on the way:");
    for &difference in Difference::ALL {
        println!("{:>10} {difference:?}: {}", pair.met[difference as usize], difference.reason());
        assert!(!difference.is_met_at_random() || pair.met[difference as usize] > 0 || steps < 100_000);
    }
    drop(pair);
    assert_eq!((frames::used(Side::Ours), frames::used(Side::Theirs)), (0, 0));
}
