//! Who hears what, and what the connection that listens for all is to be told. No I/O.

use super::mailbox::{Letter, Mailbox};
use crate::pg::wire::{self, Notification};
use bytes::BytesMut;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A session on a channel.
struct Listener {
    mailbox: Arc<Mailbox>,
    /// Not before the server has confirmed: what was notified earlier is not for this one.
    hears: bool,
}

/// What a session waits for: that the server listens, that everything until now is heard.
#[derive(Debug)]
struct Ask {
    who: u64,
    channels: Vec<Arc<str>>,
    done: oneshot::Sender<()>,
}

/// Sizes for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub channels: usize,
    /// Sessions that listen, each counted once for each of its channels.
    pub listeners: usize,
}

#[derive(Default)]
pub(super) struct Roster {
    channels: BTreeMap<Arc<str>, Vec<Listener>>,
    /// What the connection listens to once it has answered; `None`: there is no connection.
    on_server: Option<BTreeSet<Arc<str>>>,
    /// For the next statement, and for the one that is under way.
    waiting: Vec<Ask>,
    asked: Option<Vec<Ask>>,
    /// Those who have more than they should.
    crowded: Vec<Arc<Mailbox>>,
}

impl Roster {
    pub(super) fn listen(
        &mut self,
        mailbox: &Arc<Mailbox>,
        channels: &[Arc<str>],
    ) -> oneshot::Receiver<()> {
        for channel in channels {
            let listeners = self.channels.entry(channel.clone()).or_default();
            if !listeners.iter().any(|known| known.mailbox.id() == mailbox.id()) {
                listeners.push(Listener { mailbox: mailbox.clone(), hears: false });
            }
        }
        self.ask(mailbox.id(), channels.to_vec())
    }

    /// Resolves when everything is heard that was committed before; `None`: nothing will be.
    pub(super) fn catch_up(&mut self) -> Option<oneshot::Receiver<()>> {
        self.on_server.is_some().then(|| self.ask(0, Vec::new()))
    }

    fn ask(&mut self, who: u64, channels: Vec<Arc<str>>) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.waiting.push(Ask { who, channels, done });
        receiver
    }

    /// The session does not listen to these any more.
    pub(super) fn unlisten(&mut self, who: u64, channels: &[Arc<str>]) {
        for channel in channels {
            if let Some(listeners) = self.channels.get_mut(channel) {
                listeners.retain(|listener| listener.mailbox.id() != who);
                if listeners.is_empty() {
                    self.channels.remove(channel);
                }
            }
        }
    }

    /// The session is gone.
    pub(super) fn leave(&mut self, who: u64) {
        self.channels.retain(|_, listeners| {
            listeners.retain(|listener| listener.mailbox.id() != who);
            !listeners.is_empty()
        });
    }

    /// A new connection listens to nothing yet.
    pub(super) fn connected(&mut self) {
        self.on_server = Some(BTreeSet::new());
    }

    /// There is no connection any more, or no way to one: whoever waits for it does so in vain.
    pub(super) fn disconnected(&mut self) {
        self.on_server = None;
        self.waiting.clear();
        self.asked = None;
    }

    /// The next statement for the server, one at a time. Even an empty one has it deliver what was
    /// committed before: a backend does so ahead of ReadyForQuery.
    pub(super) fn next(&mut self) -> Option<String> {
        let on_server = self.on_server.as_mut().filter(|_| self.asked.is_none())?;
        let mut sql = String::new();
        on_server.retain(|channel| {
            let wanted = self.channels.contains_key(channel);
            if !wanted {
                statement(&mut sql, "UNLISTEN", channel);
            }
            wanted
        });
        for channel in self.channels.keys() {
            if on_server.insert(channel.clone()) {
                statement(&mut sql, "LISTEN", channel);
            }
        }
        if sql.is_empty() && self.waiting.is_empty() {
            return None;
        }
        self.asked = Some(std::mem::take(&mut self.waiting));
        Some(sql)
    }

    /// The server has answered the statement.
    pub(super) fn answered(&mut self) {
        for ask in self.asked.take().unwrap_or_default() {
            for channel in &ask.channels {
                let listeners = self.channels.get_mut(channel).into_iter().flatten();
                listeners.filter(|l| l.mailbox.id() == ask.who).for_each(|l| l.hears = true);
            }
            // Who does not wait any more takes no harm.
            let _ = ask.done.send(());
        }
    }

    /// Shares out a notification; `who` tells the process id of the client whose backend notified.
    pub(super) fn share_out(
        &mut self,
        said: &Notification<'_>,
        who: impl FnOnce(u32) -> u32,
    ) -> usize {
        let channel = std::str::from_utf8(said.channel).ok();
        let found = channel.and_then(|channel| self.channels.get_key_value(channel));
        let Some((channel, listeners)) = found else { return 0 };
        let mut frame = BytesMut::new();
        wire::put_notification(&mut frame, who(said.pid), said.channel, said.payload);
        let letter = Letter { channel: channel.clone(), frame: frame.freeze() };
        let mut count = 0;
        for Listener { mailbox, .. } in listeners.iter().filter(|listener| listener.hears) {
            mailbox.put(&letter);
            if mailbox.is_crowded() {
                self.crowded.push(mailbox.clone());
            }
            count += 1;
        }
        count
    }

    /// Whom to give a chance before more is heard; some may be there several times.
    pub(super) fn take_crowded(&mut self) -> Vec<Arc<Mailbox>> {
        std::mem::take(&mut self.crowded)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.waiting.is_empty() && self.asked.is_none()
    }

    /// One of those who listen: another one for another `turn`.
    pub(super) fn someone(&self, turn: usize) -> Option<Arc<Mailbox>> {
        let all = self.channels.values().map(Vec::len).sum::<usize>().max(1);
        let mut listeners = self.channels.values().flatten();
        listeners.nth(turn % all).map(|listener| listener.mailbox.clone())
    }

    pub(super) fn heard(&self) -> Heard {
        let listeners = self.channels.values().map(Vec::len).sum();
        Heard { channels: self.channels.len(), listeners }
    }
}

