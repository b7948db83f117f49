//! Looks at the server once in a while, and ends it when it must not run.

use super::judge::must_end;
use super::obey::Agent;
use crate::orders::How;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const LOOK: Duration = Duration::from_millis(250);

/// Never returns.
pub(super) async fn watch(agent: Arc<Agent>, lease: Duration) {
    loop {
        sleep(LOOK).await;
        let (kept, seen) = (agent.kept(), agent.glance());
        let Some(why) = must_end(kept, seen, agent.since_renewed(), lease) else { continue };
        match agent.server.stop(How::Immediate).await {
            Ok(says) => tracing::error!(why, says, "the server was stopped"),
            Err(error) => tracing::error!(why, %error, "the server cannot be stopped"),
        }
    }
}
