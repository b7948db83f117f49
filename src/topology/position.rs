//! How far a history got. Positions of different histories compare with nothing.

mod history;
mod mariadb;
mod mysql;

pub use history::{GtidState, History, ServerId};
pub use mariadb::GtidList;
pub use mysql::GtidSet;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A byte offset in PostgreSQL's write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A PostgreSQL timeline: it grows by one at each promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(pub u32);

/// A point in one history of one database system.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// PostgreSQL: the system identifier, the timeline and the log position on it.
    Postgres { system: u64, timeline: Timeline, lsn: Lsn },
    /// MariaDB: the last GTID of each domain.
    MariaDb(Arc<GtidList>),
    /// MySQL: all GTIDs that were executed.
    MySql(Arc<GtidSet>),
}

impl Position {
    /// True when everything up to `other` is part of this history too.
    pub fn contains(&self, other: &Position) -> bool {
        match (self, other) {
            (
                Position::Postgres { system: s, timeline: t, lsn: l },
                Position::Postgres { system: os, timeline: ot, lsn: ol },
            ) => s == os && t == ot && l >= ol,
            (Position::MariaDb(mine), Position::MariaDb(other)) => mine.contains(other),
            (Position::MySql(mine), Position::MySql(other)) => mine.contains(other),
            _ => false,
        }
    }

    /// True when whoever got here sees all that can be seen of `other`: a later timeline of the same
    /// system has what was there at its fork, and nobody has what the fork left behind.
    pub fn reaches(&self, other: &Position) -> bool {
        let later = match (self, other) {
            (
                Position::Postgres { system: s, timeline: t, .. },
                Position::Postgres { system: os, timeline: ot, .. },
            ) => s == os && t > ot,
            _ => false,
        };
        later || self.contains(other)
    }

    /// Bytes of log from this position to `ahead`; `None` when they share no history, and where
    /// positions count transactions.
    pub fn bytes_behind(&self, ahead: &Position) -> Option<u64> {
        match (self, ahead) {
            (
                Position::Postgres { system: s, timeline: t, lsn: l },
                Position::Postgres { system: os, timeline: ot, lsn: ol },
            ) => (s == os && t == ot).then(|| ol.0.saturating_sub(l.0)),
            _ => None,
        }
    }
}

impl Position {
    /// The text that a session carries to another one. `None`: there is nothing to carry yet.
    pub fn token(&self) -> Option<String> {
        let text = match self {
            Position::Postgres { system, .. } => format!("{system}:{self}"),
            Position::MariaDb(_) | Position::MySql(_) => self.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }

    /// What [`Position::token`] wrote.
    pub fn from_token(text: &str) -> Option<Position> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let maria = || text.parse().ok().map(|list| Position::MariaDb(Arc::new(list)));
        let mysql = || text.parse().ok().map(|set| Position::MySql(Arc::new(set)));
        postgres(text).or_else(maria).or_else(mysql)
    }

    /// Whatever has a transaction of this history has all before it, too. MariaDB's domains are
    /// histories beside one another; MySQL's numbers may come in any order.
    pub fn has_one_order(&self) -> bool {
        match self {
            Position::Postgres { .. } => true,
            Position::MariaDb(gtids) => gtids.domains() <= 1,
            Position::MySql(_) => false,
        }
    }

    /// Both are of one database system, if not of one history; of one engine, where systems have
    /// no identifier.
    pub fn is_akin(&self, other: &Position) -> bool {
        match (self, other) {
            (Position::Postgres { system, .. }, Position::Postgres { system: other, .. }) => {
                system == other
            }
            (Position::MariaDb(_), Position::MariaDb(_))
            | (Position::MySql(_), Position::MySql(_)) => true,
            _ => false,
        }
    }

    /// It is of an earlier timeline, and further than that which began with `start` can contain.
    /// Known only where there are timelines.
    pub fn is_lost_to(&self, start: &Position) -> bool {
        match (self, start) {
            (
                Position::Postgres { system: s, timeline: t, lsn: l },
                Position::Postgres { system: os, timeline: ot, lsn: ol },
            ) => s == os && t < ot && l > ol,
            _ => false,
        }
    }
}

fn postgres(token: &str) -> Option<Position> {
    let (system, rest) = token.split_once(':')?;
    let (timeline, lsn) = rest.split_once(':')?;
    Some(Position::Postgres {
        system: system.parse().ok()?,
        timeline: Timeline(timeline.parse().ok()?),
        lsn: lsn.parse().ok()?,
    })
}

