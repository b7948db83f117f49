//! The owner of a group of tasks: starts them, asks them to end, waits for them.

use super::Stop;
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{debug, error};

type Name = Cow<'static, str>;

/// Named tasks with one stop signal. Dropping the last clone asks all of them to end.
#[derive(Clone, Debug)]
pub struct Tasks {
    stop: Arc<watch::Sender<bool>>,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    next: Mutex<u64>,
    /// `None` between the entry and the start of the task.
    tasks: Mutex<HashMap<u64, (Name, Option<AbortHandle>)>>,
    count: watch::Sender<usize>,
}

/// What the end of a task means.
#[derive(Clone, Copy, PartialEq)]
enum Life {
    /// Lives until it is asked to end; an earlier end is an error.
    Long,
    /// Ends by itself.
    Brief,
}

/// Takes the task off the list however it ends, an abort included.
struct Entry {
    id: u64,
    running: Arc<Running>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut tasks = self.running.tasks.lock();
        tasks.remove(&self.id);
        self.running.count.send_replace(tasks.len());
    }
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks::new()
    }
}

impl Tasks {
    pub fn new() -> Tasks {
        let running = Running {
            next: Mutex::new(0),
            tasks: Mutex::new(HashMap::new()),
            count: watch::Sender::new(0),
        };
        Tasks { stop: Arc::new(watch::Sender::new(false)), running: Arc::new(running) }
    }

    /// The signal for code that is not a task of its own.
    pub fn stop_signal(&self) -> Stop {
        Stop::new(self.stop.subscribe())
    }

    /// Starts a task that lives until it is asked to end. Any other end is logged as an error.
    pub fn spawn<F>(&self, name: impl Into<Name>, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop_signal();
        self.start(name.into(), Life::Long, task(stop));
    }

    /// Starts a task that ends when its work is done. A panic is logged as an error.
    pub fn spawn_brief<F>(&self, name: impl Into<Name>, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop_signal();
        self.start(name.into(), Life::Brief, task(stop));
    }

    fn start(&self, name: Name, life: Life, task: impl Future<Output = ()> + Send + 'static) {
        let entry = self.enter(name.clone());
        let (id, stop) = (entry.id, self.stop_signal());
        let handle = tokio::spawn(async move {
            let _entry = entry;
            match AssertUnwindSafe(task).catch_unwind().await {
                Err(_) => error!(task = %name, "task panicked"),
                Ok(()) if life == Life::Long && !stop.is_set() => {
                    error!(task = %name, "task ended although nobody asked it to");
                }
                Ok(()) => debug!(task = %name, "task ended"),
            }
        });
        if let Some(entry) = self.running.tasks.lock().get_mut(&id) {
            entry.1 = Some(handle.abort_handle());
        }
    }

    fn enter(&self, name: Name) -> Entry {
        let id = {
            let mut next = self.running.next.lock();
            *next += 1;
            *next
        };
        let mut tasks = self.running.tasks.lock();
        tasks.insert(id, (name, None));
        self.running.count.send_replace(tasks.len());
        Entry { id, running: self.running.clone() }
    }

    /// Tasks that have not ended yet.
    pub fn count(&self) -> usize {
        *self.running.count.borrow()
    }

    /// Asks every task to end, without waiting for any.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Asks every task to end and waits. Those that take longer than `within` are aborted;
    /// their names are the answer.
    pub async fn shutdown(&self, within: Duration) -> Vec<String> {
        self.stop();
        let mut count = self.running.count.subscribe();
        let all = count.wait_for(|count| *count == 0);
        if tokio::time::timeout(within, all).await.is_ok() {
            return Vec::new();
        }
        let late: Vec<(Name, Option<AbortHandle>)> =
            self.running.tasks.lock().values().cloned().collect();
        late.into_iter()
            .map(|(name, handle)| {
                error!(task = %name, ?within, "task did not end in time and is aborted");
                if let Some(handle) = handle {
                    handle.abort();
                }
                name.into_owned()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_shutdown_asks_every_task_and_waits_for_it() {
        let tasks = Tasks::new();
        for name in ["a", "b"] {
            tasks.spawn(name, |mut stop| async move { stop.stopped().await });
        }
        assert_eq!(tasks.count(), 2);
        assert!(tasks.shutdown(LONG).await.is_empty());
        assert_eq!(tasks.count(), 0);
    }

    #[tokio::test]
    async fn a_task_that_will_not_end_is_named_and_aborted() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", |_| std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_millis(1)).await, ["stubborn"]);
        let mut count = tasks.running.count.subscribe();
        count.wait_for(|count| *count == 0).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_own_task() {
        let tasks = Tasks::new();
        tasks.spawn("calm", |mut stop| async move { stop.stopped().await });
        tasks.spawn_brief("hasty", |_| async { panic!("on purpose") });
        let mut count = tasks.running.count.subscribe();
        count.wait_for(|count| *count == 1).await.unwrap();
        assert!(tasks.shutdown(LONG).await.is_empty());
    }

    #[tokio::test]
    async fn dropping_the_owner_asks_its_tasks_to_end() {
        let (done, ended) = tokio::sync::oneshot::channel();
        let tasks = Tasks::new();
        tasks.spawn("orphan", |mut stop| async move {
            stop.stopped().await;
            done.send(stop.is_set()).unwrap();
        });
        drop(tasks);
        assert!(ended.await.unwrap());
    }
}
