//! The `wardstead` command.

use std::process::ExitCode;

/// For Rust and for RocksDB's C++ alike. A fifth of the time of a message went into the C library's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    wardstead::cli::run(std::env::args_os())
}
