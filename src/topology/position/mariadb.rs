//! MariaDB's GTID lists: `domain-server-sequence`, separated by commas.

use super::NoGtid;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The last GTID of each domain, as in `gtid_binlog_pos` and `gtid_slave_pos`.
///
/// Sequence numbers of a domain grow whichever server writes them (`gtid_strict_mode` sees to
/// it), so that the last one stands for all before it. Two histories that reached the same number
/// by different servers have parted; with different numbers the list alone cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GtidList {
    domains: BTreeMap<u32, Gtid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gtid {
    server: u32,
    sequence: u64,
}

impl GtidList {
    /// True when this history reached at least as far in each domain of `other`.
    pub fn contains(&self, other: &GtidList) -> bool {
        other.domains.iter().all(|(domain, theirs)| {
            self.domains.get(domain).is_some_and(|mine| {
                mine.sequence > theirs.sequence
                    || (mine.sequence == theirs.sequence && mine.server == theirs.server)
            })
        })
    }

    /// What the two know together: the higher number of each domain.
    pub fn merged(&self, other: &GtidList) -> GtidList {
        let mut all = self.clone();
        for (domain, theirs) in &other.domains {
            let mine = all.domains.entry(*domain).or_insert(*theirs);
            if theirs.sequence > mine.sequence {
                *mine = *theirs;
            }
        }
        all
    }

    pub(super) fn domains(&self) -> usize {
        self.domains.len()
    }

    /// Domain, server and number of each GTID.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.domains.iter().map(|(domain, gtid)| (*domain, gtid.server, gtid.sequence))
    }
}

impl fmt::Display for GtidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (domain, gtid)) in self.domains.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{domain}-{}-{}", gtid.server, gtid.sequence)?;
        }
        Ok(())
    }
}

impl FromStr for GtidList {
    type Err = NoGtid;

    /// Several GTIDs of one domain (as in `gtid_binlog_state`) count as the one that is highest.
    fn from_str(text: &str) -> Result<GtidList, NoGtid> {
        let wrong =
            || NoGtid { text: text.to_string(), kind: "GTID list", example: "0-1-100,1-2-7" };
        let mut list = GtidList::default();
        for gtid in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let (domain, gtid) = read(gtid).ok_or_else(wrong)?;
            let one = GtidList { domains: BTreeMap::from([(domain, gtid)]) };
            list = list.merged(&one);
        }
        Ok(list)
    }
}

fn read(gtid: &str) -> Option<(u32, Gtid)> {
    let mut numbers = gtid.split('-');
    let domain = numbers.next()?.parse().ok()?;
    let server = numbers.next()?.parse().ok()?;
    let sequence = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some((domain, Gtid { server, sequence }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> GtidList {
        text.parse().unwrap()
    }

    #[test]
    fn every_domain_must_have_been_reached() {
        assert!(list("0-1-5,1-1-3").contains(&list("0-1-5")));
        assert!(list("0-2-6").contains(&list("0-1-5")), "another server went on");
        assert!(!list("0-1-5").contains(&list("0-1-5,1-1-1")));
        assert!(!list("0-1-4,1-1-9").contains(&list("0-1-5")));
        assert!(list("").contains(&list("")));
        assert!(list("0-1-1").contains(&list("")));
    }

    #[test]
    fn the_same_number_by_another_server_is_another_history() {
        assert!(!list("0-2-5").contains(&list("0-1-5")));
        assert!(!list("0-1-5").contains(&list("0-2-5")));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["0-1", "0-1-2-3", "a-b-c", "0-1-2,", "-1-1-1", "0-1-99999999999999999999"] {
            let error = text.parse::<GtidList>().unwrap_err().to_string();
            assert!(error.contains("such as 0-1-100"), "{error}");
        }
    }

    fn any_list() -> impl Strategy<Value = GtidList> {
        let gtid = (0..4_u32, 1..3_u32, 1..6_u64);
        proptest::collection::vec(gtid, 0..4).prop_map(|gtids| {
            let gtid = |(domain, server, sequence)| (domain, Gtid { server, sequence });
            GtidList { domains: gtids.into_iter().map(gtid).collect() }
        })
    }

    proptest! {
        #[test]
        fn a_list_reads_back_as_it_was_written(list in any_list()) {
            prop_assert_eq!(list.to_string().parse::<GtidList>().unwrap(), list);
        }

        #[test]
        fn containment_is_a_partial_order(a in any_list(), b in any_list(), c in any_list()) {
            prop_assert!(a.contains(&a));
            prop_assert!(!(a.contains(&b) && b.contains(&a)) || a == b);
            if a.contains(&b) && b.contains(&c) {
                prop_assert!(a.contains(&c));
            }
        }

        #[test]
        fn what_contains_another_is_not_changed_by_it(a in any_list(), b in any_list()) {
            if a.contains(&b) {
                prop_assert_eq!(&a.merged(&b), &a);
            }
        }
    }
}
