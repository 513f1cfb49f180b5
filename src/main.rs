//! The `weir` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::app::main(std::env::args_os().collect()).into()
}
