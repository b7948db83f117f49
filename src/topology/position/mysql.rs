//! MySQL's GTID sets: `uuid:1-5:7:tag:1-3`, separated by commas.

use super::NoGtid;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The GTIDs that a server executed, as in `gtid_executed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    /// By author and tag (empty: none): disjoint ranges in order, first and last number.
    ranges: BTreeMap<Author, Vec<(u64, u64)>>,
}

/// A server's UUID, and a tag.
type Author = (u128, Box<str>);

impl GtidSet {
    /// True when each GTID of `other` is in this set.
    pub fn contains(&self, other: &GtidSet) -> bool {
        other.ranges.iter().all(|(author, theirs)| {
            let Some(mine) = self.ranges.get(author) else { return false };
            let mut mine = mine.iter();
            let mut at = mine.next();
            theirs.iter().all(|(first, last)| {
                while at.is_some_and(|(_, end)| end < first) {
                    at = mine.next();
                }
                at.is_some_and(|(start, end)| start <= first && end >= last)
            })
        })
    }

    /// The GTIDs of this set that `other` lacks and that another server than `author` wrote.
    pub fn beyond(&self, other: &GtidSet, author: u128) -> GtidSet {
        let mut rest = GtidSet::default();
        for ((uuid, tag), ranges) in self.ranges.iter().filter(|((uuid, _), _)| *uuid != author) {
            let theirs = other.ranges.get(&(*uuid, tag.clone()));
            for (first, last) in ranges {
                let mut from = *first;
                for (start, end) in theirs.into_iter().flatten() {
                    if from < *start && from <= *last {
                        rest.insert(*uuid, tag, from, (*last).min(start - 1));
                    }
                    from = from.max(end.saturating_add(1));
                }
                if from <= *last {
                    rest.insert(*uuid, tag, from, *last);
                }
            }
        }
        rest
    }

    fn insert(&mut self, author: u128, tag: &str, first: u64, last: u64) {
        let ranges = self.ranges.entry((author, tag.into())).or_default();
        // What touches the new range becomes part of it.
        let from = ranges.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = ranges.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let touched = &ranges[from..to.max(from)];
        let start = touched.first().map_or(first, |(start, _)| first.min(*start));
        let end = touched.last().map_or(last, |(_, end)| last.max(*end));
        ranges.splice(from..to.max(from), [(start, end)]);
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for ((author, tag), ranges) in &self.ranges {
            if before != Some(*author) {
                let comma = if before.is_none() { "" } else { "," };
                write!(f, "{comma}{}", Uuid(*author))?;
                before = Some(*author);
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (first, last) in ranges {
                match first == last {
                    true => write!(f, ":{first}")?,
                    false => write!(f, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

/// A UUID as MySQL writes it.
pub(super) struct Uuid(pub(super) u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl FromStr for GtidSet {
    type Err = NoGtid;

    fn from_str(text: &str) -> Result<GtidSet, NoGtid> {
        const EXAMPLE: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
        let wrong = || NoGtid { text: text.to_string(), kind: "GTID set", example: EXAMPLE };
        let mut set = GtidSet::default();
        // The server breaks lines between authors, and may leave the last one empty.
        for author in text.split(',').map(str::trim).filter(|author| !author.is_empty()) {
            add(&mut set, author).ok_or_else(wrong)?;
        }
        Ok(set)
    }
}

/// `uuid[:tag]:range[:range…][:tag:range…]`
fn add(set: &mut GtidSet, text: &str) -> Option<()> {
    let mut parts = text.split(':').map(str::trim);
    let author = uuid(parts.next()?)?;
    let mut tag = String::new();
    for part in parts {
        let word = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if word && !part.starts_with(|first: char| first.is_ascii_digit()) {
            tag = part.to_ascii_lowercase();
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first == 0 || last < first {
            return None;
        }
        set.insert(author, &tag, first, last);
    }
    Some(())
}

/// With or without its dashes, in any case.
pub(super) fn uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(&digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429563";

    fn set(text: &str) -> GtidSet {
        text.replace('A', A).replace('B', B).parse().unwrap()
    }

    #[test]
    fn every_gtid_must_be_there() {
        assert!(set("A:1-9").contains(&set("A:2-3:5-9")));
        assert!(!set("A:1-4:6-9").contains(&set("A:4-6")));
        assert!(!set("A:1-9").contains(&set("A:1-9,B:1")));
        assert!(set("A:1-9,B:1-2").contains(&set("B:2")));
        assert!(set("").contains(&set("")));
    }

    #[test]
    fn tags_are_sets_of_their_own() {
        let tagged = set("A:1-5:blue:1-3:7:green:2");
        assert!(tagged.contains(&set("A:blue:7")));
        assert!(tagged.contains(&set("A:GREEN:2")));
        assert!(!tagged.contains(&set("A:blue:5")));
        assert!(!set("A:1-9").contains(&tagged));
        assert_eq!(tagged.to_string(), format!("{A}:1-5:blue:1-3:7:green:2"));
    }

    #[test]
    fn a_set_is_read_as_the_server_writes_it() {
        let text = format!("{A}:1-5:7,\n{}:1", B.to_uppercase());
        assert_eq!(text.parse::<GtidSet>().unwrap(), set("B:1,A:7:1-3:4-5"));
        assert_eq!(set("A:1-9,B:2").beyond(&set("A:3-4:8"), uuid(B).unwrap()), set("A:1-2:5-7:9"));
        for text in ["A:0", "A:5-3", "A:x y", "A:1-", "1-5", "0-1-5"] {
            assert!(text.replace('A', A).parse::<GtidSet>().is_err(), "{text}");
        }
    }

    fn numbers() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
        proptest::collection::vec((0..3_u8, 1..20_u64, 0..4_u64), 0..8)
    }

    fn both(numbers: &[(u8, u64, u64)]) -> (GtidSet, HashSet<(u8, u64)>) {
        let (mut set, mut plain) = (GtidSet::default(), HashSet::new());
        for (author, first, more) in numbers {
            let tag = if *author == 2 { "t" } else { "" };
            set.insert(u128::from(*author), tag, *first, first + more);
            plain.extend((*first..=first + more).map(|number| (*author, number)));
        }
        (set, plain)
    }

    proptest! {
        #[test]
        fn a_set_reads_back_as_it_was_written(numbers in numbers()) {
            let (set, _) = both(&numbers);
            prop_assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
        }

        #[test]
        fn what_is_beyond_is_what_the_other_lacks(a in numbers(), b in numbers()) {
            let ((a, all_a), (b, all_b)) = (both(&a), both(&b));
            let rest: Vec<_> = all_a.difference(&all_b).filter(|(author, _)| *author != 1).collect();
            let rest: Vec<_> = rest.into_iter().map(|(author, n)| (*author, *n, 0)).collect();
            prop_assert_eq!(a.beyond(&b, 1), both(&rest).0);
        }

        #[test]
        fn containment_is_that_of_the_single_gtids(a in numbers(), b in numbers()) {
            let ((a, all_a), (b, all_b)) = (both(&a), both(&b));
            prop_assert_eq!(a.contains(&b), all_a.is_superset(&all_b));
            prop_assert_eq!(a == b, all_a == all_b);
        }
    }
}