fn statement(sql: &mut String, what: &str, channel: &str) {
    // Writing to a String cannot fail.
    let _ = write!(sql, "{what} \"{}\";", channel.replace('"', "\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    fn notify(roster: &mut Roster, channel: &str) -> usize {
        let said = Notification { pid: 7, channel: channel.as_bytes(), payload: b"x" };
        roster.share_out(&said, |pid| pid + 1)
    }

    #[test]
    fn the_server_is_told_of_the_first_who_comes_and_the_last_who_goes() {
        let (one, two, mut roster) = (Mailbox::of(1), Mailbox::of(2), Roster::default());
        roster.connected();
        assert_eq!(roster.next(), None);
        let mut done = roster.listen(&one, &names(&["a", "it's \"B\""]));
        assert_eq!(roster.next().as_deref(), Some("LISTEN \"a\";LISTEN \"it's \"\"B\"\"\";"));
        let mut later = roster.listen(&two, &names(&["a"]));
        assert_eq!(roster.next(), None, "one statement at a time");
        roster.answered();
        assert_eq!((done.try_recv(), later.try_recv().is_ok()), (Ok(()), false));
        assert_eq!(roster.next().as_deref(), Some(""), "it listens already: a look is enough");
        roster.answered();
        assert_eq!(later.try_recv(), Ok(()));
        roster.unlisten(1, &names(&["a"]));
        assert_eq!(roster.next(), None);
        roster.leave(2);
        assert_eq!(roster.next().as_deref(), Some("UNLISTEN \"a\";"));
        roster.answered();
        assert_eq!(roster.heard(), Heard { channels: 1, listeners: 1 });
        assert!(!roster.is_empty());
    }

    #[test]
    fn nobody_hears_what_was_notified_before_the_server_confirmed() {
        let (one, two, mut roster) = (Mailbox::of(1), Mailbox::of(2), Roster::default());
        roster.connected();
        let _one = roster.listen(&one, &names(&["a"]));
        roster.next();
        roster.answered();
        let _two = roster.listen(&two, &names(&["a"]));
        assert_eq!(notify(&mut roster, "a"), 1);
        roster.next();
        assert_eq!(notify(&mut roster, "a"), 1);
        roster.answered();
        assert_eq!(notify(&mut roster, "a"), 2);
        assert_eq!(notify(&mut roster, "b"), 0);
        assert_eq!((one.take().len(), two.take().len()), (3, 1));
    }

    #[test]
    fn a_notification_tells_the_process_id_of_the_client() {
        let (one, mut roster) = (Mailbox::of(1), Roster::default());
        roster.connected();
        let _one = roster.listen(&one, &names(&["a"]));
        roster.next();
        roster.answered();
        notify(&mut roster, "a");
        let letters = one.take();
        assert_eq!(&letters[0].frame[..], b"A\0\0\0\x0c\0\0\0\x08a\0x\0");
    }

    #[test]
    fn a_new_connection_listens_to_all_and_whoever_waited_for_the_old_one_is_told() {
        let (one, two, mut roster) = (Mailbox::of(1), Mailbox::of(2), Roster::default());
        assert!(roster.catch_up().is_none());
        let _one = roster.listen(&one, &names(&["a"]));
        assert_eq!(roster.next(), None, "there is no connection");
        roster.connected();
        roster.next();
        roster.answered();
        let mut caught_up = roster.catch_up().expect("a connection");
        let mut late = roster.listen(&two, &names(&["b"]));
        roster.next();
        roster.disconnected();
        assert!(caught_up.try_recv().is_err() && late.try_recv().is_err());
        roster.unlisten(2, &names(&["b"]));
        roster.connected();
        assert_eq!(roster.next().as_deref(), Some("LISTEN \"a\";"));
        assert_eq!(notify(&mut roster, "a"), 1, "it goes on hearing");
    }
}
