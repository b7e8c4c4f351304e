//! The committer: one task per node that turns waiting batches into groups.
//!
//! While one group is written the next one fills, so that the number of fsyncs falls as the load grows. Batches are
//! committed in the order in which they were submitted; a part that chains batches (a room's head) relies on that.

use std::{
    collections::{BTreeSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use wardstead_engine::{
    Batch, Engine, EngineError, EngineLimits, Group, GroupOutcome, Losing, Outcome, Position, Urgency, Writer,
};
use wardstead_limits::{Clock, store as limits};

use crate::{Figures, StoreError, hint::Hint, work::Wakers};

mod patience;
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

/// What is to be done with the outcome of a batch before anybody else hears of it.
type Then = Box<dyn FnOnce(&Answer) + Send>;

/// A batch that waits for the committer, or for its commit.
struct Waiting {
    batch: Arc<Batch>,
    bytes: usize,
    /// Taken by the first word that it is told.
    reply: Option<(Option<Then>, oneshot::Sender<Answer>)>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Waiting {
    /// The first word counts.
    fn tell(&mut self, told: Answer) {
        let Some((then, answer)) = self.reply.take() else { return };
        if let Some(then) = then {
            then(&told);
        }
        // The caller may have gone; the commit stands all the same.
        drop(answer.send(told));
    }
}

impl Drop for Waiting {
    /// A committer that ends before its time has told everybody all the same.
    fn drop(&mut self) {
        self.tell(Err(StoreError::Closed));
    }
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
        self.queue(batch, None)
    }

    /// The same; `then` is called with the outcome, by the committer, before the submission resolves. It must not block, and is not
    /// called when this is an error.
    pub(crate) fn submit_then(
        &self,
        batch: Batch,
        then: impl FnOnce(&Answer) + Send + 'static,
    ) -> Result<Submission, StoreError> {
        self.queue(batch, Some(Box::new(then)))
    }

    fn queue(&self, batch: Batch, then: Option<Then>) -> Result<Submission, StoreError> {
        batch.validate(&self.limits).map_err(EngineError::from)?;
        let place = self.queue.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => EngineError::Busy("too many commits are waiting").into(),
            mpsc::error::TrySendError::Closed(()) => StoreError::Closed,
        })?;
        let (answer, submission) = oneshot::channel();
        let bytes = batch.bytes();
        place.send(Waiting { batch: Arc::new(batch), bytes, reply: Some((then, answer)) });
        Ok(Submission(submission))
    }

    /// Batches that wait.
    pub(crate) fn depth(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// The committing task's state.
pub(crate) struct Committer {
    engine: Arc<dyn Engine>,
    limits: EngineLimits,
    queue: mpsc::Receiver<Waiting>,
    hint: Hint,
    wakers: Wakers,
    writer: Writer,
    epoch: u64,
    /// A group whose outcome is not known yet: nothing else is committed until it is resolved.
    unresolved: Option<unknown::Unresolved>,
    clock: Arc<dyn Clock>,
    figures: Figures,
    /// Whether commits do not get through.
    stalled: watch::Sender<bool>,
}

impl Committer {
    /// A committer that writes as `incarnation` in `epoch`, its entrance, and whether commits do not get through.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        incarnation: u64,
        epoch: u64,
        hint: Hint,
        wakers: Wakers,
        clock: Arc<dyn Clock>,
        figures: Figures,
    ) -> (Self, Entrance, watch::Receiver<bool>) {
        let (sender, queue) = mpsc::channel(limits::COMMIT_QUEUE_BATCHES);
        let limits = engine.limits();
        let writer = Writer { incarnation, group: 0 };
        let (stalled, is_stalled) = watch::channel(false);
        let unresolved = None;
        let committer =
            Self { engine, limits, queue, hint, wakers, writer, epoch, unresolved, clock, figures, stalled };
        (committer, Entrance { queue: sender, limits }, is_stalled)
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
                // Nobody need submit anything for the truth to be found.
                () = tokio::time::sleep(Duration::from_millis(limits::UNKNOWN_RETRY_MS)), if self.unresolved.is_some() => {
                    self.settle().await;
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
        // Requests that are ready to run queue their batches first: the group grows, and nobody waits for it.
        tokio::task::yield_now().await;
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
        while !parts.is_empty() {
            let resolved = self.resolve(&mut parts).await;
            let Some(mut part) = parts.pop_front() else { break };
            if let Err(error) = resolved {
                self.refuse(part, &error);
                continue;
            }
            if part.is_empty() {
                continue;
            }
            self.writer.group += 1;
            // Whatever this group writes comes after.
            let above = self.hint.newest();
            let began_ms = self.clock.monotonic_ms();
            let batches = part.iter().map(|waiting| Arc::clone(&waiting.batch)).collect();
            let group = Group { epoch: self.epoch, writer: self.writer, batches };
            let engine = Arc::clone(&self.engine);
            let done = self.patiently(engine.commit_group(group), began_ms, &mut part, &mut parts).await;
            self.figures.committed(part.len(), self.clock.monotonic_ms().saturating_sub(began_ms));
            match done {
                Ok(outcome) => {
                    self.stalled.send_if_modified(std::mem::take);
                    self.told_of(&part, &outcome);
                    for (mut waiting, outcome) in part.into_iter().zip(outcome.outcomes) {
                        waiting.tell(told(outcome));
                    }
                }
                Err(EngineError::Unknown(reason)) => {
                    tracing::warn!(group = self.writer.group, reason, "a commit's outcome is unknown");
                    self.figures.unknown.inc();
                    self.unresolved = Some(unknown::Unresolved::new(self.writer, above, part, began_ms));
                }
                Err(EngineError::Conflict { actual, .. }) => {
                    tracing::warn!(epoch = actual, "the epoch has changed");
                    self.epoch = actual;
                    self.hint.epoch_changed();
                    refuse(part, &StoreError::Lost(Losing::Rebuild));
                }
                Err(error) if part.len() == 1 => {
                    // Whoever submitted it is told why, and the request's own line has it.
                    tracing::debug!(%error, "a batch was refused");
                    self.refuse(part, &error.into());
                }
                Err(_) => {
                    let later = part.split_off(part.len() / 2);
                    parts.push_front(later);
                    parts.push_front(part);
                }
            }
        }
        self.settle().await;
    }

    /// Hints at what was committed, before anybody who waits for it is told: what they read next sees it.
    fn told_of(&self, part: &[Waiting], outcome: &GroupOutcome) {
        let mut work = BTreeSet::new();
        for (waiting, outcome) in part.iter().zip(&outcome.outcomes) {
            if let Outcome::Won { positions } = outcome {
                self.wakers.committed(&waiting.batch, positions, &mut work);
            }
        }
        self.hint.committed(outcome.position, work);
    }

    /// Answers the callers of an unknown group as soon as it can be told; at the latest before the next group.
    async fn settle(&mut self) {
        if let Err(error) = self.resolve(&mut VecDeque::new()).await {
            tracing::debug!(%error, "the outcome of a commit is still unknown");
        }
    }

    /// Looks for the group of unknown outcome, if there is one, while `unsent` waits.
    async fn resolve(&mut self, unsent: &mut VecDeque<Vec<Waiting>>) -> Result<(), StoreError> {
        let Some(mut unresolved) = self.unresolved.take() else { return Ok(()) };
        self.writer.group += 1;
        let engine = Arc::clone(&self.engine);
        let searching = unresolved.search(engine.as_ref(), self.epoch, self.writer);
        let began_ms = unresolved.began_ms;
        let found = self.patiently(searching, began_ms, &mut unresolved.group, unsent).await;
        match unresolved.resolve(found) {
            Ok(position) => {
                self.stalled.send_if_modified(std::mem::take);
                self.hint.committed(position, BTreeSet::new());
                // Which of its batches were written is known to their callers.
                self.wakers.wake_all();
                Ok(())
            }
            Err(error) => {
                // Once: it is looked for again and again.
                if !self.stalled.send_replace(true) {
                    tracing::error!(%error, "the outcome of a commit is still unknown");
                }
                self.unresolved = Some(unresolved);
                Err(error)
            }
        }
    }

    fn refuse(&self, group: Vec<Waiting>, error: &StoreError) {
        self.figures.refused.inc_by(group.len() as u64);
        refuse(group, error);
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

fn refuse(group: Vec<Waiting>, error: &StoreError) {
    for mut waiting in group {
        waiting.tell(Err(error.clone()));
    }
}
