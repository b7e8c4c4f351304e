//! How many requests are under way: to one host, and to all. A gateway that is dead or slow holds up nobody but who waits for it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wardstead_limits::pushers as limits;

/// One host.
struct Host {
    turns: Semaphore,
    /// Held by whoever tries it while it fails.
    probe: Semaphore,
    /// Failures since it last answered.
    failures: AtomicU32,
}

/// Hosts of gateways. What is known of them is this node's, and only decides who waits.
pub(crate) struct Hosts {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    all: Semaphore,
}

impl Default for Hosts {
    fn default() -> Self {
        Self { hosts: Mutex::default(), all: Semaphore::new(limits::REQUESTS_AT_ONCE) }
    }
}

impl Hosts {
    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock();
        if hosts.len() >= limits::HOST_ENTRIES {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let new = || Host {
            turns: Semaphore::new(limits::HOST_REQUESTS_AT_ONCE),
            probe: Semaphore::new(limits::PROBE_REQUESTS),
            failures: AtomicU32::new(0),
        };
        Arc::clone(hosts.entry(name.to_owned()).or_insert_with(|| Arc::new(new())))
    }

    /// Does `ask` when it is its turn at the host `name`; it tells whether it succeeded. `None`: the host has failed for a while, and somebody
    /// else is trying it, so that there is nothing to wait for.
    pub(crate) async fn ask<T>(&self, name: &str, ask: impl Future<Output = (T, bool)>) -> Option<T> {
        let host = self.host(name);
        let fails = || host.failures.load(Ordering::Relaxed) >= limits::HOST_TRIES;
        let probe: Option<SemaphorePermit<'_>> = if fails() { Some(host.probe.try_acquire().ok()?) } else { None };
        // Neither is ever closed.
        let _turn = host.turns.acquire().await.ok()?;
        if probe.is_none() && fails() {
            return None;
        }
        let _one = self.all.acquire().await.ok()?;
        let (answer, succeeded) = ask.await;
        if succeeded {
            host.failures.store(0, Ordering::Relaxed);
        } else {
            host.failures.fetch_add(1, Ordering::Relaxed);
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::pending;
    use tokio::time::{Duration, timeout};

    use super::*;

    async fn answered(hosts: &Hosts, name: &str, succeeds: bool) -> Option<()> {
        timeout(Duration::from_secs(1), hosts.ask(name, async { ((), succeeds) })).await.expect("it waits for nobody")
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_dead_host_holds_up_nobody() {
        let hosts = Arc::new(Hosts::default());
        for _ in 0..4 * limits::REQUESTS_AT_ONCE {
            let hosts = Arc::clone(&hosts);
            tokio::spawn(async move { hosts.ask("dead", pending::<((), bool)>()).await });
        }
        tokio::task::yield_now().await;
        assert_eq!(hosts.all.available_permits(), limits::REQUESTS_AT_ONCE - limits::HOST_REQUESTS_AT_ONCE);
        assert_eq!(answered(&hosts, "alive", true).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_fails_is_tried_by_one_until_it_answers() {
        let hosts = Arc::new(Hosts::default());
        for _ in 0..limits::HOST_TRIES {
            assert_eq!(answered(&hosts, "a", false).await, Some(()));
        }
        let (begin, end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let probe = tokio::spawn({
            let (hosts, begin, end) = (Arc::clone(&hosts), Arc::clone(&begin), Arc::clone(&end));
            async move {
                let waits = async {
                    begin.add_permits(1);
                    drop(end.acquire().await);
                    ((), true)
                };
                hosts.ask("a", waits).await
            }
        });
        drop(begin.acquire().await);
        assert_eq!(answered(&hosts, "a", true).await, None, "somebody is trying it");
        end.add_permits(1);
        assert_eq!(probe.await.unwrap(), Some(()));
        assert_eq!(answered(&hosts, "a", true).await, Some(()));
    }
}
