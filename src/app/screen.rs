//! A part of the terminal that is redrawn in place.

use super::line::Line;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use std::io::{self, IsTerminal, Read, Write};
use tokio::sync::mpsc;

/// What stands in the terminal; the cursor comes back when this is dropped.
pub(super) struct Screen {
    lines: usize,
    coloured: bool,
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
        // https://no-color.org
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Ok(Some(Screen { lines: 0, coloured }))
    }

    /// Replaces what was drawn before; what does not fit is cut off.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (width, height) = size();
        if self.lines > 0 {
            // Up to where the last frame began; a line that wraps would break the count.
            write!(out, "\x1b[{}A", self.lines)?;
        }
        self.lines = lines.len().min(height.saturating_sub(1));
        for line in lines.iter().take(self.lines) {
            writeln!(out, "\r{}\x1b[K", line.painted(width, self.coloured))?;
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

/// The keys that whoever looks at the screen presses, without an Enter behind them; the terminal is
/// as it was when this is dropped.
pub(super) struct Keys {
    before: Termios,
    pressed: mpsc::UnboundedReceiver<u8>,
}

impl Keys {
    /// `None`: standard input is no terminal.
    pub(super) fn open() -> io::Result<Option<Keys>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&input)?;
        let mut each = before.clone();
        each.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        each.special_codes[SpecialCodeIndex::VMIN] = 1;
        each.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&input, OptionalActions::Now, &each)?;
        let (told, pressed) = mpsc::unbounded_channel();
        // Nothing can end the reading of a terminal: the thread ends with the process.
        std::thread::spawn(move || {
            let bytes = io::stdin().lock().bytes();
            bytes.map_while(Result::ok).all(|byte| told.send(byte).is_ok())
        });
        Ok(Some(Keys { before, pressed }))
    }

    /// Resolves when q was pressed. Cancel-safe.
    pub(super) async fn quit(&mut self) {
        while let Some(key) = self.pressed.recv().await {
            if key.eq_ignore_ascii_case(&b'q') {
                return;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
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
