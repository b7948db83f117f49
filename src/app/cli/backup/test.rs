//! `tidegate backup test`: restores a backup aside and tries it.

use super::{Answer, Failed, Named, kit, meant};
use crate::config::Config;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn test(config: Config, named: &Named) -> Result<Answer, Failed> {
    let kit = kit(&config, &named.common)?;
    let entry = meant(&kit.store, named.backup.as_deref()).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let proof = tokio::select! {
        proof = kit.prove(&entry) => proof?,
        // Server and folder go with the test.
        _ = interrupt.recv() => return Err(Failed::Interrupted),
        _ = terminate.recv() => return Err(Failed::Interrupted),
    };
    let words = proof.words().join("\n");
    match proof.failure {
        Some(_) => Err(Failed::Refuted(words)),
        None => Ok(Answer { words: format!("{words}\n"), json: json!(proof) }),
    }
}
