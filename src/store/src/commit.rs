//! The committer: one task per node that turns waiting batches into groups.
//!
//! While one group is written the next one fills, so that the number of fsyncs falls as the load grows. Batches are
//! committed in the order in which they were submitted; a part that chains batches (a room's head) relies on that.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use wardstead_engine::{Batch, Engine, EngineError, EngineLimits, Group, Losing, Outcome, Position, Urgency, Writer};
use wardstead_limits::store as limits;

use crate::{StoreError, hint::Hint};

mod unknown;

type Answer = Result<Vec<Position>, StoreError>;

/// A batch on its way. Dropping it does not stop the commit.
#[derive(Debug)]
pub struct Submission(oneshot::Receiver<Answer>);

impl Future for Submission {
    /// Positions of the batch's journal entries once it is durable.
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

/// Where batches are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    queue: mpsc::Sender<Waiting>,
    limits: EngineLimits,
}

impl Entrance {
    /// Validates `batch` and queues it behind all that were submitted before.
    pub(crate) fn submit(&self, batch: Batch) -> Result<Submission, StoreError> {
        batch.validate(&self.limits).map_err(EngineError::from)?;
        let (answer, submission) = oneshot::channel();
        let bytes = batch.bytes();
        self.queue.try_send(Waiting { batch: Arc::new(batch), bytes, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EngineError::Busy("too many commits are waiting").into(),
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        Ok(Submission(submission))
    }
}

/// The committing task's state.
pub(crate) struct Committer {
    engine: Arc<dyn Engine>,
    limits: EngineLimits,
    queue: mpsc::Receiver<Waiting>,
    hint: Hint,
    writer: Writer,
    epoch: u64,
    /// Groups whose outcome is not known yet: nothing else is committed until they are resolved.
    unresolved: Option<unknown::Unresolved>,
}

impl Committer {
    /// A committer that writes as `incarnation` in `epoch`, and its entrance.
    pub(crate) fn new(engine: Arc<dyn Engine>, incarnation: u64, epoch: u64, hint: Hint) -> (Self, Entrance) {
        let (sender, queue) = mpsc::channel(limits::COMMIT_QUEUE_BATCHES);
        let engine_limits = engine.limits();
        let writer = Writer { incarnation, group: 0 };
        let committer = Self { engine, limits: engine_limits, queue, hint, writer, epoch, unresolved: None };
        (committer, Entrance { queue: sender, limits: engine_limits })
    }

    /// Commits until every entrance is gone and the queue is empty, or until `stop` is dropped or sent and the queue is
    /// empty.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut group = VecDeque::new();
        let mut stopped = false;
        loop {
            tokio::select! {
                biased;
                () = crate::start::stopped(&mut stop), if !stopped => {
                    stopped = true;
                    self.queue.close();
                }
                more = self.fill(&mut group) => {
                    if !more && group.is_empty() {
                        return;
                    }
                    self.commit(std::mem::take(&mut group).into()).await;
                }
            }
        }
    }

    /// Waits until `group` should be committed; false when nothing will come any more. Cancel-safe: what was taken from
    /// the queue stays in `group`.
    async fn fill(&mut self, group: &mut VecDeque<Waiting>) -> bool {
        let soon = tokio::time::sleep(Duration::from_millis(limits::SOON_MS));
        tokio::pin!(soon);
        let mut urgent = group.iter().any(is_urgent);
        while !urgent {
            tokio::select! {
                biased;
                next = self.queue.recv() => match next {
                    Some(waiting) => {
                        urgent = is_urgent(&waiting);
                        group.push_back(waiting);
                    }
                    None => return false,
                },
                () = &mut soon, if !group.is_empty() => return true,
            }
            if group.len() >= self.limits.group_batches {
                return true;
            }
        }
        let mut bytes: usize = group.iter().map(|waiting| waiting.bytes).sum();
        while group.len() < self.limits.group_batches && bytes < self.limits.group_bytes {
            let Ok(waiting) = self.queue.try_recv() else { break };
            bytes += waiting.bytes;
            group.push_back(waiting);
        }
        true
    }

    /// Commits `group`. A group that the engine refuses is split in two, so that one poisoned batch fails alone.
    async fn commit(&mut self, group: Vec<Waiting>) {
        let mut parts = VecDeque::from([group]);
        while let Some(mut part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            if let Err(error) = self.resolve().await {
                refuse(part, &error);
                continue;
            }
            self.writer.group += 1;
            // Whatever this group writes comes after.
            let above = self.hint.newest();
            let batches = part.iter().map(|waiting| Arc::clone(&waiting.batch)).collect();
            let group = Group { epoch: self.epoch, writer: self.writer, batches };
            match self.engine.commit_group(group).await {
                Ok(outcome) => {
                    self.hint.committed(outcome.position);
                    for (waiting, outcome) in part.into_iter().zip(outcome.outcomes) {
                        answer(waiting, told(outcome));
                    }
                }
                Err(EngineError::Unknown(reason)) => {
                    tracing::warn!(group = self.writer.group, reason, "a commit's outcome is unknown");
                    self.unresolved = Some(unknown::Unresolved::new(self.writer, above, part));
                }
                Err(EngineError::Conflict { actual, .. }) => {
                    tracing::warn!(epoch = actual, "the epoch has changed");
                    self.epoch = actual;
                    self.hint.epoch_changed();
                    refuse(part, &StoreError::Lost(Losing::Rebuild));
                }
                Err(error) if part.len() == 1 => {
                    tracing::error!(%error, "a batch was refused");
                    refuse(part, &error.into());
                }
                Err(_) => {
                    let later = part.split_off(part.len() / 2);
                    parts.push_front(later);
                    parts.push_front(part);
                }
            }
        }
        // Answers the callers of an unknown group as soon as it can be told; at the latest before the next group.
        if self.unresolved.is_some()
            && let Err(error) = self.resolve().await
        {
            tracing::error!(%error, "the outcome of a commit is still unknown");
        }
    }

    async fn resolve(&mut self) -> Result<(), StoreError> {
        let Some(unresolved) = &mut self.unresolved else { return Ok(()) };
        self.writer.group += 1;
        let position = unresolved.resolve(self.engine.as_ref(), self.epoch, self.writer).await?;
        self.unresolved = None;
        self.hint.committed(position);
        Ok(())
    }
}

fn is_urgent(waiting: &Waiting) -> bool {
    waiting.batch.urgency == Urgency::Now
}

fn told(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Won { positions } => Ok(positions),
        Outcome::Lost { losing, .. } => Err(StoreError::Lost(losing)),
    }
}

fn answer(waiting: Waiting, told: Answer) {
    // The caller may have gone; the commit stands all the same.
    drop(waiting.answer.send(told));
}

fn refuse(group: Vec<Waiting>, error: &StoreError) {
    for waiting in group {
        answer(waiting, Err(error.clone()));
    }
}
