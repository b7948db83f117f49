//! The channels a session listens to without a server connection of its own: LISTEN and UNLISTEN
//! as transactions and savepoints take them back.

use super::Session;
use super::batch::Batch;
use super::owed::Owed;
use super::proof::{Doubt, Residue};
use super::receive::Passage;
use super::send::Outgoing;
use crate::pg::wire::{self, HEADER};
use crate::sql::{Pin, Step};
use bytes::{BufMut, BytesMut};
use std::collections::BTreeSet;
use std::sync::Arc;

type Channels = BTreeSet<Arc<str>>;

/// What a session hears.
#[derive(Debug, Default)]
pub struct Hears {
    /// Channels that the hub listens to for this session: those of `current`, those of a LISTEN
    /// that is under way, and those of an UNLISTEN that may still be rolled back.
    served: Channels,
    current: Arc<Channels>,
    /// As it was before the running transaction changed it.
    before: Option<Arc<Channels>>,
    savepoints: Vec<(Box<str>, Arc<Channels>)>,
}

impl Hears {
    /// The hub listens to it from now on.
    pub fn serve(&mut self, channel: Arc<str>) {
        self.served.insert(channel);
    }

    /// Notifications of this channel come from the hub.
    pub fn is_served(&self, channel: &str) -> bool {
        self.served.contains(channel)
    }

    /// The session listens to it.
    pub fn hears(&self, channel: &str) -> bool {
        self.current.contains(channel)
    }

    pub fn is_empty(&self) -> bool {
        self.served.is_empty()
    }

    pub fn served(&self) -> impl Iterator<Item = &str> {
        self.served.iter().map(|channel| &**channel)
    }

    /// Outside of a transaction: what the hub need not listen to any more for this session.
    pub fn surplus(&mut self) -> Vec<Arc<str>> {
        let surplus: Vec<_> = self.served.difference(&self.current).cloned().collect();
        self.served.retain(|channel| self.current.contains(channel));
        surplus
    }

    /// False: the hub does not listen to it.
    fn listen(&mut self, channel: &str) -> bool {
        let Some(channel) = self.served.get(channel).cloned() else { return false };
        self.change().insert(channel);
        true
    }

    fn unlisten(&mut self, channel: &str) {
        if self.current.contains(channel) {
            self.change().remove(channel);
        }
    }

    fn unlisten_all(&mut self) {
        self.change().clear();
    }

    fn change(&mut self) -> &mut Channels {
        if self.before.is_none() {
            self.before = Some(self.current.clone());
        }
        Arc::make_mut(&mut self.current)
    }

    fn savepoint(&mut self, name: &str) {
        self.savepoints.push((name.into(), self.current.clone()));
    }

    /// A savepoint that is not known here is older than this record, and so than all others.
    fn release(&mut self, name: &str) {
        let at = self.savepoints.iter().rposition(|(known, _)| **known == *name);
        self.savepoints.truncate(at.unwrap_or(0));
    }

    fn rollback_to(&mut self, name: &str) {
        match self.savepoints.iter().rposition(|(known, _)| **known == *name) {
            Some(at) => {
                self.savepoints.truncate(at + 1);
                self.current = self.savepoints[at].1.clone();
            }
            None => {
                self.savepoints.clear();
                self.current = self.before.clone().unwrap_or_else(|| self.current.clone());
            }
        }
    }

    fn commit(&mut self) {
        self.before = None;
        self.savepoints.clear();
    }

    fn rollback(&mut self) {
        if let Some(before) = self.before.take() {
            self.current = before;
        }
        self.savepoints.clear();
    }
}

impl Session {
    /// The hub listens to these channels for this session.
    pub fn serve(&mut self, channels: Vec<Arc<str>>) {
        let hears = self.hears.get_or_insert_default();
        channels.into_iter().for_each(|channel| hears.serve(channel));
    }

    /// The hub listens to this channel for this session.
    pub fn is_served(&self, channel: &str) -> bool {
        self.hears.as_ref().is_some_and(|hears| hears.is_served(channel))
    }

    /// Before a batch asks for the session's channels, its server listens to them, too.
    pub fn listen_ahead(&mut self, batch: &Batch, to: &mut Outgoing<'_>) {
        let Some(hears) = self.hears.as_ref().filter(|_| batch.lists_channels) else { return };
        if hears.current.is_empty() {
            return;
        }
        let listen = |channel: &Arc<str>| format!("LISTEN \"{}\";", channel.replace('"', "\"\""));
        let sql: String = hears.current.iter().map(listen).collect();
        to.backend.prepared.unnamed = None;
        wire::put_query(to.out, sql.as_bytes());
        to.owed.push(Owed::Replay);
        self.residue = self.residue.max(Some(Residue::Subscriptions));
    }

