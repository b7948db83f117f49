//! All that can happen, one thing at a time.

use crate::broken::Broken;
use crate::servers::{NODES, Order, Server, holders, name, number, replicate};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use tidegate::failover::{
    Change, Evidence, Fact, Guarantee, Kind, Name, Phase, Quorum, Record, Step, Term, begin,
    choose, may_promote, next, note, quorum_after,
};

pub(crate) const NOTHING_LOST: &str = "what was acknowledged is on the primary (I2, I6)";
pub(crate) const ONE_WRITER: &str = "a former primary acknowledges nothing (I1)";
pub(crate) const ONE_PRIMARY: &str = "one promotion in a term (I1)";
pub(crate) const TERMS_GROW: &str = "the record never goes back (I1)";
pub(crate) const PROVEN: &str = "no promotion without quorum or evidence (I5)";

const COORDINATORS: usize = 2;

pub(crate) struct Protocol {
    guarantee: Guarantee,
    broken: Broken,
    /// Failovers that may be begun, and writes that clients make.
    begins: u8,
    writes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The shared record and its revision.
    record: Record,
    revision: u8,
    /// What each coordinator read, and at which revision; `None`: nothing, or it crashed.
    read: [Option<(u8, Record)>; COORDINATORS],
    servers: Vec<Server>,
    orders: BTreeSet<Order>,
    /// Whom the proxy takes for the primary; it may be late to hear of a change.
    trusts: Option<usize>,
    written: u8,
    acknowledged: BTreeSet<u8>,
    begun: u8,
    died: bool,
    returned: bool,
    /// What must never be true.
    violated: BTreeSet<&'static str>,
    promoted: BTreeMap<Term, usize>,
    highest: (Term, usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Read(usize),
    Crash(usize),
    Begin(usize),
    Step(usize),
    Arrive(Order),
    Replicate(usize),
    /// The primary dies, and may come back as what it was.
    Die,
    Return,
    /// The proxy looks at the record.
    Look,
    Write,
    Acknowledge(u8, usize),
}

impl Protocol {
    pub(crate) fn new(guarantee: Guarantee, broken: Broken, writes: u8) -> Protocol {
        Protocol { guarantee, broken, begins: 1, writes }
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn change(&self, from: &Name) -> Change {
        Change::new(Kind::Failover, self.guarantee, from.clone(), "")
    }

    /// What the coordinator observes for its next step; `None`: not yet.
    fn observe(&self, world: &mut World, record: &Record, step: &Step) -> Option<Fact> {
        let change = record.change.as_ref()?;
        let from = number(&change.from);
        match step {
            Step::Quiet => {
                let waits = self.guarantee == Guarantee::Available && !self.is(Broken::Barrier);
                (!waits || world.trusts != Some(from)).then_some(Fact::Quiet)
            }
            Step::Revoke => self.revoke(world, record, from),
            Step::Fence => {
                world.orders.insert(Order::Fence(from));
                self.evidence(world, record, from).map(Fact::Fenced)
            }
            Step::Choose => self.choose(world, record),
            Step::Order(_) => Some(Fact::Ordered),
            Step::Promote(to) => {
                world.orders.insert(Order::Promote(number(to)));
                world.servers[number(to)].promoted().map(Fact::Promoted)
            }
            Step::Install(to) => {
                let server = &mut world.servers[number(to)];
                server.row = server.row.max(record.term);
                server.quorum = quorum_after(record);
                Some(Fact::Installed)
            }
            Step::Repoint(to) => {
                let others = (0..NODES).filter(|node| *node != number(to) && *node != from);
                let term = record.term;
                world.orders.extend(others.map(|node| Order::Repoint(node, number(to), term)));
                Some(Fact::Repointed)
            }
            Step::Checkpoint(_) => Some(Fact::Checkpointed),
            Step::Drain | Step::Restore(_) => None,
        }
    }

    fn revoke(&self, world: &mut World, record: &Record, from: usize) -> Option<Fact> {
        let others = (0..NODES).filter(|node| *node != from);
        world.orders.extend(others.clone().map(|node| Order::Revoke(node, record.term)));
        let let_go = |node: &usize| {
            let server = &world.servers[*node];
            let told = self.is(Broken::Revocation);
            told || (server.promised == record.term && server.follows.is_none())
        };
        let revoked = others.filter(let_go).map(|n| (name(n), world.servers[n].place())).collect();
        let fact = Fact::Revoked(revoked);
        let would_be = note(record, fact.clone());
        let enough = match may_promote(&would_be) {
            Ok(()) | Err(tidegate::failover::Obstacle::NoEvidence) => true,
            Err(tidegate::failover::Obstacle::NoQuorum { have, .. }) => {
                self.is(Broken::Quorum) && have > 0
            }
            Err(_) => false,
        };
        enough.then_some(fact)
    }

    fn evidence(&self, world: &World, record: &Record, from: usize) -> Option<Evidence> {
        let server = &world.servers[from];
        if server.fenced || self.is(Broken::Fence) {
            return Some(Evidence::LoginsRefused);
        }
        if !server.alive {
            return Some(Evidence::NobodyListens);
        }
        let strict = self.guarantee == Guarantee::Strict;
        let decided = may_promote(&note(record, Fact::Fenced(Evidence::Revocation))).is_ok();
        (strict && (decided || self.is(Broken::Quorum))).then_some(Evidence::Revocation)
    }

    fn choose(&self, world: &World, record: &Record) -> Option<Fact> {
        let revoked = record.change.as_ref()?.revoked.as_ref()?;
        if !self.is(Broken::Quorum) {
            may_promote(record).ok()?;
        }
        let standbys = revoked.keys().map(number).filter(|node| !world.servers[*node].primary);
        let seen: Vec<_> = standbys.map(|node| world.servers[node].candidate(node)).collect();
        if self.is(Broken::Choice) {
            let least = seen.iter().min_by_key(|c| c.received)?;
            return Some(Fact::Chosen(least.name.clone()));
        }
        choose(record, &seen).ok().map(Fact::Chosen)
    }

    /// The coordinator takes its next step and writes it down, if nobody else was quicker.
    fn step(&self, world: &mut World, coordinator: usize) -> Option<()> {
        let (revision, mut record) = world.read[coordinator].clone()?;
        if self.is(Broken::Order)
            && let Some(change) = record.change.as_mut()
            && change.promoted.is_none()
            && change.ordered
            && change.chosen.iter().any(|c| world.orders.contains(&Order::Promote(number(c))))
        {
            // As if it had not been written down that the order may be out.
            let mut others = change.revoked.iter().flatten().map(|(name, _)| name.clone());
            let other = others.find(|name| Some(name) != change.chosen.as_ref());
            change.chosen = other;
        }
        let step = next(&record)?;
        let orders = world.orders.clone();
        let fact = self.observe(world, &record, &step);
        let Some(fact) = fact else { return (orders != world.orders).then_some(()) };
        let noted = note(&record, fact);
        if world.revision != revision && !self.is(Broken::Compare) {
            world.read[coordinator] = None;
            return Some(());
        }
        self.replace(world, coordinator, noted);
        Some(())
    }

    fn replace(&self, world: &mut World, coordinator: usize, record: Record) {
        let facts = progress(&record);
        if (record.term, facts) < world.highest {
            world.violated.insert(TERMS_GROW);
        }
        world.highest = world.highest.max((record.term, facts));
        world.record = record.clone();
        world.revision += 1;
        world.read[coordinator] = Some((world.revision, record));
    }

    fn arrive(&self, world: &mut World, order: Order) {
        let node = match order {
            Order::Revoke(node, _) | Order::Fence(node) => node,
            Order::Promote(node) | Order::Repoint(node, ..) => node,
        };
        if !world.servers[node].alive {
            return;
        }
        let before = world.servers[node].primary;
        world.servers[node].obey(order);
        if !before && world.servers[node].primary {
            let term = world.record.term;
            if world.promoted.insert(term, node).is_some_and(|other| other != node) {
                world.violated.insert(ONE_PRIMARY);
            }
            if !self.is_proven(world) {
                world.violated.insert(PROVEN);
            }
        }
    }

    /// By the servers themselves, whatever the record says.
    fn is_proven(&self, world: &World) -> bool {
        let Some(change) = &world.record.change else { return true };
        let from = number(&change.from);
        match self.guarantee {
            Guarantee::Available => {
                world.servers[from].fenced || !world.servers[from].alive || world.died
            }
            Guarantee::Strict => {
                let follows = |n: &Name| world.servers[number(n)].follows == Some(from);
                let quorum = world.servers[from].quorum.as_ref();
                quorum.is_none_or(|q| q.voters.iter().filter(|v| follows(v)).count() < q.write)
            }
        }
    }

    fn acknowledge(&self, world: &mut World, write: u8, node: usize) {
        world.acknowledged.insert(write);
        let newer =
            world.servers.iter().any(|s| s.primary && s.timeline > world.servers[node].timeline);
        if self.guarantee == Guarantee::Available && newer {
            world.violated.insert(ONE_WRITER);
        }
    }

    /// The server has it, and as many standbys as it waits for.
    fn may_acknowledge(&self, world: &World, write: u8, node: usize) -> bool {
        let server = &world.servers[node];
        let serves = server.alive && server.primary && !server.fenced && world.trusts == Some(node);
        let enough = match (&server.quorum, self.guarantee) {
            (Some(quorum), Guarantee::Strict) => {
                let have = holders(&world.servers, write);
                quorum.voters.intersection(&have).count() >= quorum.write
            }
            _ => true,
        };
        serves && server.log.contains(&write) && !world.acknowledged.contains(&write) && enough
    }
}

/// How many facts of the change are known.
fn progress(record: &Record) -> usize {
    let Some(change) = &record.change else { return usize::MAX };
    let facts = [
        change.quiet,
        change.revoked.is_some(),
        change.evidence.is_some(),
        change.chosen.is_some(),
        change.ordered,
        change.promoted.is_some(),
        change.installed,
        change.repointed,
    ];
    facts.iter().filter(|fact| **fact).count()
}

impl Model for Protocol {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let voters = BTreeSet::from([name(1), name(2)]);
        let quorum = (self.guarantee == Guarantee::Strict).then_some(Quorum { write: 1, voters });
        let mut record = Record::adopt("x".into(), "h".into(), Term(1), (name(0), 7, 1));
        record.quorum = quorum.clone();
        vec![World {
            record,
            revision: 0,
            read: [None, None],
            servers: (0..NODES).map(|node| Server::first(node, quorum.clone())).collect(),
            orders: BTreeSet::new(),
            trusts: Some(0),
            written: 0,
            acknowledged: BTreeSet::new(),
            begun: 0,
            died: false,
            returned: false,
            violated: BTreeSet::new(),
            promoted: BTreeMap::new(),
            highest: (Term(1), usize::MAX),
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        for coordinator in 0..COORDINATORS {
            match &world.read[coordinator] {
                None => events.push(Event::Read(coordinator)),
                Some((_, record)) => {
                    events.push(Event::Crash(coordinator));
                    if record.change.is_some() {
                        events.push(Event::Step(coordinator));
                    } else if world.begun < self.begins {
                        events.push(Event::Begin(coordinator));
                    }
                }
            }
        }
        events.extend(world.orders.iter().copied().map(Event::Arrive));
        events.extend((0..NODES).map(Event::Replicate));
        events.extend((!world.died).then_some(Event::Die));
        events.extend((world.died && !world.returned).then_some(Event::Return));
        events.push(Event::Look);
        events.extend((world.written < self.writes).then_some(Event::Write));
        for write in 1..=world.written {
            events.extend((0..NODES).map(|node| Event::Acknowledge(write, node)));
        }
    }

    fn next_state(&self, before: &World, event: Event) -> Option<World> {
        let mut world = before.clone();
        match event {
            Event::Read(who) => world.read[who] = Some((world.revision, world.record.clone())),
            Event::Crash(who) => world.read[who] = None,
            Event::Begin(who) => {
                let (revision, record) = world.read[who].clone()?;
                if world.revision != revision {
                    return None;
                }
                world.begun += 1;
                let record = begin(&record, self.change(&record.primary));
                self.replace(&mut world, who, record);
            }
            Event::Step(who) => self.step(&mut world, who)?,
            Event::Arrive(order) => self.arrive(&mut world, order),
            Event::Replicate(node) => drop(replicate(&mut world.servers, node)),
            Event::Die => {
                world.servers[0].alive = false;
                world.died = true;
                // Connections end with it; new ones need the record's word.
                world.trusts = world.trusts.filter(|node| *node != 0 || self.is(Broken::Barrier));
            }
            Event::Return => {
                world.servers[0].alive = true;
                world.returned = true;
            }
            Event::Look => world.trusts = world.record.reigning().map(number),
            Event::Write => {
                let server = &mut world.servers[world.trusts?];
                if !server.alive || !server.primary || server.fenced {
                    return None;
                }
                world.written += 1;
                server.log.push(world.written);
            }
            Event::Acknowledge(write, node) => {
                if !self.may_acknowledge(&world, write, node) {
                    return None;
                }
                self.acknowledge(&mut world, write, node);
            }
        }
        // The coordinators are alike: which of them is which does not matter.
        world.read.sort_by_cached_key(|read| {
            use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
            BuildHasherDefault::<DefaultHasher>::default().hash_one(read)
        });
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        fn kept(_: &Protocol, world: &World) -> bool {
            let strict = world.record.quorum.is_some();
            let Some(primary) = world.record.reigning() else { return true };
            let log = &world.servers[number(primary)].log;
            !strict || world.acknowledged.iter().all(|write| log.contains(write))
        }
        fn finished(_: &Protocol, world: &World) -> bool {
            world.record.phase() == Phase::Active && world.record.term > Term(1)
        }
        vec![
            Property::always(NOTHING_LOST, kept),
            Property::always(ONE_WRITER, |_, w: &World| !w.violated.contains(ONE_WRITER)),
            Property::always(ONE_PRIMARY, |_, w: &World| !w.violated.contains(ONE_PRIMARY)),
            Property::always(TERMS_GROW, |_, w: &World| !w.violated.contains(TERMS_GROW)),
            Property::always(PROVEN, |_, w: &World| !w.violated.contains(PROVEN)),
            Property::sometimes("a failover is finished", finished),
        ]
    }
}
