// SPDX-License-Identifier: MIT
//! Compiles subject.c and links it with the library, which lies in the directory $PAGETABLE_LIBRARY.
use std::{env, path::Path, process::Command};

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn main() {
    let library = env::var("PAGETABLE_LIBRARY").expect("PAGETABLE_LIBRARY: where libpagetable.a is");
    let compiler = env::var("CC").unwrap_or("cc".into());
    let out = env::var("OUT_DIR").unwrap();
    let object = Path::new(&out).join("subject.o");
    let archive = Path::new(&out).join("libsubject.a");

    run(Command::new(compiler)
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"])
        .args(["-I../../include", "-c", "subject.c", "-o"])
        .arg(&object));
    let _ = std::fs::remove_file(&archive);
    run(Command::new("ar").arg("rcs").arg(&archive).arg(&object));

    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-search=native={library}");
    println!("cargo::rustc-link-lib=static=subject");
    println!("cargo::rustc-link-lib=static=pagetable");
    println!("cargo::rerun-if-changed=subject.c");
    println!("cargo::rerun-if-changed=../../include");
    println!("cargo::rerun-if-changed={library}/libpagetable.a");
    println!("cargo::rerun-if-env-changed=PAGETABLE_LIBRARY");
    println!("cargo::rerun-if-env-changed=CC");
}
