# SPDX-License-Identifier: MIT
# The front door. CMake does the building; everything lands in build/.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE_FLAGS ?=
FUZZ_SECONDS ?= 600
MUTANTS ?=
FORMAT ?=
BENCH_PEERS ?=
MAKEFLAGS += --no-print-directory

.PHONY: lib tool pictures run test test-conformance fuzz mutants bench bench-peers size size-record format lint clean help

lib: ## build/libpagetable.a; CMAKE_FLAGS=-DPAGETABLE_ONLY_FORMAT=pt_sv48 and the like are passed on
	@scripts/setup lib
	@cmake -S . -B build -DPAGETABLE_TESTS=OFF -DPAGETABLE_EXAMPLES=OFF -DPAGETABLE_BENCH=OFF $(CMAKE_FLAGS)
	@cmake --build build --parallel $(JOBS)
	@ls -l build/libpagetable.a

tool: ## build/tool/pagetable: looks into tables, and builds them
	@scripts/setup tool
	@cmake -S . -B build -DPAGETABLE_TESTS=OFF -DPAGETABLE_EXAMPLES=OFF -DPAGETABLE_BENCH=OFF $(CMAKE_FLAGS)
	@cmake --build build --parallel $(JOBS) --target pagetable_tool

pictures: ## docs/images anew: what `pagetable draw` makes, in Chromium
	@scripts/setup pictures
	@scripts/pictures

run: ## the hosted example, then the kernels in QEMU; FORMAT="pt_sv57 pt_sv32" for those of these formats only
	@scripts/setup run
	@scripts/run $(FORMAT)

test: ## every test with gcc, clang, sanitizers and as 32-bit program; freestanding and install checks; kernels in QEMU
	@scripts/setup test
	@scripts/test

test-conformance: ## in lock-step with the crate page_table_multiarch (needs cargo)
	@scripts/setup lib
	@scripts/test-conformance

fuzz: ## the fuzzer, FUZZ_SECONDS=600 or whatever is given
	@scripts/setup test
	@scripts/fuzz $(FUZZ_SECONDS)

mutants: ## plant one defect at a time and show which test notices; MUTANTS="words" for some
	@scripts/setup test
	@scripts/mutants $(MUTANTS)

bench: ## measure
	@scripts/setup bench
	@cmake -S . -B build/bench -DPAGETABLE_TESTS=OFF -DPAGETABLE_EXAMPLES=OFF -DPAGETABLE_BENCH=ON
	@cmake --build build/bench --parallel $(JOBS) --target bench

bench-peers: ## measure beside other page tables (needs cargo); BENCH_PEERS="--quick", "--docs", "W1 W7"
	@scripts/setup bench
	@scripts/bench-peers $(BENCH_PEERS)

size: ## bytes of code and stack, for each CPU
	@scripts/setup size
	@scripts/size

size-record: ## accept them: tests/size/recorded.txt
	@scripts/setup size
	@scripts/size record

format: ## clang-format over all C files, in place
	@scripts/setup format
	@scripts/lint format

lint: ## clang-format as a check, clang-tidy over the library, the benchmarks and the example
	@scripts/setup lint
	@scripts/lint

clean: ## remove build/
	rm -rf build

help: ## this
	@sed -n 's/^\([a-z-]*\): ## /make \1\t/p' Makefile | expand -t 24
