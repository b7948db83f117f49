//! A client that listens without a server connection of its own: the hub listens before its LISTEN
//! goes to a server, and what it hears is told when PostgreSQL would tell it: outside of
//! transactions, before ReadyForQuery or while the client is idle.

use super::{Client, Leaving};
use crate::pg::cluster::Lease;
use crate::pg::listen::{Hub, Mailbox};
use crate::pg::session::Tx;
use crate::pg::session::proof::Residue;
use crate::pg::{refuse, welcome, wire};
use crate::refusal::Refusal;
use crate::sql::Pin;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// What a client has that listens.
pub(in crate::pg) struct Ears {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.hub.leave(&self.mailbox);
    }
}

impl Client {
    /// Has the hub listen to the channels of the batch. Where it cannot, the session is pinned by
    /// its LISTEN, and hears its own server.
    pub(super) async fn prepare_to_hear(&mut self) {
        if self.session.pin == Some(Pin::Mode) || !self.speaks_utf8() {
            return;
        }
        let wanted = self.batch.channels().filter(|channel| !self.session.is_served(channel));
        let channels: Vec<Arc<str>> = wanted.map(Into::into).collect();
        if channels.is_empty() {
            return;
        }
        let known = self.ears.as_ref().map(|ears| ears.mailbox.clone());
        let new = || Arc::new(Mailbox::new(self.entry.shared().clone(), self.pools.clone()));
        let mailbox = known.unwrap_or_else(new);
        let (cluster, tasks) = (&self.cluster, &self.engine.tasks);
        let (hub, heard) = cluster.hubs.listen(cluster, tasks, &mailbox, &channels);
        let limit = self.cluster.pool_settings.load().connect_timeout;
        match tokio::time::timeout(limit, heard).await {
            Ok(Ok(())) => self.session.serve(channels),
            _ => {
                tracing::debug!(client = self.entry.id, "a session listens by itself");
                hub.unlisten(&mailbox, &channels);
            }
        }
        if self.session.hears.is_some() && self.ears.is_none() {
            self.ears = Some(Box::new(Ears { hub, mailbox }));
        }
    }

    /// The hub hears in UTF-8, and converts nothing for whoever reads another encoding.
    fn speaks_utf8(&self) -> bool {
        let reported = |name: &[u8]| {
            let greeting = self.link.as_ref().map(|lease| &lease.backend.reported.0)?;
            let (_, value) = greeting.iter().find(|(known, _)| **known == *name)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let asked = self.session.variables.current().get("client_encoding");
        let encoding =
            asked.map(|asked| asked.to_string()).or_else(|| reported(b"client_encoding"));
        let plain: String =
            encoding.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
        // A database without an encoding converts for nobody.
        matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode")
            || reported(b"server_encoding").as_deref() == Some("SQL_ASCII")
    }

    /// Before the end of an answer that was held back: what was notified until now, its own
    /// notifications among them.
    pub(super) async fn tell_what_is_heard(&mut self) {
        let primary = self.cluster.monitor.published().load().primary;
        // A primary that is not reached may not answer the hub for long.
        let hub = self.ears.as_ref().map(|ears| &ears.hub).filter(|hub| hub.node() == primary);
        let heard = hub.and_then(|hub| hub.catch_up());
        if let Some(heard) = heard {
            let limit = self.cluster.pool_settings.load().connect_timeout;
            let _ = tokio::time::timeout(limit, heard).await;
        }
        self.tell();
        wire::put_ready(&mut self.output, self.session.tx.status());
        poll_fn(|cx| {
            // A client that is gone is noticed when the next batch is waited for.
            let _ = self.poll_to_client(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// True when there is something for the client, and it may be told.
    pub(super) fn has_mail(&self) -> bool {
        self.ears.as_ref().is_some_and(|ears| {
            self.session.tx == Tx::Idle
                && (ears.mailbox.has_overflowed()
                    || (self.output.is_empty()
                        && !self.skipping
                        && self.batch.len == 0
                        && !ears.mailbox.is_empty()))
        })
    }

    /// Tells an idle client what there is; one that has missed some is sent away.
    pub(super) fn deliver_mail(&mut self) -> Result<(), Leaving> {
        if self.ears.as_ref().is_some_and(|ears| ears.mailbox.has_overflowed()) {
            let refusal = Refusal::Overflow;
            tracing::warn!(client = self.entry.id, %refusal, "a client is sent away");
            self.cluster.counters.refused.with(refuse::sqlstate(&refusal)).increment();
            return Err(Leaving::Refused(refusal));
        }
        self.tell();
        Ok(())
    }

    /// Takes what is in the mailbox; leaves channels that no transaction will bring back.
    fn tell(&mut self) {
        let (Some(ears), Some(hears)) = (&self.ears, &mut self.session.hears) else { return };
        let surplus = hears.surplus();
        if !surplus.is_empty() {
            ears.hub.unlisten(&ears.mailbox, &surplus);
        }
        let mut told = 0;
        for letter in ears.mailbox.take() {
            if hears.hears(&letter.channel) {
                self.output.extend_from_slice(&letter.frame);
                told += 1;
            }
        }
        self.cluster.counters.notifications.add(told);
        if hears.is_empty() {
            self.session.hears = None;
            self.ears = None;
        }
    }

    /// A server that the session leaves goes back to its pool once nothing of it is left there.
    pub(super) fn return_server(&mut self, lease: Lease) {
        let notified = std::mem::take(&mut self.session.notified);
        let hub = notified.then(|| self.cluster.hubs.get(&self.pools.database)).flatten();
        let private = lease.backend.prepared.private.then_some(Residue::Statements);
        let residue = self.session.residue.take().max(private);
        match (residue, hub.and_then(|hub| hub.catch_up())) {
            (None, None) => lease.give_back(),
            (Some(residue), None) => welcome::reset_and_give_back(lease, residue),
            (residue, Some(heard)) => welcome::give_back_when_heard(lease, residue, heard),
        }
    }
}
