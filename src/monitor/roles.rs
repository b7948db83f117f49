//! Who is what: a pure function of what the nodes say and of who reigned before.
//!
//! The order of the nodes never matters. A node becomes the primary by its own claim and a
//! timeline no other claimant exceeds; it loses the place to a higher timeline only.

use super::descent::dated;
use super::{Lineage, Observation};
use crate::topology::{Decree, NodeId, NodeSet, Role, ServerId, Timeline};
use std::cmp::Ordering;

/// What is known of one node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was never asked to the end: until then nobody is the primary.
    NotYet,
    /// It answers.
    Says(Observation),
    /// It does not answer, for this reason.
    Silent(String),
}

/// What is remembered from one decision to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reign {
    /// The database system this cluster is made of.
    pub system: Option<u64>,
    /// The last primary and the highest timeline it had.
    pub primary: Option<(NodeId, Timeline)>,
    /// Where there are no timelines: who that primary is to its followers …
    pub server: Option<ServerId>,
    /// … and who follows it, or did when it answered last.
    pub followers: NodeSet,
}

/// The roles of all nodes, in the order of the nodes, and what to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub primary: Option<NodeId>,
    pub roles: Vec<Role>,
    /// Why each node has its role, for the log.
    pub because: Vec<String>,
    pub reign: Reign,
}

/// A node of the cluster's system that says it takes writes.
type Claim = (NodeId, Timeline);

/// Decides the roles. `names` are for the reasons.
pub fn roles(seen: &[Seen], names: &[&str], before: Reign, decree: &Decree) -> Verdict {
    let seen = &dated(seen, names, &before)[..];
    let complete = !seen.contains(&Seen::NotYet);
    let system = if complete { system(seen, before.system) } else { before.system };
    let claims: Vec<Claim> = answers(seen)
        .filter(|(id, says)| !says.in_recovery && Some(says.system) == system && decree.admits(*id))
        .map(|(id, says)| (id, says.timeline))
        .collect();
    // Timelines of another system say nothing about this one's.
    let last = before.primary.filter(|_| before.system == system);
    let primary = if complete { elect(&claims, seen, last) } else { Err(Dispute::Early) };
    let held = primary.as_ref().ok().copied().flatten().or(last);
    let mut reign = Reign { system, primary: held, server: None, followers: NodeSet::EMPTY };
    if held == last {
        reign.server = before.server;
    }
    if let Ok(Some((id, _))) = primary {
        reign.server = lineage(&seen[usize::from(id.0)]).map(|lineage| lineage.server);
    }
    let of_primary = primary.as_ref().ok().copied().flatten();
    let of_primary = of_primary.and_then(|(id, _)| lineage(&seen[usize::from(id.0)]));
    let court = Court { system, primary: &primary, reign, names, of_primary, decree };
    let (roles, because): (Vec<Role>, Vec<String>) =
        seen.iter().enumerate().map(|(n, seen)| court.role(n, seen)).unzip();
    reign.followers = followers(seen, &roles, &before, held == last);
    Verdict { primary: primary.ok().flatten().map(|(id, _)| id), roles, because, reign }
}

fn lineage(seen: &Seen) -> Option<&Lineage> {
    match seen {
        Seen::Says(says) => says.lineage.as_ref(),
        _ => None,
    }
}

/// Replicas, and those that were and do not answer, as long as the reign is the same.
fn followers(seen: &[Seen], roles: &[Role], before: &Reign, same: bool) -> NodeSet {
    let mut all = NodeSet::EMPTY;
    for (n, (seen, role)) in seen.iter().zip(roles).enumerate() {
        let silent = same && matches!(seen, Seen::Silent(_)) && before.followers.contains(id(n));
        if silent || (*role == Role::Replica && lineage(seen).is_some()) {
            all.insert(id(n));
        }
    }
    all
}

fn answers(seen: &[Seen]) -> impl Iterator<Item = (NodeId, &Observation)> {
    seen.iter().enumerate().filter_map(|(n, seen)| match seen {
        Seen::Says(says) => Some((id(n), says)),
        _ => None,
    })
}

fn id(index: usize) -> NodeId {
    NodeId(u8::try_from(index).unwrap_or(u8::MAX))
}

/// The system of most nodes that answer. What was settled before stays, unless more than half of
/// all nodes are of another one. A draw settles nothing.
fn system(seen: &[Seen], before: Option<u64>) -> Option<u64> {
    let count = |system: u64| answers(seen).filter(|(_, says)| says.system == system).count();
    let most = answers(seen).map(|(_, says)| says.system).max_by_key(|system| count(*system))?;
    if before.is_some() {
        return if count(most) * 2 > seen.len() { Some(most) } else { before };
    }
    let draw = answers(seen).any(|(_, o)| o.system != most && count(o.system) == count(most));
    (!draw).then_some(most)
}

/// Why nobody is the primary although it may be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Dispute {
    /// Not every node was asked yet.
    Early,
    /// These claim it on the same timeline, and none of them had it before.
    Draw(Vec<NodeId>),
}

