//! A client in the queue for a server connection: it can be sent away, and it can hang up.

use super::client::{Client, Leaving};
use super::connect::PgConnector;
use super::exchange::READ_AHEAD;
use super::registry::ClientState;
use crate::dispatch::{Errand, Found};
use crate::refusal::Refusal;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

impl Client {
    /// Waits for its turn; who leaves meanwhile leaves the queue too, and nothing is executed.
    pub(super) async fn wait_for_server(
        &mut self,
        errand: Errand,
    ) -> Result<Result<Found<PgConnector>, Refusal>, Leaving> {
        self.entry.set_state(ClientState::Waiting);
        let (cluster, pools) = (self.cluster.clone(), self.pools.clone());
        let choice = pools.choice();
        let mut found = pin!(cluster.find(&choice, errand));
        let ended = poll_fn(|cx| match found.as_mut().poll(cx) {
            Poll::Ready(found) => Poll::Ready(Ok(found)),
            Poll::Pending => self.poll_patience(cx).map(Err),
        });
        let ended = ended.await;
        if !matches!(ended, Ok(Ok(_))) {
            self.entry.set_state(ClientState::Idle);
        }
        ended
    }

    /// Ready when the client will not wait any longer.
    pub(super) fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Leaving> {
        loop {
            // Registered first: who is told to go after this look is woken.
            self.entry.listen(cx);
            if self.must_go() {
                return Poll::Ready(Leaving::Refused(self.engine.gate.farewell()));
            }
            if self.input.len() >= self.batch.len + READ_AHEAD {
                return Poll::Pending;
            }
            match self.poll_client_input(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Leaving::Gone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
