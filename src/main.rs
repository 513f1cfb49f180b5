//! The `weir` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::io::heap::give_back_what_is_free();
    weir::app::main(std::env::args_os().collect()).into()
}
