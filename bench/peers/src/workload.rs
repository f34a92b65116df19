// SPDX-License-Identifier: MIT
//! The workloads of ../../workloads.c, and what the tables must translate after each: the same for every peer.
use crate::arena;
use crate::peer::{Call, Table};
use crate::walk;
use std::collections::HashMap;

pub const K4: usize = 1 << 12;
const M1: usize = 1 << 20;
const G1: usize = 1 << 30;

pub const BASE: usize = 256 * G1;
pub const FRAMES: usize = 64 * G1;
pub const PAGES: usize = 262144;
const QUERIES: usize = 1_000_000;
const REGION: usize = PAGES * K4;
const WINDOW: usize = 64 * G1;
const RAGGED: usize = 257 * M1;
const RAGGED_LEAVES: usize = 256 + 383 + 63 + 128 + 256;
const SHORTS: usize = 512;
const SHORT: usize = 16 * K4;
/// Short workloads are done to as many tables.
const MANY: usize = 32;

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) as usize % bound
    }
}

pub struct Data {
    sequence: Vec<usize>,
    /// Distinct, in random order.
    pages: Vec<usize>,
    /// The same in another order.
    shuffled: Vec<usize>,
    frame_of: HashMap<usize, usize>,
    queries: Vec<usize>,
    queries_sum: u64,
    page_queries: Vec<usize>,
    page_queries_sum: u64,
    /// Where tables are looked at after a run.
    samples: Vec<usize>,
}

impl Data {
    pub fn new() -> Self {
        let mut random = Random(1);
        let mut frame_of = HashMap::new();
        let mut pages = Vec::new();
        while pages.len() < PAGES {
            let page = BASE + random.below(WINDOW / K4) * K4;
            frame_of.entry(page).or_insert_with(|| {
                pages.push(page);
                FRAMES + (pages.len() - 1) * K4
            });
        }
        let mut shuffled = pages.clone();
        for i in (1..PAGES).rev() {
            shuffled.swap(i, random.below(i + 1));
        }
        let offsets: Vec<_> = (0..QUERIES).map(|_| random.below(REGION)).collect();
        let sum = offsets.iter().map(|offset| (FRAMES + offset) as u64).sum();
        let mut samples = vec![BASE - 1, BASE, BASE + REGION - 1, BASE + REGION, BASE + RAGGED - 1];
        samples.extend((0..1500).map(|_| BASE + random.below(REGION)));
        samples.extend((0..1000).map(|_| BASE + random.below(SHORTS * 2 * SHORT)));
        samples.extend((0..1000).map(|_| BASE + random.below(WINDOW + G1)));
        samples.extend((0..1000).map(|_| pages[random.below(PAGES)]));
        Self {
            sequence: (0..PAGES).map(|i| BASE + i * K4).collect(),
            queries: offsets.iter().map(|offset| BASE + offset).collect(),
            page_queries: offsets.iter().map(|offset| pages[offset / K4] + offset % K4).collect(),
            queries_sum: sum,
            page_queries_sum: sum,
            pages,
            shuffled,
            frame_of,
            samples,
        }
    }
}

pub type Tables = Vec<Box<dyn Table>>;
/// What an address translates to, and whether it can be written.
pub type Translation = Option<(usize, bool)>;

pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub units: usize,
    pub tables: usize,
    pub needs: &'static [Call],
    pub prepare: fn(&mut Tables, &Data),
    pub run: fn(&mut Tables, &Data),
    expected: fn(&Data, usize) -> Translation,
}

impl Workload {
    /// Every table translates the samples as it should; if thorough, the first one every page that there can be.
    pub fn check(
        &self,
        data: &Data,
        tables: &Tables,
        walk: fn(usize, usize) -> Translation,
        thorough: bool,
    ) -> Result<(), String> {
        for (i, table) in tables.iter().enumerate() {
            let all = if thorough && i == 0 { [&data.sequence, &data.pages] } else { [&vec![], &vec![]] };
            for vaddr in data.samples.iter().chain(all.into_iter().flatten()) {
                let (is, should) = (walk(table.root(), *vaddr), (self.expected)(data, *vaddr));
                if is != should {
                    return Err(format!("{}, {vaddr:#x}: {is:x?} instead of {should:x?}", self.name));
                }
            }
        }
        if tables.is_empty() && arena::used() != 0 {
            return Err(format!("{}: {} tables left", self.name, arena::used()));
        }
        Ok(())
    }
}

fn nothing(_: &mut Tables, _: &Data) {}

fn map_region(tables: &mut Tables, _: &Data) {
    tables[0].map_region(BASE, FRAMES, REGION, false);
}

fn map_pages(tables: &mut Tables, data: &Data) {
    tables[0].map_pages(&data.pages, FRAMES);
}

fn in_nothing(_: &Data, _: usize) -> Translation {
    None
}

