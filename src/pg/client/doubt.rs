//! The server was lost at a commit whose transaction is known: the client is told what became of it.

use super::{Client, Leaving};
use crate::pg::exchange::Ended;
use crate::pg::govern::{Committing, Outcome};
use crate::pg::refuse;
use crate::pg::session::doubt::Rest;
use crate::pg::wire;
use crate::refusal::Refusal;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

impl Client {
    /// The same as [`Client::after`], once it was tried to find out what became of a commit.
    pub(super) async fn after_a_commit(&mut self, ended: Ended) -> Result<(), Leaving> {
        let Some(transaction) = self.in_doubt(&ended) else { return self.after(ended) };
        let mut loss = self.size_up(&ended);
        let is_last = !loss.open && loss.tail == 0;
        let rest = self.owed.rest_of_commit().filter(|_| is_last);
        // Whoever promotes another node waits until nobody uses this one.
        self.unlink();
        self.link = None;
        let outcome = self.find_out(transaction).await?;
        self.cluster.counters.outcomes.with(outcome.name()).increment();
        match (outcome, rest) {
            (Outcome::Committed, Some(rest)) => self.has_committed(rest),
            (Outcome::RolledBack, _) => {
                self.session.abandon(&mut self.owed);
                self.drop_server();
                (self.flow.tail, self.skipping) = (loss.tail, loss.open);
                self.say_refused(&Refusal::RolledBack { node: loss.node.clone() });
            }
            (Outcome::Committed | Outcome::Unknown, _) => return self.break_it(ended, loss),
        }
        if self.session.pin.is_none() {
            return Ok(());
        }
        // The transaction is settled, and what else the session had on that server is gone.
        (loss.was.may_have_committed, loss.was.delivered) = (false, false);
        loss.was.pinned = true;
        refuse::after(ended, loss.node, loss.was).map(drop)
    }

    /// The transaction of a commit that was under way when the server was lost.
    fn in_doubt(&mut self, ended: &Ended) -> Option<Committing> {
        let transaction = self.session.take_committing()?;
        let lost = matches!(ended, Ended::ServerLost(_) | Ended::Fatal(_) | Ended::Retry(_));
        let was = self.circumstances(ended);
        (lost && was.may_have_committed && !was.inside_frame).then_some(transaction)
    }

    /// Waits for it as for a primary: the client may hang up meanwhile, and be sent away.
    async fn find_out(&mut self, transaction: Committing) -> Result<Outcome, Leaving> {
        let cluster = self.cluster.clone();
        let Some(outcomes) = &cluster.outcomes else { return Ok(Outcome::Unknown) };
        let hold = cluster.live.load().hold;
        let published = cluster.monitor.published();
        let mut found = pin!(outcomes.find_out(transaction, &cluster.nodes, published, hold));
        poll_fn(|cx| match found.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => self.poll_patience(cx).map(Err),
        })
        .await
    }

    /// What the lost server would have said.
    fn has_committed(&mut self, rest: Rest) {
        self.session.has_committed();
        self.drop_server();
        if rest == Rest::Commit {
            wire::put_command_complete(&mut self.output, "COMMIT");
        }
        wire::put_ready(&mut self.output, self.session.tx.status());
    }
}
