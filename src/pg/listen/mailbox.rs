//! What waits for a session that listens, until it may be told.

use crate::pg::cluster::UserPools;
use crate::pg::registry::ClientEntry;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes that wait for one session at most. PostgreSQL keeps up to 8 GiB on its disk; here a
/// client that does not take its notifications is ended before it costs memory.
const LIMIT: usize = 8 * 1024 * 1024;
/// From here on the hub hears no more until the client has had its chance to take some, so that
/// no burst is too much for a client that does take them.
const CROWDED: usize = 1024 * 1024;
/// How long it may take that chance, once.
const CHANCE: Duration = Duration::from_secs(1);

/// A notification as the client gets it. Its bytes are shared by all who hear it.
#[derive(Clone, Debug)]
pub struct Letter {
    pub channel: Arc<str>,
    pub frame: Bytes,
}

impl Letter {
    /// What it costs its mailbox, which keeps a handle of it.
    fn size(&self) -> usize {
        self.frame.len() + size_of::<Letter>()
    }
}

#[derive(Debug, Default)]
struct Content {
    letters: VecDeque<Letter>,
    bytes: usize,
    overflowed: bool,
    /// It was waited for in vain, and is not again before it was emptied.
    had_its_chance: bool,
}

/// Notifications for one session, in their order.
pub struct Mailbox {
    owner: Arc<ClientEntry>,
    /// How the client reaches its database: the hub may come in by the same way.
    pools: Arc<UserPools>,
    content: Mutex<Content>,
    emptied: Notify,
}

impl Mailbox {
    pub fn new(owner: Arc<ClientEntry>, pools: Arc<UserPools>) -> Mailbox {
        Mailbox { owner, pools, content: Mutex::default(), emptied: Notify::new() }
    }

    /// The client's number.
    pub fn id(&self) -> u64 {
        self.owner.id
    }

    pub(super) fn pools(&self) -> &Arc<UserPools> {
        &self.pools
    }

    /// Adds a letter and wakes the client; one too many empties the box for good.
    pub fn put(&self, letter: &Letter) {
        {
            let mut content = self.content.lock();
            content.bytes += letter.size();
            if content.overflowed || content.bytes > LIMIT {
                *content = Content { overflowed: true, had_its_chance: true, ..Content::default() };
            } else {
                content.letters.push_back(letter.clone());
            }
        }
        self.owner.wake();
    }

    /// All that is there.
    pub fn take(&self) -> VecDeque<Letter> {
        let mut content = self.content.lock();
        let overflowed = content.overflowed;
        let taken = std::mem::replace(&mut *content, Content { overflowed, ..Content::default() });
        self.emptied.notify_one();
        taken.letters
    }

    pub(super) fn is_crowded(&self) -> bool {
        let content = self.content.lock();
        content.bytes > CROWDED && !content.had_its_chance
    }

    /// Until it was emptied, or had its chance.
    pub(super) async fn wait_for_room(&self) {
        let emptied = async {
            while self.is_crowded() {
                self.emptied.notified().await;
            }
        };
        if tokio::time::timeout(CHANCE, emptied).await.is_err() {
            self.content.lock().had_its_chance = true;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.content.lock().letters.is_empty()
    }

    /// Letters were thrown away: whoever misses some must not go on as if it had them all.
    pub fn has_overflowed(&self) -> bool {
        self.content.lock().overflowed
    }

    #[cfg(test)]
    pub(super) fn of(id: u64) -> Arc<Mailbox> {
        use crate::pg::registry::NewClient;
        let new = NewClient {
            user: "u".into(),
            database: "d".into(),
            cluster: "c".into(),
            address: ([127, 0, 0, 1], 1).into(),
            tls: false,
            secret: Box::default(),
            application: "".into(),
            replication: None,
        };
        let owner = Arc::new(ClientEntry::new(id, new));
        Arc::new(Mailbox::new(owner, Arc::new(UserPools::none("u", "d"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_that_nobody_empties_is_emptied_and_says_so() {
        let mailbox = Mailbox::of(1);
        let letter = Letter { channel: "c".into(), frame: vec![0; 8000].into() };
        for _ in 0..LIMIT / letter.size() {
            mailbox.put(&letter);
        }
        assert!(!mailbox.has_overflowed() && !mailbox.is_empty());
        mailbox.put(&letter);
        assert!(mailbox.has_overflowed() && mailbox.is_empty());
        mailbox.put(&letter);
        assert!(mailbox.has_overflowed() && mailbox.is_empty());
    }

    #[tokio::test]
    async fn a_crowded_box_is_waited_for_once_and_again_after_it_was_emptied() {
        let mailbox = Mailbox::of(1);
        let letter = Letter { channel: "c".into(), frame: vec![0; 8000].into() };
        let fill = || {
            while !mailbox.is_crowded() {
                mailbox.put(&letter);
            }
        };
        fill();
        mailbox.wait_for_room().await;
        assert!(!mailbox.is_crowded(), "it had its chance");
        mailbox.put(&letter);
        assert!(!mailbox.is_crowded());
        mailbox.take();
        fill();
        let ((), taken) = tokio::join!(mailbox.wait_for_room(), async { mailbox.take().len() });
        assert!(taken > 100);
        // It still has its chance before it.
        fill();
    }

    #[test]
    fn a_box_that_is_emptied_in_time_never_overflows() {
        let mailbox = Mailbox::of(1);
        let letter = Letter { channel: "c".into(), frame: vec![0; 8000].into() };
        for _ in 0..LIMIT / 1000 {
            mailbox.put(&letter);
            assert_eq!(mailbox.take().len(), 1);
        }
        assert!(!mailbox.has_overflowed());
    }
}