    /// The end of the answer was held back: notifications come before it.
    pub fn take_held_ready(&mut self) -> bool {
        std::mem::take(&mut self.ready_held)
    }

    /// What the hub shares out comes from the hub alone.
    pub(super) fn notification(&self, body: &[u8]) -> Passage {
        let Some(hears) = &self.hears else { return Passage::Forward };
        let said = wire::parse_notification(body);
        let channel = said.and_then(|said| std::str::from_utf8(said.channel).ok());
        match channel.is_some_and(|channel| hears.is_served(channel)) {
            true => Passage::Swallow,
            false => Passage::Forward,
        }
    }

    /// What a server said by itself while it was asked something.
    pub fn pass_on(&self, mut said: &[u8], to: &mut BytesMut) {
        while let Ok(Some(header)) = wire::peek(said) {
            let Some((frame, rest)) = said.split_at_checked(header.len) else { break };
            if header.tag != b'A' || matches!(self.notification(&frame[HEADER..]), Passage::Forward)
            {
                to.put_slice(frame);
            }
            said = rest;
        }
    }

    /// A server completed LISTEN.
    pub(super) fn listen(&mut self, channel: &str) {
        if self.hears.as_mut().is_some_and(|hears| hears.listen(channel)) {
            self.residue = self.residue.max(Some(Residue::Subscriptions));
        } else {
            self.pin = self.pin.or(Some(Pin::Listen));
            self.doubts(Doubt::Pin);
        }
    }

    /// A server completed UNLISTEN of `channel`, or of all.
    pub(super) fn unlisten(&mut self, channel: Option<&str>) {
        self.doubts(Doubt::Pin);
        match (&mut self.hears, channel) {
            (Some(hears), Some(channel)) => hears.unlisten(channel),
            (Some(hears), None) => hears.unlisten_all(),
            (None, _) => {}
        }
    }

    /// What a step of a transaction makes of the channels.
    pub(super) fn hear_of(&mut self, step: &Step) {
        let Some(hears) = &mut self.hears else { return };
        match step {
            Step::Savepoint(name) => hears.savepoint(name),
            Step::Release(name) => hears.release(name),
            Step::RollbackTo(name) => hears.rollback_to(name),
            Step::DiscardAll => {
                hears.unlisten_all();
                hears.commit();
            }
            Step::Commit { .. } => hears.commit(),
            Step::Rollback => hears.rollback(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(channels: &[&str]) -> Hears {
        let mut hears = Hears::default();
        channels.iter().for_each(|channel| hears.serve((*channel).into()));
        hears
    }

    #[test]
    fn a_rollback_takes_listen_and_unlisten_back() {
        let mut hears = serving(&["a", "b"]);
        assert!(hears.listen("a") && !hears.listen("unserved"));
        hears.commit();
        hears.unlisten("a");
        assert!(hears.listen("b"));
        assert!(!hears.hears("a") && hears.hears("b"));
        hears.rollback();
        assert!(hears.hears("a") && !hears.hears("b"));
        assert_eq!(hears.surplus(), ["b".into()]);
        assert!(hears.is_served("a") && !hears.is_served("b"));
    }

    #[test]
    fn a_savepoint_brings_back_what_was_heard_then() {
        let mut hears = serving(&["a", "b"]);
        hears.listen("a");
        hears.savepoint("s");
        hears.listen("b");
        hears.savepoint("t");
        hears.unlisten_all();
        hears.rollback_to("t");
        assert!(hears.hears("a") && hears.hears("b"));
        hears.rollback_to("s");
        assert!(hears.hears("a") && !hears.hears("b"));
        hears.release("s");
        hears.commit();
        assert!(hears.hears("a"));
    }

    #[test]
    fn a_savepoint_from_before_the_first_listen_brings_back_silence() {
        let mut hears = serving(&["a"]);
        hears.listen("a");
        hears.savepoint("later");
        hears.rollback_to("earlier");
        assert!(!hears.hears("a"));
        hears.commit();
        assert_eq!(hears.surplus(), ["a".into()]);
        assert!(hears.is_empty());
    }
}
