//! The threads that serve clients. Each has a scheduler and a poller of its own, and serves its
//! clients from their first byte to their last, so that no statement wakes another thread.

use super::Stop;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

thread_local! {
    static HERE: Cell<Home> = const { Cell::new(Home(0)) };
}

/// Where a task runs: one thread of a crew, or all that belong to none. A socket is watched by
/// the poller of the home where it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Home(u16);

impl Home {
    /// The home of the caller.
    pub fn here() -> Home {
        HERE.get()
    }

    /// 0: no thread of a crew; else the number of the thread.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The home with this number.
    #[cfg(test)]
    pub fn numbered(number: u16) -> Home {
        Home(number)
    }
}

struct Worker {
    handle: Handle,
    /// Tasks that were given to it and have not ended.
    tasks: Arc<AtomicUsize>,
}

/// Threads that serve clients. They end, and their tasks with them, with their owner.
pub struct Crew {
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    /// How many threads have not ended.
    running: watch::Sender<usize>,
}

/// One more task of a thread, until it ends in whichever way.
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    /// `threads` 0: one for each core.
    pub fn start(threads: usize) -> io::Result<Crew> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads };
        let (stop, running) = (watch::Sender::new(false), watch::Sender::new(0));
        let mut crew = Crew { workers: Vec::new(), stop, running };
        for number in 1..=u16::try_from(threads).unwrap_or(u16::MAX) {
            let worker = crew.hire(Home(number))?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn hire(&self, home: Home) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let mut stop = Stop::new(self.stop.subscribe());
        let running = self.running.clone();
        running.send_modify(|running| *running += 1);
        thread::Builder::new().name("tidegate".into()).spawn(move || {
            HERE.set(home);
            runtime.block_on(stop.stopped());
            drop(runtime);
            running.send_modify(|running| *running -= 1);
        })?;
        Ok(Worker { handle, tasks: Arc::default() })
    }

    /// Runs `task` on the thread that has the fewest.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let load = |worker: &&Worker| worker.tasks.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(load) else { return };
        worker.tasks.fetch_add(1, Ordering::Relaxed);
        let load = Load(worker.tasks.clone());
        worker.handle.spawn(async move {
            task.await;
            drop(load);
        });
    }

    /// Ends all threads, and their tasks with them.
    pub async fn end(&self) {
        self.stop.send_replace(true);
        // We hold the sender: there is an answer.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn tasks_are_shared_out_evenly_and_stay_where_they_are() {
        let crew = Crew::start(3).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        for _ in 0..6 {
            let tell = tell.clone();
            crew.spawn(async move {
                let before = Home::here();
                tokio::task::yield_now().await;
                tell.send((before, Home::here())).unwrap();
                std::future::pending::<()>().await;
            });
        }
        let mut places = Vec::new();
        for _ in 0..6 {
            let (before, after) = told.recv().await.unwrap();
            assert_eq!(before, after);
            places.push(before.number());
        }
        places.sort_unstable();
        assert_eq!(places, [1, 1, 2, 2, 3, 3]);
        assert_eq!(Home::here().number(), 0);
        crew.end().await;
        drop(tell);
        // The tasks are gone with their threads.
        assert_eq!(told.recv().await, None);
    }

    #[tokio::test]
    async fn a_task_that_ended_or_panicked_is_no_load() {
        let crew = Crew::start(1).unwrap();
        crew.spawn(async { panic!("on purpose") });
        let (done, is_done) = oneshot::channel();
        crew.spawn(async move { done.send(()).unwrap() });
        is_done.await.unwrap();
        let (done, is_done) = oneshot::channel();
        crew.spawn(async move { done.send(()).unwrap() });
        is_done.await.unwrap();
        // The last may not have been counted out yet: it told us before its end.
        assert!(crew.workers[0].tasks.load(Ordering::Relaxed) <= 1);
    }
}
