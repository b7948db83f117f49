//! Servers as the protocol sees them: a log, whom they follow, what they promised.

use std::collections::BTreeSet;
use tidegate::failover::{Candidate, Name, Place, Promoted, Quorum, Term};
use tidegate::topology::Lsn;

pub(crate) const NODES: usize = 3;

pub(crate) fn name(node: usize) -> Name {
    ["a", "b", "c"][node].into()
}

pub(crate) fn number(name: &Name) -> usize {
    usize::from(name.as_bytes()[0] - b'a')
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) alive: bool,
    pub(crate) primary: bool,
    pub(crate) fenced: bool,
    pub(crate) timeline: u32,
    /// Where this timeline left the one before.
    pub(crate) fork: usize,
    pub(crate) log: Vec<u8>,
    pub(crate) follows: Option<usize>,
    pub(crate) promised: Term,
    pub(crate) row: Term,
    /// What its commits wait for, while it is a primary.
    pub(crate) quorum: Option<Quorum>,
}

/// An order on its way: it may arrive at any time, never, or more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Order {
    Revoke(usize, Term),
    Fence(usize),
    Promote(usize),
    Repoint(usize, usize, Term),
}

impl Server {
    pub(crate) fn first(node: usize, quorum: Option<Quorum>) -> Server {
        Server {
            alive: true,
            primary: node == 0,
            fenced: false,
            timeline: 1,
            fork: 0,
            log: Vec::new(),
            follows: (node != 0).then_some(0),
            promised: Term(1),
            row: Term(1),
            quorum: quorum.filter(|_| node == 0),
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place { timeline: self.timeline, lsn: Lsn(self.log.len() as u64) }
    }

    pub(crate) fn candidate(&self, node: usize) -> Candidate {
        Candidate { name: name(node), received: self.place(), unreplayed: 0, priority: 1 }
    }

    pub(crate) fn promoted(&self) -> Option<Promoted> {
        let fork = Lsn(self.fork as u64);
        self.primary.then_some(Promoted { timeline: self.timeline, fork })
    }

    /// The order arrives.
    pub(crate) fn obey(&mut self, order: Order) {
        match order {
            Order::Revoke(_, term) if !self.primary && term >= self.promised => {
                self.promised = term;
                self.follows = None;
            }
            Order::Fence(_) => self.fenced = true,
            Order::Promote(_) if !self.primary => {
                self.primary = true;
                self.follows = None;
                self.fork = self.log.len();
                self.timeline += 1;
            }
            Order::Repoint(_, to, term) if !self.primary && term >= self.promised => {
                self.follows = Some(to);
            }
            _ => {}
        }
    }
}

/// The standby receives all that its primary has, if their histories are one.
pub(crate) fn replicate(servers: &mut [Server], standby: usize) -> bool {
    let Some(from) = servers[standby].follows else { return false };
    let (primary, own) = (servers[from].clone(), &mut servers[standby]);
    let same = primary.timeline == own.timeline;
    let next = primary.timeline == own.timeline + 1 && own.log.len() <= primary.fork;
    let behind = own.log.len() < primary.log.len() || next;
    let joins = primary.alive && primary.primary && own.alive && (same || next);
    if !joins || !behind || !primary.log.starts_with(&own.log) {
        return false;
    }
    own.log.clone_from(&primary.log);
    own.timeline = primary.timeline;
    true
}

/// The servers that have this write.
pub(crate) fn holders(servers: &[Server], write: u8) -> BTreeSet<Name> {
    let have = |(_, server): &(usize, &Server)| server.log.contains(&write);
    servers.iter().enumerate().filter(have).map(|(node, _)| name(node)).collect()
}