/// A text that is no GTID list or set of its engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} such as {example}")]
pub struct NoGtid {
    text: String,
    kind: &'static str,
    example: &'static str,
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = String;
    fn from_str(text: &str) -> Result<Lsn, String> {
        let parsed = text.split_once('/').and_then(|(high, low)| {
            let high = u32::from_str_radix(high, 16).ok()?;
            let low = u32::from_str_radix(low, 16).ok()?;
            Some(Lsn(u64::from(high) << 32 | u64::from(low)))
        });
        parsed.ok_or_else(|| format!("{text:?} is not a log position such as 16/B374D848"))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Postgres { timeline, lsn, .. } => write!(f, "{}:{lsn}", timeline.0),
            Position::MariaDb(gtids) => gtids.fmt(f),
            Position::MySql(gtids) => gtids.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timeline: u32, lsn: u64) -> Position {
        Position::Postgres { system: 7, timeline: Timeline(timeline), lsn: Lsn(lsn) }
    }

    #[test]
    fn a_later_position_contains_an_earlier_one_of_the_same_timeline() {
        assert!(at(1, 20).contains(&at(1, 20)));
        assert!(at(1, 21).contains(&at(1, 20)));
        assert!(!at(1, 19).contains(&at(1, 20)));
    }

    #[test]
    fn positions_of_different_histories_compare_with_nothing() {
        assert!(!at(2, 99).contains(&at(1, 1)));
        assert!(!at(1, 99).contains(&at(2, 1)));
        assert_eq!(at(2, 99).bytes_behind(&at(1, 1)), None);
    }

    #[test]
    fn positions_of_different_engines_compare_with_nothing() {
        let maria = Position::MariaDb(Arc::new("0-1-5".parse().unwrap()));
        let mysql = Position::MySql(Arc::new("".parse().unwrap()));
        for (one, other) in [(&maria, &mysql), (&mysql, &maria), (&at(1, 1), &maria)] {
            assert!(!one.contains(other));
            assert_eq!(one.bytes_behind(other), None);
        }
    }

    #[test]
    fn several_domains_have_no_order_together() {
        let maria = |list: &str| Position::MariaDb(Arc::new(list.parse().unwrap()));
        assert!(maria("0-1-5").has_one_order() && !maria("0-1-5,1-1-7").has_one_order());
        assert!(!Position::MySql(Arc::new("".parse().unwrap())).has_one_order());
    }

    #[test]
    fn a_later_timeline_reaches_all_of_an_earlier_one() {
        assert!(at(2, 1).reaches(&at(1, 99)) && at(1, 20).reaches(&at(1, 20)));
        assert!(!at(1, 99).reaches(&at(2, 1)) && !at(1, 19).reaches(&at(1, 20)));
        let elsewhere = Position::Postgres { system: 8, timeline: Timeline(1), lsn: Lsn(1) };
        assert!(!at(2, 99).reaches(&elsewhere));
    }

    #[test]
    fn a_token_says_all_of_a_position() {
        let token = at(3, 0x16_B374_D848).token().expect("PostgreSQL has one");
        assert_eq!(token, "7:3:16/B374D848");
        assert_eq!(Position::from_token(&token), Some(at(3, 0x16_B374_D848)));
        let maria = Position::MariaDb(Arc::new("0-1-5,1-1-7".parse().unwrap()));
        let mysql = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
        let mysql = Position::MySql(Arc::new(mysql.parse().unwrap()));
        for position in [maria, mysql] {
            let token = position.token().expect("it is not empty");
            assert_eq!(Position::from_token(&token), Some(position));
        }
        for wrong in ["", "7", "7:3", "7:3:16", "x:3:16/0", "7:3:16/0:1"] {
            assert_eq!(Position::from_token(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_lies_beyond_the_start_of_a_later_timeline_is_lost_to_it() {
        assert!(at(1, 21).is_lost_to(&at(2, 20)));
        assert!(!at(1, 20).is_lost_to(&at(2, 20)) && !at(2, 21).is_lost_to(&at(2, 20)));
    }

    #[test]
    fn an_lsn_reads_back_as_postgres_writes_it() {
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert!("16-B374".parse::<Lsn>().is_err());
    }
}
