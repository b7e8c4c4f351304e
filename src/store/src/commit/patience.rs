//! Patience has an end: a commit that does not come back is waited for, but nobody waits with it.
//!
//! A COMMIT is never cancelled; a database that lost its standby may hold it for hours. Whoever submitted to such a group is
//! told that its outcome is unknown, and whoever is behind it that nothing was written: both may ask again.

use std::{collections::VecDeque, future::Future, time::Duration};

use wardstead_engine::EngineError;

use super::{Committer, Waiting, refuse};

impl Committer {
    /// Awaits `act`, which began at `began_ms`. When that takes longer than the engine's limit, those who wait for what was
    /// `sent` are told that it is unknown; those in `unsent`, in the queue, and still to come, that nothing was written.
    pub(super) async fn patiently<T>(
        &mut self,
        act: impl Future<Output = T>,
        began_ms: u64,
        sent: &mut [Waiting],
        unsent: &mut VecDeque<Vec<Waiting>>,
    ) -> T {
        tokio::pin!(act);
        let waited_ms = self.clock.monotonic_ms().saturating_sub(began_ms);
        let left = Duration::from_millis(self.limits.stall_ms.saturating_sub(waited_ms));
        tokio::select! {
            biased;
            done = &mut act => return done,
            () = tokio::time::sleep(left) => {}
        }
        if !self.stalled.send_replace(true) {
            tracing::warn!(group = self.writer.group, "a commit does not come back; its callers are told so");
        }
        for waiting in sent {
            waiting.tell(Err(EngineError::Unknown("the commit did not come back in time".to_owned()).into()));
        }
        let nothing = EngineError::Unavailable("an earlier commit does not come back".to_owned()).into();
        for part in unsent.drain(..) {
            self.figures.refused.inc_by(part.len() as u64);
            refuse(part, &nothing);
        }
        loop {
            tokio::select! {
                biased;
                done = &mut act => return done,
                Some(waiting) = self.queue.recv() => {
                    self.figures.refused.inc();
                    refuse(vec![waiting], &nothing);
                }
            }
        }
    }
}
