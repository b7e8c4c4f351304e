//! The `wardstead` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardstead::cli::run(std::env::args_os())
}
