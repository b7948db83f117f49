//! Files of PostgreSQL's log, by their names.
//!
//! Source: `xlog_internal.h` (`XLogFileName`, `TLHistoryFileName`).

use crate::topology::{Lsn, Timeline};
use std::fmt;

/// A piece of the log of fixed size, on one timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    pub timeline: Timeline,
    /// The first position in it is this times the size.
    pub number: u64,
    /// Bytes.
    pub size: u64,
}

impl Segment {
    /// The one that a position is in.
    pub fn of(timeline: Timeline, lsn: Lsn, size: u64) -> Segment {
        Segment { timeline, number: lsn.0 / size, size }
    }

    pub fn start(self) -> Lsn {
        Lsn(self.number * self.size)
    }

    /// The first position behind it.
    pub fn end(self) -> Lsn {
        Lsn((self.number + 1) * self.size)
    }

    pub fn next(self) -> Segment {
        Segment { number: self.number + 1, ..self }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = (1 << 32) / self.size;
        let (log, seg) = (self.number / each, self.number % each);
        write!(f, "{:08X}{log:08X}{seg:08X}", self.timeline.0)
    }
}

/// A file that recovery may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WalFile {
    /// 24 hexadecimal digits; the numbers behind the timeline depend on the size of a segment.
    Segment {
        timeline: Timeline,
        log: u32,
        seg: u32,
    },
    History(Timeline),
}

impl WalFile {
    /// `None`: nothing that an archive holds.
    pub fn parse(name: &str) -> Option<WalFile> {
        let hex = |part: &str| {
            let plain = part.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
            plain.then(|| u32::from_str_radix(part, 16).ok())?
        };
        match name.strip_suffix(".history") {
            Some(timeline) if timeline.len() == 8 => {
                Some(WalFile::History(Timeline(hex(timeline)?)))
            }
            None if name.len() == 24 => Some(WalFile::Segment {
                timeline: Timeline(hex(&name[..8])?),
                log: hex(&name[8..16])?,
                seg: hex(&name[16..])?,
            }),
            _ => None,
        }
    }

    /// The segment, where it is one.
    pub fn segment(self, size: u64) -> Option<Segment> {
        match self {
            WalFile::Segment { timeline, log, seg } => {
                let each = (1 << 32) / size;
                Some(Segment { timeline, number: u64::from(log) * each + u64::from(seg), size })
            }
            WalFile::History(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    #[test]
    fn a_segment_has_the_name_that_the_server_gives_it() {
        // SELECT pg_walfile_name('5/41000028')
        let segment = Segment::of(Timeline(3), "5/41000028".parse().unwrap(), SIZE);
        assert_eq!(segment.to_string(), "000000030000000500000041");
        assert_eq!((segment.start(), segment.end()), (Lsn(0x5_4100_0000), Lsn(0x5_4200_0000)));
        let last = Segment::of(Timeline(1), "0/FF000000".parse().unwrap(), SIZE);
        assert_eq!(last.next().to_string(), "000000010000000100000000");
        let small = Segment::of(Timeline(1), "1/500000".parse().unwrap(), 1 << 20);
        assert_eq!(small.to_string(), "000000010000000100000005");
    }

    #[test]
    fn a_name_is_read_back() {
        for size in [1 << 20, SIZE, 1 << 30] {
            let segment = Segment::of(Timeline(3), "5/41000028".parse().unwrap(), size);
            let read = WalFile::parse(&segment.to_string()).unwrap();
            assert_eq!(read.segment(size), Some(segment));
        }
        let history = WalFile::History(Timeline(0x2A));
        assert_eq!(WalFile::parse("0000002A.history"), Some(history));
    }

    #[test]
    fn other_files_are_none() {
        for name in
            ["", "RECOVERYXLOG", "00000002.HISTORY", "0000000300000005000000zz", "x.history"]
        {
            assert_eq!(WalFile::parse(name), None, "{name}");
        }
        assert_eq!(WalFile::parse("000000030000000500000041.00000028.backup"), None);
        assert_eq!(WalFile::parse("000000030000000500000041.partial"), None);
    }
}
