//! Lines of text for people: painted, with bars, in a terminal, and plain elsewhere.

/// How a piece of a line looks in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
    /// A picture of a number, which no one needs who reads no picture.
    Bar,
}

impl Paint {
    /// "Select Graphic Rendition" of ECMA-48.
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Doubtful => "33",
            Paint::Bad => "31",
            Paint::Bar => "36",
        }
    }
}

/// A line, piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Paint, String)>);

impl From<String> for Line {
    fn from(text: String) -> Line {
        Line::default().and(Paint::Plain, text)
    }
}

impl Line {
    pub(super) fn and(mut self, paint: Paint, text: impl Into<String>) -> Line {
        self.0.push((paint, text.into()));
        self
    }

    /// Without bars and colours.
    pub(super) fn plain(&self) -> String {
        let words = self.0.iter().filter(|(paint, _)| *paint != Paint::Bar);
        words.map(|(_, text)| &**text).collect::<String>().trim_end().to_owned()
    }

    /// What fits into `width` columns of a terminal.
    pub(super) fn painted(&self, width: usize, coloured: bool) -> String {
        let (mut left, mut painted) = (width, String::new());
        for (paint, text) in &self.0 {
            let piece: String = text.chars().take(left).collect();
            left -= piece.chars().count();
            match paint.code() {
                code if coloured && !code.is_empty() && !piece.is_empty() => {
                    painted.push_str(&format!("\x1b[{code}m{piece}\x1b[0m"));
                }
                _ => painted.push_str(&piece),
            }
        }
        painted
    }
}

/// A bar of up to `cells` characters, in eighths: `part` of `whole`.
pub(super) fn bar(part: u64, whole: u64, cells: usize) -> String {
    let eighths = (part.min(whole) * cells as u64 * 8 + whole / 2).checked_div(whole).unwrap_or(0);
    let (full, rest) = ((eighths / 8) as usize, (eighths % 8) as usize);
    let end = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][rest];
    "█".repeat(full) + end
}

/// A curve, one character for each value, the highest of them at full height.
pub(super) fn curve(values: impl Iterator<Item = u64> + Clone) -> String {
    let most = values.clone().max().unwrap_or(0).max(1);
    let height = |value: u64| ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(value * 7 / most) as usize];
    values.map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line::from("a: ".to_owned()).and(Paint::Bad, "late ").and(Paint::Bar, "███")
    }

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        assert_eq!(line().painted(80, true), "a: \x1b[31mlate \x1b[0m\x1b[36m███\x1b[0m");
        assert_eq!(line().painted(5, true), "a: \x1b[31mla\x1b[0m");
        assert_eq!(line().painted(80, false), "a: late ███");
    }

    #[test]
    fn elsewhere_there_are_no_bars_and_colours() {
        assert_eq!(line().plain(), "a: late");
    }

    #[test]
    fn bars_are_as_long_as_their_part() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(99, 10, 2), "██");
        assert_eq!(bar(0, 0, 4), "");
    }

    #[test]
    fn curves_reach_from_the_floor_to_the_top() {
        assert_eq!(curve([0, 50, 100].into_iter()), "▁▄█");
        assert_eq!(curve([0, 0].into_iter()), "▁▁");
    }
}
