//! The modes of a terminal (termios(3)) while something is typed at it.

use std::io::Stdin;

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// A terminal that shows nothing of what is typed and hands over each key; as before again when dropped.
#[derive(Debug)]
pub struct Keys<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Keys<'a> {
    /// Reads wait for a key. No key sends a signal: an interrupt would leave the terminal as it is now.
    ///
    /// # Errors
    /// What the terminal says; that it is none.
    pub fn wait(terminal: &'a Stdin) -> nix::Result<Self> {
        Self::begin(terminal, LocalFlags::ISIG, (1, 0))
    }

    /// Reads end without a key after so many tenths of a second.
    ///
    /// # Errors
    /// What the terminal says; that it is none.
    pub fn pause(terminal: &'a Stdin, tenths: u8) -> nix::Result<Self> {
        Self::begin(terminal, LocalFlags::empty(), (0, tenths))
    }

    fn begin(terminal: &'a Stdin, without: LocalFlags, (least, tenths): (u8, u8)) -> nix::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | without);
        modes.control_chars[SpecialCharacterIndices::VMIN as usize] = least;
        modes.control_chars[SpecialCharacterIndices::VTIME as usize] = tenths;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        // Nobody is left to tell where the terminal is gone.
        _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}
