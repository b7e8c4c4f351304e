//! The threads that serve reads which are not in memory, so that no async thread waits for a disk.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use wardstead_engine::EngineError;
use wardstead_limits::engine as limits;

use crate::{
    database::Database,
    shared::{self, Shared},
};

type Job = Box<dyn FnOnce(&Shared) + Send>;

/// Handle of the threads.
pub(crate) struct Readers {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Readers {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, EngineError> {
        let readers = Self { queue: Arc::default(), threads: Mutex::default() };
        for number in 0..limits::READ_THREADS {
            let (queue, shared) = (Arc::clone(&readers.queue), Arc::clone(shared));
            let thread = thread::Builder::new().name(format!("rocksdb-read-{number}"));
            let thread = thread.spawn(move || queue.work(&shared));
            let thread = thread.map_err(|error| EngineError::Unavailable(format!("no thread: {error}")));
            match thread {
                Ok(thread) => readers.threads.lock().push(thread),
                Err(error) => {
                    readers.close();
                    return Err(error);
                }
            }
        }
        Ok(readers)
    }

    /// Runs `read` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let job = move |shared: &Shared| {
            // A request that was given up while it waited is not worth a disk access.
            if !reply.is_closed() {
                drop(reply.send(shared.with(read)));
            }
        };
        self.queue.push(Box::new(job))?;
        answer.await.unwrap_or_else(|_| Err(EngineError::Unavailable("a reader thread ended".into())))
    }

    /// Lets the threads finish their queue and waits for them.
    pub(crate) fn close(&self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a reader thread panicked");
            }
        }
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(shared::closed());
        }
        if state.jobs.len() >= limits::READ_QUEUE {
            return Err(EngineError::Busy("reads wait for a thread"));
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    fn work(&self, shared: &Shared) {
        while let Some(job) = self.next() {
            job(shared);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}
