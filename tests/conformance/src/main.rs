// SPDX-License-Identifier: MIT
//! The library and the crate page_table_multiarch 0.6.1 in lock-step: the same random calls to both, every answer and
//! every entry compared.
//!
//!     conformance [STEPS [SEED]]
//!
//! Ends with "N passed, N failed, N skipped". Where the two differ on purpose stands in difference.rs, each time with
//! a test that shows it; the steps below bring the crate's table to where ours is then, by its own calls, and go on.
mod difference;
mod frames;
mod lockstep;
mod ours;
mod raw;
mod theirs;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Both encode what is not cached, differently, and the crate's entries do not tell it from device memory. So the steps
/// ask for one in the upper half, and for the other in the lower.
pub fn is_uncached_half(vaddr: u64) -> bool {
    vaddr >> 47 & 1 != 0
}

fn run(name: &str, test: impl FnOnce()) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
    println!("{}  {name}", if passed { "ok  " } else { "FAIL" });
    passed
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse().expect("a number"));
    let steps: u64 = arguments.next().unwrap_or(4_000_000);
    let seed = arguments.next().unwrap_or(1);
    let mut results = vec![run("statuses are known", ours::statuses_are_known)];

    for (name, test) in difference::TESTS {
        results.push(run(name, test));
    }
    results.push(run("lock-step", || lockstep::run(steps, seed)));

    let failed = results.iter().filter(|passed| !**passed).count();
    println!("\n{} passed, {failed} failed, 0 skipped", results.len() - failed);
    std::process::exit((failed != 0) as i32);
}
