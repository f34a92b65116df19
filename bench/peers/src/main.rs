// SPDX-License-Identifier: MIT
//! This library and other page tables, the same work in one process and one arena, in turn.
//!
//!     peers list                                  names, compilers, remarks
//!     peers time ROUNDS [WORKLOAD...]             nanoseconds of each workload
//!     peers grow ROUNDS MAX_LOG2                  nanoseconds of a page, a query, a table while sizes grow
//!     peers count PEER [WORKLOAD...]              for callgrind, which counts what happens in run_measured
//!
//! Lines of words separated by tabs; scripts/bench-peers makes reports of them. Whoever translates anything otherwise
//! than it should after a workload ends the program.
mod arena;
mod crates;
mod peer;
mod walk;
mod workload;

use peer::{Call, Peer};
use std::process::exit;
use workload::{BASE, Data, FRAMES, K4, Random, Tables, Workload};

/// Frames of the tables of 2^24 pages; W3's tables are fewer.
const ARENA: usize = (1 << 15) + (1 << 7);

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// Of this process' CPU time, in nanoseconds.
fn now() -> u64 {
    const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// Not inlined, and known to callgrind by this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn run_measured(workload: &Workload, tables: &mut Tables, data: &Data) {
    (workload.run)(tables, data);
    std::hint::black_box(tables);
}

fn can(peer: &Peer, needs: &[Call]) -> bool {
    !needs.iter().any(|call| peer.lacks.contains(call))
}

struct Result {
    nanoseconds: u64,
    units: usize,
    tables_left: usize,
}

fn measure(peer: &Peer, workload: &Workload, data: &Data, thorough: bool) -> Result {
    arena::reset();
    let mut tables: Tables = (0..workload.tables).map(|_| (peer.create)()).collect();
    (workload.prepare)(&mut tables, data);
    let units = if workload.units != 0 { workload.units } else { arena::used() };

    let begin = now();
    run_measured(workload, &mut tables, data);
    let nanoseconds = now() - begin;

    let tables_left = arena::used();
    if let Err(error) = workload.check(data, &tables, walk::of(peer.entries), thorough) {
        eprintln!("bench-peers: {}: {error}", peer.name);
        exit(1);
    }
    Result { nanoseconds, units, tables_left }
}

fn time(peers: &[Peer], workloads: &[Workload], rounds: usize) {
    let data = Data::new();
    // The first round warms up. In each, another one begins.
    for round in 0..=rounds {
        for workload in workloads {
            for i in 0..peers.len() {
                let peer = &peers[(i + round) % peers.len()];
                if !can(peer, workload.needs) {
                    continue;
                }
                let result = measure(peer, workload, &data, round == 0);
                if round > 0 {
                    println!(
                        "time\t{}\t{}\t{}\t{}\t{}",
                        workload.name, peer.name, result.units, result.nanoseconds, result.tables_left
                    );
                }
            }
        }
    }
}

fn count(peer: &Peer, workloads: &[Workload]) {
    let data = Data::new();
    for workload in workloads.iter().filter(|workload| can(peer, workload.needs)) {
        println!("count\t{}\t{}", workload.name, measure(peer, workload, &data, false).units);
    }
}

fn timed(f: impl FnOnce()) -> u64 {
    let begin = now();
    f();
    now() - begin
}

fn grown(curve: &str, peer: &Peer, x: usize, nanoseconds: u64, units: usize) {
    println!("grow\t{curve}\t{}\t{x}\t{}", peer.name, nanoseconds as f64 / units as f64);
}

/// Regions of 2^log2 pages, each from the beginning of a table; short ones many times.
fn grow_regions(peer: &Peer, log2: usize) {
    let pages = 1 << log2;
    let count = (1usize << 16 >> log2).max(1);
    let stride = (pages * K4).max(512 * K4);
    let mut table = (peer.create)();

    let time = timed(|| {
        for i in 0..count {
            table.map_region(BASE + i * stride, FRAMES + i * stride, pages * K4, false);
        }
    });
    grown("map", peer, pages, time, count * pages);

    if can(peer, &[Call::ProtectRegion, Call::UnmapRegion]) {
        let time = timed(|| (0..count).for_each(|i| table.protect_region(BASE + i * stride, pages * K4)));
        grown("protect", peer, pages, time, count * pages);
        let time = timed(|| (0..count).for_each(|i| table.unmap_region(BASE + i * stride, pages * K4)));
        grown("unmap", peer, pages, time, count * pages);
    }
    let random = &mut Random(log2 as u64);
    for _ in 0..100 {
        let vaddr = BASE + random.below(count) * stride + random.below(pages * K4);
        let mapped = walk::of(peer.entries)(table.root(), vaddr);
        let should = (!can(peer, &[Call::UnmapRegion])).then_some((vaddr - BASE + FRAMES, true));
        assert_eq!(mapped, should, "{}", peer.name);
    }
}

