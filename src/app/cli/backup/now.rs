//! `tidegate backup now`: by this process itself, with a bar where somebody looks.

use super::{Answer, Common, Failed, kit, show};
use crate::backup::Progress;
use crate::config::Config;
use crate::task::Tasks;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// How long the monitor may take to end.
const LEAVE: Duration = Duration::from_secs(3);

pub(super) async fn now(config: Config, common: &Common) -> Result<Answer, Failed> {
    let kit = kit(&config, common)?;
    let (tasks, watch) = (Tasks::new(), Tasks::new());
    let watched = kit.watch(&watch).await?;
    let progress = Arc::<Progress>::default();
    let run = kit.run(&watched, progress.clone(), tasks.stop_signal());
    let bar = bar();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::pin!(run);
    let done = loop {
        tokio::select! {
            done = &mut run => break done,
            // Both end it, and it takes back what it stored.
            _ = interrupt.recv() => tasks.stop(),
            _ = terminate.recv() => tasks.stop(),
            () = tokio::time::sleep(TICK) => draw(&bar, &progress),
        }
    };
    bar.finish_and_clear();
    watch.shutdown(LEAVE).await;
    let entry = done?;
    let words = format!(
        "backup {} of node {} ({}): {} read, {} stored, {:.1?}\n",
        entry.id,
        entry.node,
        entry.because,
        show::size(entry.raw),
        show::size(entry.stored),
        progress.elapsed(),
    );
    let json = serde_json::to_value(&entry).unwrap_or(json!(null));
    Ok(Answer { words, json })
}

/// Nothing is drawn where standard error is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    const FORM: &str = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left, {msg}";
    if let Ok(style) = ProgressStyle::with_template(FORM) {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.total().max(progress.read()));
    bar.set_position(progress.read());
    bar.set_message(format!("{} stored", show::size(progress.stored())));
}
