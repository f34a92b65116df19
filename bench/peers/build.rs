// SPDX-License-Identifier: MIT
//! Links the page tables written in C, which scripts/bench-peers has compiled: libpeers.a in the directory $PEERS, and
//! the names of those in it in $PEERS/names.
use std::fmt::Write;

fn main() {
    let directory = std::env::var("PEERS").expect("PEERS: where libpeers.a is");
    let names = std::fs::read_to_string(format!("{directory}/names")).expect("the names of the peers");
    let mut text = String::from("unsafe extern \"C\" {\n");
    for name in names.split_whitespace() {
        writeln!(text, "    static {name}: CPeer;").unwrap();
    }
    text += "}\npub fn all() -> Vec<&'static CPeer> {\n    unsafe { vec![";
    for name in names.split_whitespace() {
        write!(text, "&{name}, ").unwrap();
    }
    text += "] }\n}\n";
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/c_peers.rs", text).unwrap();

    let version = std::process::Command::new(std::env::var("RUSTC").unwrap()).arg("--version").output().unwrap();
    println!("cargo::rustc-env=RUSTC_VERSION={}", String::from_utf8(version.stdout).unwrap().trim());
    println!("cargo::rustc-link-search=native={directory}");
    println!("cargo::rustc-link-lib=static=peers");
    println!("cargo::rerun-if-changed={directory}/libpeers.a");
    println!("cargo::rerun-if-changed={directory}/names");
    println!("cargo::rerun-if-env-changed=PEERS");
}
