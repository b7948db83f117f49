//! Who wrote what of a history: what positions alone do not tell.

use super::{GtidList, GtidSet, NoGtid};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The author of transactions: MariaDB's `server_id`, MySQL's `server_uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u128);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            Ok(number) => write!(f, "{number}"),
            Err(_) => super::mysql::Uuid(self.0).fmt(f),
        }
    }
}

impl FromStr for ServerId {
    type Err = NoGtid;

    /// A number or a UUID.
    fn from_str(text: &str) -> Result<ServerId, NoGtid> {
        const EXAMPLE: &str = "7, or 3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let number = || text.parse::<u32>().ok().map(u128::from);
        let id = number().or_else(|| super::mysql::uuid(text)).map(ServerId);
        let wrong = || NoGtid { text: text.to_string(), kind: "server's id", example: EXAMPLE };
        id.ok_or_else(wrong)
    }
}

/// Everything a server has executed, by author. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    MariaDb(Arc<GtidState>),
    MySql(Arc<GtidSet>),
}

impl History {
    /// True when this server surely has all that `other` has.
    pub fn contains(&self, other: &History) -> bool {
        match (self, other) {
            (History::MariaDb(mine), History::MariaDb(other)) => mine.contains(other),
            (History::MySql(mine), History::MySql(other)) => mine.contains(other),
            _ => false,
        }
    }

    /// Transactions that this server has and the primary, `of`, surely has not, though others than
    /// the primary wrote them: they are of another history. The primary's own may be newer than
    /// what is known of it. `None`: there are none.
    pub fn beyond(&self, of: &History, primary: ServerId) -> Option<String> {
        let gtids = match (self, of) {
            (History::MariaDb(mine), History::MariaDb(of)) => mine.beyond(of, primary),
            (History::MySql(mine), History::MySql(of)) => mine.beyond(of, primary.0).to_string(),
            _ => String::new(),
        };
        (!gtids.is_empty()).then_some(gtids)
    }
}

/// The last GTID of each author in each domain, as in `gtid_binlog_state`, and how far the server
/// got in each domain whether or not its log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidState {
    last: BTreeMap<(u32, u32), u64>,
    reached: GtidList,
    replayed: GtidList,
}

impl GtidState {
    /// `state`, `written` and `replayed` are `gtid_binlog_state`, `gtid_binlog_pos` and
    /// `gtid_slave_pos`.
    pub fn read(state: &str, written: &GtidList, replayed: GtidList) -> Result<GtidState, NoGtid> {
        let mut last = BTreeMap::new();
        for gtid in state.split(',').map(str::trim).filter(|gtid| !gtid.is_empty()) {
            // Read one by one: a list keeps one of each domain.
            let list = GtidList::from_str(gtid)?;
            last.extend(list.iter().map(|(domain, server, number)| ((domain, server), number)));
        }
        Ok(GtidState { last, reached: written.merged(&replayed), replayed })
    }

    /// A log that began later (of a server made from a backup) does not show all it contains:
    /// where it says nothing, the numbers of the domain decide.
    fn has(&self, domain: u32, author: u32, number: u64) -> bool {
        if let Some(last) = self.last.get(&(domain, author)) {
            return *last >= number;
        }
        let shown = self.last.range((domain, 0)..=(domain, u32::MAX)).any(|(_, n)| *n <= number);
        // It passed this number while its log was on, and the log does not have it.
        reaches(&self.reached, domain, number) && !shown
    }

    fn contains(&self, other: &GtidState) -> bool {
        other.last.iter().all(|((domain, author), number)| self.has(*domain, *author, *number))
            && other
                .reached
                .iter()
                .all(|(domain, _, number)| reaches(&self.reached, domain, number))
    }

    fn beyond(&self, of: &GtidState, primary: ServerId) -> String {
        let foreign = self.last.iter().filter(|((domain, author), number)| {
            // It was never replayed: it was written here.
            let local = !reaches(&self.replayed, *domain, **number);
            let unseen = local && !of.last.contains_key(&(*domain, *author));
            u128::from(*author) != primary.0 && (unseen || !of.has(*domain, *author, **number))
        });
        let gtids = foreign.map(|((domain, author), number)| format!("{domain}-{author}-{number}"));
        gtids.collect::<Vec<_>>().join(",")
    }
}

fn reaches(list: &GtidList, domain: u32, number: u64) -> bool {
    list.iter().any(|(d, _, n)| d == domain && n >= number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maria(state: &str) -> History {
        replica(state, state)
    }

    fn replica(state: &str, replayed: &str) -> History {
        let (written, replayed) = (state.parse().unwrap(), replayed.parse().unwrap());
        History::MariaDb(Arc::new(GtidState::read(state, &written, replayed).unwrap()))
    }

    const ONE: ServerId = ServerId(1);
    const TWO: ServerId = ServerId(2);

    #[test]
    fn what_a_replica_wrote_itself_is_beyond_its_primary() {
        let primary = maria("0-1-100");
        assert_eq!(maria("0-1-100").beyond(&primary, ONE), None);
        assert_eq!(maria("0-1-105").beyond(&primary, ONE), None, "the primary's are only newer");
        assert_eq!(maria("0-1-100,0-2-101").beyond(&primary, ONE).as_deref(), Some("0-2-101"));
        let later = maria("0-1-200");
        assert_eq!(maria("0-1-200,0-2-101").beyond(&later, ONE), None, "its log may begin later");
        let logged = maria("0-3-50,0-1-200");
        assert_eq!(maria("0-1-200,0-2-101").beyond(&logged, ONE).as_deref(), Some("0-2-101"));
    }

    #[test]
    fn what_was_never_replayed_was_written_here_however_far_the_primary_is_by_now() {
        let primary = maria("0-1-2");
        assert_eq!(replica("0-2-1", "").beyond(&primary, ONE).as_deref(), Some("0-2-1"));
        let rejoined = replica("0-1-100", "");
        assert_eq!(rejoined.beyond(&maria("0-1-100,0-2-110"), TWO), None, "it was replicated");
    }

    #[test]
    fn the_same_number_of_another_author_is_another_transaction() {
        let (one, other) = (maria("0-1-101"), maria("0-1-100,0-2-101"));
        assert!(!one.contains(&other) && !other.contains(&one));
    }

    #[test]
    fn what_the_new_primary_never_got_is_beyond_it() {
        let new = maria("0-1-100,0-2-110");
        assert_eq!(maria("0-1-101").beyond(&new, TWO).as_deref(), Some("0-1-101"));
        assert_eq!(maria("0-1-100").beyond(&new, TWO), None);
        assert!(new.contains(&maria("0-1-100")) && !new.contains(&maria("0-1-101")));
        assert!(!maria("0-1-100").contains(&new));
    }

    #[test]
    fn a_new_primary_made_from_a_backup_has_what_its_log_does_not_show() {
        let replayed = "0-1-100".parse().unwrap();
        let seeded = GtidState::read("0-2-110", &"0-2-110".parse().unwrap(), replayed).unwrap();
        assert!(seeded.has(0, 1, 100));
        assert!(!seeded.has(0, 1, 111) && !seeded.has(1, 1, 1));
    }

    #[test]
    fn mysql_tells_every_transaction() {
        let uuid = |n: u128| format!("{}", super::super::mysql::Uuid(n << 64));
        let set = |text: String| History::MySql(Arc::new(text.parse().unwrap()));
        let primary = set(format!("{}:1-9", uuid(1)));
        let replica = set(format!("{}:1-12,{}:1", uuid(1), uuid(2)));
        let found = replica.beyond(&primary, ServerId(1 << 64));
        assert_eq!(found, Some(format!("{}:1", uuid(2))));
        assert!(replica.contains(&primary) && !primary.contains(&replica));
    }
}
