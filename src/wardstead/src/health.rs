//! Whether this node can do its work: looked at all the time, told to whoever asks, and to the requests that wait in vain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use wardstead_engine::{Engine, EngineError, Position};
use wardstead_limits::{Clock, wardstead as limits};
use wardstead_store::Store;

use crate::data::Backend;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    /// Why it is not, or a figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) says: Option<String>,
}

/// Everything that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    pub(crate) checks: Vec<Check>,
}

/// The health of a node. One task probes; everybody else reads.
pub(crate) struct Health {
    backend: Backend,
    engine: Arc<dyn Engine>,
    store: Store,
    clock: Arc<dyn Clock>,
    /// What `position` last answered.
    probe: Mutex<Result<Position, String>>,
    available: watch::Sender<bool>,
    behind: Mutex<Behind>,
    draining: AtomicBool,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.readiness().fmt(f)
    }
}

/// Since when the tail has not arrived at a position that the engine named.
#[derive(Debug, Default)]
struct Behind {
    newest: Position,
    /// The oldest unmet position, and when it was named.
    unmet: Option<(Position, u64)>,
}

impl Behind {
    /// The engine named `newest` at `now_ms`, when the tail had arrived at `reached`.
    fn named(&mut self, newest: Position, reached: Position, now_ms: u64) {
        self.newest = newest;
        if self.unmet.is_none_or(|(position, _)| reached >= position) {
            self.unmet = (reached < newest).then_some((newest, now_ms));
        }
    }

    /// Milliseconds for which the tail, now at `reached`, has been behind.
    fn ms(&self, reached: Position, now_ms: u64) -> u64 {
        match self.unmet {
            Some((position, since_ms)) if reached < position => now_ms.saturating_sub(since_ms),
            _ => 0,
        }
    }
}

impl Health {
    pub(crate) fn new(backend: Backend, store: Store) -> Self {
        let clock = Arc::clone(store.clock());
        Self {
            engine: backend.engine(),
            backend,
            probe: Mutex::new(Ok(store.position())),
            behind: Mutex::default(),
            store,
            clock,
            available: watch::Sender::new(true),
            draining: AtomicBool::new(false),
        }
    }

    /// Whether the data can be reached, as the requests are told.
    pub(crate) fn available(&self) -> watch::Receiver<bool> {
        self.available.subscribe()
    }

    /// From now on this node is not ready: it is about to end.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Asks the engine again and again. Never returns.
    ///
    /// An engine that does not answer in time is lost at once. One that answers with an error is lost with the second error
    /// in a row: a single connection may have been cut.
    pub(crate) async fn watch(&self) {
        let mut errors = 0_u32;
        loop {
            let answer = tokio::time::timeout(Duration::from_millis(limits::PROBE_MS), self.engine.position()).await;
            errors = if matches!(answer, Ok(Ok(_))) { 0 } else { errors.saturating_add(1) };
            let lost = errors > 1 || answer.is_err();
            let found = answer.unwrap_or_else(|_| Err(EngineError::Unavailable("no answer in time".to_owned())));
            if let Ok(newest) = &found {
                self.behind.lock().named(*newest, self.store.position(), self.clock.monotonic_ms());
            }
            self.tell(lost, found.as_ref().err());
            *self.probe.lock() = found.map_err(|error| error.to_string());
            tokio::time::sleep(Duration::from_millis(limits::PROBE_STEP_MS)).await;
        }
    }

    fn tell(&self, lost: bool, error: Option<&EngineError>) {
        let changed = self.available.send_if_modified(|available| std::mem::replace(available, !lost) == lost);
        match (changed, error) {
            (true, Some(error)) => tracing::error!(%error, "the data cannot be reached"),
            (true, None) => tracing::info!("the data can be reached again"),
            (false, _) => {}
        }
    }

    /// Positions and milliseconds by which the tail is behind.
    pub(crate) fn behind(&self) -> (u64, u64) {
        let (reached, now_ms) = (self.store.position(), self.clock.monotonic_ms());
        let behind = self.behind.lock();
        (behind.newest.0.saturating_sub(reached.0), behind.ms(reached, now_ms))
    }

    /// All checks.
    pub(crate) fn readiness(&self) -> Readiness {
        let check = |name, problem: Option<String>| Check { name, ok: problem.is_none(), says: problem };
        let lost = !*self.available.borrow();
        let probe = self.probe.lock().clone().err();
        let (_, behind_ms) = self.behind();
        let late = behind_ms > limits::READY_BEHIND_MS;
        let checks = vec![
            check("engine", lost.then(|| probe.unwrap_or_else(|| "no answer".to_owned()))),
            check("durable", self.backend.not_durable()),
            check("commits", self.store.status().stalled.then(|| "commits do not come back".to_owned())),
            check("tail", late.then(|| format!("{behind_ms} ms behind"))),
            check("serving", self.draining.load(Ordering::SeqCst).then(|| "this node is ending".to_owned())),
        ];
        Readiness { ready: checks.iter().all(|check| check.ok), checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_is_told_from_the_oldest_position_that_was_not_reached() {
        let mut behind = Behind::default();
        behind.named(Position(5), Position(5), 0);
        assert_eq!(behind.ms(Position(5), 100), 0);
        behind.named(Position(8), Position(5), 200);
        behind.named(Position(9), Position(7), 300);
        assert_eq!(behind.ms(Position(7), 350), 150, "the first of the two");
        assert_eq!(behind.ms(Position(8), 350), 0, "it moves: nobody knows since when the rest is there");
        behind.named(Position(9), Position(8), 400);
        assert_eq!(behind.ms(Position(8), 450), 50);
        assert_eq!(behind.ms(Position(9), 450), 0);
    }
}