/// Random addresses in one region of 2^log2 pages.
fn grow_query(peer: &Peer, log2: usize) {
    let size = K4 << log2;
    let random = &mut Random(log2 as u64);
    let addresses: Vec<_> = (0..100_000).map(|_| BASE + random.below(size)).collect();
    let expected: u64 = addresses.iter().map(|vaddr| (vaddr - BASE + FRAMES) as u64).sum();
    let mut table = (peer.create)();
    let mut sum = 0;

    table.map_region(BASE, FRAMES, size, false);
    let time = timed(|| sum = table.query(&addresses));
    grown("query", peer, 1 << log2, time, addresses.len());
    assert_eq!(sum, expected, "{}", peer.name);
}

/// 2^log2 pages as huge as they can be, but for one small page at each end.
fn grow_huge(peer: &Peer, log2: usize) {
    let size = (K4 << log2) - 2 * K4;
    let count = 64;
    let mut tables: Tables = (0..count).map(|_| (peer.create)()).collect();
    let time = timed(|| tables.iter_mut().for_each(|table| table.map_region(BASE + K4, FRAMES + K4, size, true)));
    grown("map, huge pages allowed", peer, 1 << log2, time, count);
    let last = walk::of(peer.entries)(tables[0].root(), BASE + size);
    assert_eq!(last, Some((FRAMES + size, true)), "{}", peer.name);
}

/// The tables of 2^log2 pages that are 2 MiB apart; few of them many times.
fn grow_destroy(peer: &Peer, log2: usize) {
    let count = (1usize << 10 >> log2).max(1);
    let pages: Vec<_> = (0..1usize << log2).map(|i| BASE + i * 512 * K4).collect();
    let mut all: Tables = (0..count).map(|_| (peer.create)()).collect();
    all.iter_mut().for_each(|table| table.map_pages(&pages, FRAMES));
    let tables = arena::used();
    grown("destroy", peer, tables / count, timed(|| all.clear()), tables);
    assert_eq!(arena::used(), 0);
}

fn grow(peers: &[Peer], rounds: usize, largest: usize) {
    for round in 0..=rounds {
        for log2 in 4..=28 {
            for i in 0..peers.len() {
                let peer = &peers[(i + round) % peers.len()];
                if !can(peer, &[Call::AnyRegion]) || round == 0 && log2 > 18 {
                    continue;
                }
                if log2 <= largest {
                    arena::reset();
                    grow_regions(peer, log2);
                    if can(peer, &[Call::Query]) {
                        arena::reset();
                        grow_query(peer, log2);
                    }
                }
                if can(peer, &[Call::MapHuge]) {
                    arena::reset();
                    grow_huge(peer, log2);
                }
                if log2 <= 15 && can(peer, &[Call::Destroy]) {
                    arena::reset();
                    grow_destroy(peer, log2);
                }
            }
        }
        if round == 0 {
            println!("warm");
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut peers = peer::in_c();
    peers.extend(crates::all());
    let chosen = |names: &[&str]| {
        let mut all = workload::all();
        all.sort_by_key(|workload| workload.name[1..].parse::<usize>().unwrap());
        all.retain(|workload| names.is_empty() || names.contains(&workload.name));
        all
    };

    arena::init(ARENA);
    match words.as_slice() {
        ["list"] => {
            for peer in &peers {
                println!("peer\t{}\t{}\t{}", peer.name, peer.compiler, peer.remark);
            }
            for workload in chosen(&[]) {
                println!("workload\t{}\t{}\t{}", workload.name, workload.title, workload.unit);
            }
        }
        ["time", rounds, names @ ..] => time(&peers, &chosen(names), rounds.parse().unwrap()),
        ["grow", rounds, largest] => grow(&peers, rounds.parse().unwrap(), largest.parse().unwrap()),
        ["count", name, names @ ..] => {
            count(peers.iter().find(|peer| peer.name == *name).expect("a peer"), &chosen(names))
        }
        _ => exit(2),
    }
}
