//! Reigns of engines without timelines: from who follows whom, and who wrote what.
//!
//! PostgreSQL numbers its reigns, MySQL and MariaDB do not. Here each node that answers gets the
//! number that its descent earns it, so that [`super::roles`] decides by one rule for all. Not by
//! `read_only` alone: a former primary that comes back takes writes, too, and follows nobody.

use super::probe::{Lineage, Source};
use super::{Observation, Reign, Seen};
use crate::topology::{NodeId, ServerId, Timeline};

/// The first reign that is known of.
const FIRST: Timeline = Timeline(1);

/// What is seen, with the number of a reign in each answer. Answers of engines with timelines are
/// left as they are; who can be nothing in this cluster is silent, and says why.
pub(super) fn dated(seen: &[Seen], names: &[&str], before: &Reign) -> Vec<Seen> {
    let family = Family { seen, names, before };
    seen.iter().enumerate().map(|(n, seen)| family.date(n, seen)).collect()
}

struct Family<'a> {
    seen: &'a [Seen],
    names: &'a [&'a str],
    before: &'a Reign,
}

/// An answer with a lineage.
fn kin(seen: &Seen) -> Option<(&Observation, &Lineage)> {
    match seen {
        Seen::Says(says) => says.lineage.as_ref().map(|lineage| (says, lineage)),
        _ => None,
    }
}

fn claims(lineage: &Lineage) -> bool {
    lineage.source == Source::Nobody && !lineage.read_only
}

impl Family<'_> {
    fn date(&self, n: usize, seen: &Seen) -> Seen {
        let Some((says, lineage)) = kin(seen) else { return seen.clone() };
        let timeline = match (lineage.source, lineage.read_only) {
            (Source::Nobody, true) => Err("follows nobody, and is read-only".to_string()),
            (Source::Nobody, false) => self.claim(n, lineage),
            (source, _) => self.follows(n, source),
        };
        match timeline {
            Ok(timeline) => Seen::Says(Observation { timeline, ..says.clone() }),
            Err(why) => Seen::Silent(why),
        }
    }

    fn reign(&self) -> Timeline {
        self.before.primary.map_or(FIRST, |(_, timeline)| timeline)
    }

    fn holder(&self) -> Option<usize> {
        self.before.primary.map(|(id, _)| usize::from(id.0))
    }

    fn claimants(&self) -> impl Iterator<Item = (usize, &Lineage)> {
        let kin = self.seen.iter().enumerate().filter_map(|(n, seen)| Some((n, kin(seen)?.1)));
        kin.filter(|(_, lineage)| claims(lineage))
    }

    /// How many nodes follow the server of this id.
    fn followers(&self, id: ServerId) -> usize {
        let follows = |seen: &&Seen| {
            kin(seen).is_some_and(|(_, lineage)| lineage.source == Source::Server(id))
        };
        self.seen.iter().filter(follows).count()
    }

    /// The reign that a node that takes writes and follows nobody stands for.
    fn claim(&self, n: usize, lineage: &Lineage) -> Result<Timeline, String> {
        let Some(holder) = self.holder() else { return self.first(n, lineage) };
        let reign = self.reign();
        if holder == n {
            return Ok(reign);
        }
        let rivals = self.claimants().filter(|(other, _)| *other != n && *other != holder);
        let backed = self.followers(lineage.server);
        let most = rivals.map(|(_, rival)| self.followers(rival.server)).max().unwrap_or(0);
        let of_holder = self.before.server.map_or(0, |id| self.followers(id));
        let holds = self.seen.get(holder).and_then(kin).is_some_and(|(_, l)| claims(l));
        let followed = u8::try_from(n).is_ok_and(|n| self.before.followers.contains(NodeId(n)));
        let stepped_down = self.seen.get(holder).and_then(kin).is_some_and(|(_, of_holder)| {
            !claims(of_holder) && lineage.history.contains(&of_holder.history)
        });
        let heir = backed > of_holder.max(most)
            || (!holds && backed >= most && (followed || stepped_down));
        Ok(Timeline(if heir { reign.0 + 1 } else { reign.0.saturating_sub(1) }))
    }

    /// The same where no reign is known yet: whom most follow, else who has all that others have.
    fn first(&self, n: usize, lineage: &Lineage) -> Result<Timeline, String> {
        let others = || self.claimants().filter(|(other, _)| *other != n);
        let backed = self.followers(lineage.server);
        let most = others().map(|(_, other)| self.followers(other.server)).max().unwrap_or(0);
        if backed != most {
            return Ok(if backed > most { FIRST } else { Timeline(0) });
        }
        if backed == 0
            && let Some(elsewhere) = self.followed_elsewhere()
        {
            return Err(format!("takes writes, but nobody follows it: {elsewhere}"));
        }
        let behind = others().any(|(_, other)| {
            other.history.contains(&lineage.history) && !lineage.history.contains(&other.history)
        });
        Ok(if behind { Timeline(0) } else { FIRST })
    }

    /// Somebody follows a server, and so does not follow any claimant.
    fn followed_elsewhere(&self) -> Option<String> {
        self.seen.iter().zip(self.names).find_map(|(seen, name)| match kin(seen)?.1.source {
            Source::Server(id) => Some(format!("{name} follows the server {id}")),
            _ => None,
        })
    }

    /// The reign that a follower lives under.
    fn follows(&self, n: usize, source: Source) -> Result<Timeline, String> {
        let known = u8::try_from(n).is_ok_and(|n| self.before.followers.contains(NodeId(n)));
        let mut source = source;
        // As many steps as there are nodes lead up any chain; a ring has no top.
        for _ in 0..=self.seen.len() {
            let id = match source {
                Source::Server(id) => id,
                _ if known => return Ok(self.reign()),
                _ => return Err("has not found the server that it shall follow".to_string()),
            };
            let upstream = self.seen.iter().enumerate().find_map(|(at, seen)| {
                kin(seen).filter(|(_, lineage)| lineage.server == id).map(|(_, l)| (at, l))
            });
            match upstream {
                Some((at, lineage)) if claims(lineage) => return self.claim(at, lineage),
                Some((_, lineage)) if lineage.source != Source::Nobody => source = lineage.source,
                Some((at, _)) => {
                    // Read-only on its way out, or not yet in.
                    let holds = self.holder() == Some(at);
                    return match holds {
                        true => Ok(self.reign()),
                        false => Err(format!("follows {}, which is read-only", self.names[at])),
                    };
                }
                None if self.before.server == Some(id) => return Ok(self.reign()),
                None => return Err(format!("follows the server {id}, which is no node in sight")),
            }
        }
        Err("follows nodes that follow each other".to_string())
    }
}

#[cfg(test)]
mod tests;
