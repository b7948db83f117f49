//! A part of the terminal that is redrawn in place.

use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal, Write};

/// What stands in the terminal; the cursor comes back when this is dropped.
pub(super) struct Screen {
    lines: usize,
}

impl Screen {
    /// `None`: standard output is no terminal.
    pub(super) fn open() -> io::Result<Option<Screen>> {
        let mut out = io::stdout();
        if !out.is_terminal() {
            return Ok(None);
        }
        write!(out, "\x1b[?25l")?;
        out.flush()?;
        Ok(Some(Screen { lines: 0 }))
    }

    /// Replaces what was drawn before; what does not fit is cut off.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (width, height) = size();
        if self.lines > 0 {
            // Up to where the last frame began; a line that wraps would break the count.
            write!(out, "\x1b[{}A", self.lines)?;
        }
        self.lines = lines.len().min(height.saturating_sub(1));
        for line in lines.iter().take(self.lines) {
            let cut: String = line.chars().take(width).collect();
            writeln!(out, "\r{cut}\x1b[K")?;
        }
        write!(out, "\x1b[J")?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout();
        let _ = write!(out, "\x1b[?25h").and_then(|()| out.flush());
    }
}

/// Columns and rows of the terminal; what every terminal had, where it does not say.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}