fn in_region(_: &Data, vaddr: usize) -> Translation {
    (BASE..BASE + REGION).contains(&vaddr).then(|| (vaddr - BASE + FRAMES, true))
}

fn in_pages(data: &Data, vaddr: usize) -> Translation {
    data.frame_of.get(&(vaddr & !(K4 - 1))).map(|frame| (frame + vaddr % K4, true))
}

pub fn all() -> Vec<Workload> {
    use Call::*;
    let one = Workload {
        name: "W1",
        title: "map_region, 1 GiB of 4K pages",
        unit: "page",
        units: PAGES,
        tables: 1,
        needs: &[MapRegion],
        prepare: nothing,
        run: map_region,
        expected: in_region,
    };
    vec![
        Workload {
            name: "W2",
            title: "map_region, 64 GiB, huge pages, ragged ends",
            unit: "leaf",
            units: MANY * RAGGED_LEAVES,
            tables: MANY,
            needs: &[MapHuge],
            run: |tables, _| {
                for table in tables {
                    table.map_region(BASE + RAGGED, FRAMES + RAGGED, 64 * G1, true);
                }
            },
            expected: |_, vaddr| {
                (BASE + RAGGED..BASE + RAGGED + 64 * G1).contains(&vaddr).then(|| (vaddr - BASE + FRAMES, true))
            },
            ..one
        },
        Workload {
            name: "W3",
            title: "map, random pages of 64 GiB",
            needs: &[MapPages],
            run: map_pages,
            expected: in_pages,
            ..one
        },
        Workload {
            name: "W4",
            title: "map, pages in sequence",
            needs: &[MapPages],
            run: |tables, data| tables[0].map_pages(&data.sequence, FRAMES),
            ..one
        },
        Workload {
            name: "W5",
            title: "query, random pages of W1",
            unit: "query",
            units: QUERIES,
            needs: &[MapRegion, Query],
            prepare: map_region,
            run: |tables, data| assert_eq!(tables[0].query(&data.queries), data.queries_sum),
            ..one
        },
        Workload {
            name: "W6",
            title: "query, random pages of W3",
            unit: "query",
            units: QUERIES,
            needs: &[MapPages, Query],
            prepare: map_pages,
            run: |tables, data| assert_eq!(tables[0].query(&data.page_queries), data.page_queries_sum),
            expected: in_pages,
            ..one
        },
        Workload {
            name: "W7",
            title: "unmap_region of W1",
            needs: &[MapRegion, UnmapRegion],
            prepare: map_region,
            run: |tables, _| tables[0].unmap_region(BASE, REGION),
            expected: in_nothing,
            ..one
        },
        Workload {
            name: "W8",
            title: "protect_region of W1",
            needs: &[MapRegion, ProtectRegion],
            prepare: map_region,
            run: |tables, _| tables[0].protect_region(BASE, REGION),
            expected: |data, vaddr| in_region(data, vaddr).map(|(paddr, _)| (paddr, false)),
            ..one
        },
        Workload {
            name: "W9",
            title: "unmap, random order, pages of W3",
            needs: &[MapPages, UnmapPages],
            prepare: map_pages,
            run: |tables, data| tables[0].unmap_pages(&data.shuffled),
            expected: in_nothing,
            ..one
        },
        Workload {
            name: "W10",
            title: "destroy the table of W3",
            unit: "table",
            units: 0, // as many as there are
            needs: &[MapPages, Destroy],
            prepare: map_pages,
            run: |tables, _| tables.clear(),
            expected: in_nothing,
            ..one
        },
        Workload {
            name: "W11",
            title: "map_region, 512 times 16 pages",
            units: MANY * SHORTS * 16,
            tables: MANY,
            needs: &[MapRegion, AnyRegion],
            run: |tables, _| {
                for table in tables {
                    for i in 0..SHORTS {
                        table.map_region(BASE + i * 2 * SHORT, FRAMES + i * SHORT, SHORT, false);
                    }
                }
            },
            expected: |_, vaddr| {
                let offset = vaddr.checked_sub(BASE).filter(|offset| *offset < SHORTS * 2 * SHORT)?;
                let (i, within) = (offset / (2 * SHORT), offset % (2 * SHORT));
                (within < SHORT).then(|| (FRAMES + i * SHORT + within, true))
            },
            ..one
        },
        Workload {
            name: "W12",
            title: "protect_region of W1, all pages written to",
            needs: &[MapRegion, ProtectRegion, RecordsUse],
            prepare: |tables, data| {
                map_region(tables, data);
                walk::write_to(tables[0].root(), &data.sequence);
            },
            run: |tables, _| tables[0].protect_region(BASE, REGION),
            expected: |data, vaddr| in_region(data, vaddr).map(|(paddr, _)| (paddr, false)),
            ..one
        },
        one,
    ]
}
