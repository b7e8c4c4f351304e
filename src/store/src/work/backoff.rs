//! What could not be done is tried again later, and later each time. In memory: a successor tries at once.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;
use wardstead_limits::{Clock, store as limits};

#[derive(Clone, Copy, Debug)]
struct Wait {
    until_ms: u64,
    pause_ms: u64,
}

/// Pauses of lanes or timers, by a node's monotonic clock.
#[derive(Debug)]
pub(crate) struct Backoff<K>(Mutex<HashMap<K, Wait>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Backoff<K> {
    /// It could not be done.
    pub(crate) fn failed(&self, what: K, clock: &dyn Clock) {
        let mut waits = self.0.lock();
        let before = waits.get(&what).map_or(0, |wait| wait.pause_ms);
        let pause_ms = (before * 2).clamp(limits::WORK_RETRY_MS, limits::WORK_RETRY_MOST_MS);
        waits.insert(what, Wait { until_ms: clock.monotonic_ms() + pause_ms, pause_ms });
    }

    /// It was done.
    pub(crate) fn done(&self, what: &K) {
        self.0.lock().remove(what);
    }

    /// Whether it is to be left alone for now.
    pub(crate) fn is_waiting(&self, what: &K, clock: &dyn Clock) -> bool {
        self.0.lock().get(what).is_some_and(|wait| wait.until_ms > clock.monotonic_ms())
    }

    /// What may be tried again.
    pub(crate) fn due(&self, clock: &dyn Clock) -> Vec<K> {
        let now_ms = clock.monotonic_ms();
        self.0.lock().iter().filter(|(_, wait)| wait.until_ms <= now_ms).map(|(what, _)| what.clone()).collect()
    }

    /// Milliseconds until the first of those that wait may be tried again. Forgets what was not tried again for long after
    /// its pause: it is gone.
    pub(crate) fn next_ms(&self, clock: &dyn Clock) -> Option<u64> {
        let now_ms = clock.monotonic_ms();
        let mut waits = self.0.lock();
        waits.retain(|_, wait| now_ms < wait.until_ms + limits::WORK_RETRY_MOST_MS);
        waits.values().filter_map(|wait| wait.until_ms.checked_sub(now_ms)).filter(|ms| *ms > 0).min()
    }
}

#[cfg(test)]
mod tests {
    use wardstead_limits::ManualClock;

    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_success() {
        let (clock, backoff) = (ManualClock::new(0), Backoff::default());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            backoff.failed('a', &clock);
            assert!(backoff.is_waiting(&'a', &clock) && !backoff.is_waiting(&'b', &clock));
            let pause_ms = backoff.next_ms(&clock).unwrap();
            pauses.push(pause_ms);
            assert_eq!(backoff.due(&clock), []);
            clock.advance_ms(pause_ms);
            assert!(!backoff.is_waiting(&'a', &clock));
            assert_eq!(backoff.due(&clock), ['a']);
        }
        assert_eq!(pauses[..2], [limits::WORK_RETRY_MS, 2 * limits::WORK_RETRY_MS]);
        assert_eq!(pauses[7], limits::WORK_RETRY_MOST_MS);
        backoff.done(&'a');
        assert_eq!(backoff.next_ms(&clock), None);
        backoff.failed('a', &clock);
        assert_eq!(backoff.next_ms(&clock), Some(limits::WORK_RETRY_MS));
        clock.advance_ms(2 * limits::WORK_RETRY_MOST_MS);
        assert_eq!(backoff.next_ms(&clock), None, "forgotten");
    }
}