/// The claimant of the highest timeline, not below the last reign's. On the same timeline the
/// last primary keeps the place: as long as it claims it, and while it is silent, too, for it may
/// still serve somebody. It gives way when it says that it follows another.
fn elect(claims: &[Claim], seen: &[Seen], last: Option<Claim>) -> Result<Option<Claim>, Dispute> {
    let Some(highest) = claims.iter().map(|(_, timeline)| *timeline).max() else { return Ok(None) };
    let mut top = claims.iter().filter(|(_, timeline)| *timeline == highest);
    if let Some((last, reigned)) = last {
        let holds = match highest.cmp(&reigned) {
            Ordering::Less => true,
            Ordering::Equal => !follows_now(&seen[usize::from(last.0)]),
            Ordering::Greater => false,
        };
        if holds {
            return Ok(top.find(|claim| **claim == (last, reigned)).copied());
        }
    }
    let top: Vec<Claim> = top.copied().collect();
    match top.as_slice() {
        [only] => Ok(Some(*only)),
        several => Err(Dispute::Draw(several.iter().map(|(id, _)| *id).collect())),
    }
}

fn follows_now(seen: &Seen) -> bool {
    matches!(seen, Seen::Says(says) if says.in_recovery)
}

/// Everything a single node's role depends on.
struct Court<'a> {
    system: Option<u64>,
    primary: &'a Result<Option<Claim>, Dispute>,
    reign: Reign,
    names: &'a [&'a str],
    /// What the primary says, where there are no timelines.
    of_primary: Option<&'a Lineage>,
    decree: &'a Decree,
}

impl Court<'_> {
    fn role(&self, n: usize, seen: &Seen) -> (Role, String) {
        let deposed = self.decree.deposed().contains(id(n));
        if self.decree.fenced().contains(id(n)) {
            return (Role::Fenced, "fenced by an operator".to_string());
        }
        let says = match seen {
            Seen::Silent(why) if deposed => {
                return (Role::Fenced, format!("gave up its reign, and is silent: {why}"));
            }
            Seen::NotYet => return unknown("not asked yet".to_string()),
            Seen::Silent(why) => return unknown(why.clone()),
            Seen::Says(says) => says,
        };
        match self.system {
            None if *self.primary == Err(Dispute::Early) => {
                return unknown("waiting until every node was asked".to_string());
            }
            None => return unknown("the nodes are of different database systems".to_string()),
            Some(system) if says.system != system => {
                return unknown(format!(
                    "another system identifier: {}, the cluster's is {system}",
                    says.system
                ));
            }
            Some(_) => {}
        }
        if says.in_recovery { self.follower(says) } else { self.claimant(id(n), says) }
    }

    fn follower(&self, says: &Observation) -> (Role, String) {
        match self.reign.primary {
            Some((node, timeline)) if timeline != says.timeline => unknown(format!(
                "on timeline {}, but the primary {} is on {}",
                says.timeline.0,
                self.name(node),
                timeline.0
            )),
            _ => match self.foreign(says) {
                Some(gtids) => unknown(format!("has transactions of another history: {gtids}")),
                None => (Role::Replica, format!("follows on timeline {}", says.timeline.0)),
            },
        }
    }

    /// What a follower has that its primary never had.
    fn foreign(&self, says: &Observation) -> Option<String> {
        let primary = self.of_primary?;
        says.lineage.as_ref()?.history.beyond(&primary.history, primary.server)
    }

    fn claimant(&self, id: NodeId, says: &Observation) -> (Role, String) {
        let timeline = says.timeline.0;
        if self.decree.deposed().contains(id) {
            return (Role::Fenced, format!("gave up its reign, and claims timeline {timeline}"));
        }
        if let Decree::Nobody { because, .. } = self.decree {
            return unknown(format!("may not take writes now: {because}"));
        }
        match (self.primary, self.reign.primary) {
            (Ok(Some((primary, _))), _) if *primary == id => {
                (Role::Primary, format!("takes writes on timeline {timeline}"))
            }
            (Err(Dispute::Early), _) => unknown("waiting until every node was asked".to_string()),
            (Err(Dispute::Draw(rivals)), _) if rivals.contains(&id) => {
                let names: Vec<&str> = rivals.iter().map(|id| self.name(*id)).collect();
                let names = names.join(" and ");
                unknown(format!("{names} all claim to be the primary on timeline {timeline}"))
            }
            (_, Some((holder, reigned))) => {
                let holder = self.name(holder);
                let reigned = reigned.0;
                let why = format!(
                    "claims to be the primary on timeline {timeline}, but {holder} is on {reigned}"
                );
                (Role::Fenced, why)
            }
            (_, None) => (Role::Fenced, format!("claims timeline {timeline}, another is higher")),
        }
    }

    fn name(&self, id: NodeId) -> &str {
        self.names.get(usize::from(id.0)).copied().unwrap_or("?")
    }
}

fn unknown(why: String) -> (Role, String) {
    (Role::Unknown(why.as_str().into()), why)
}

#[cfg(test)]
mod tests;
