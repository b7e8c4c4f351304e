//! Fairness between nodes that append to one room at once (design: no node owns a room).
//!
//! Every append is safe without this: it asserts the head. But a node whose next group is always queued before another one has
//! read the head would win for ever. So a node that has lost twice within a second takes turns: a lease of the room for a *share* of
//! time, then a pause in which the others get theirs. The lease is advisory: a node that does not know of it yet conflicts, or finds it
//! at its next look.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use wardstead_limits::rooms as limits;
use wardstead_store::{Leases, StoreError};

use crate::{Inner, RoomError};

use super::{
    chain::{Chains, Looked},
    layer::Settled,
};

/// What a node knows of other nodes' appends, by room. Times are of the monotonic clock, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    rooms: Mutex<HashMap<u64, Contended>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Contended {
    /// Conflicts since `first_ms`.
    conflicts: u32,
    first_ms: u64,
    /// Shares are taken until then.
    until_ms: u64,
    /// When another node last had the lease.
    refused_ms: Option<u64>,
    /// When this node's share is over; `None`: it has none.
    ends_ms: Option<u64>,
}

/// What a request that wants to append has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing: no other node is known to append.
    Free,
    /// Nothing: the share is this node's.
    Ours,
    /// Ask for a share.
    Ask,
    /// Give the share back and leave a pause, then ask again.
    Over,
}

/// Ends this node's share of `room` for the others too.
pub(crate) async fn give_back(leases: Leases, room: u64) {
    if let Err(error) = leases.give_back(&Shares::lease(room)).await {
        tracing::debug!(%error, "a share of a room was not given back; it ends by itself");
    }
}

impl Inner {
    /// Returns when this node may append to `room`, whose turn the caller has. `newest`: the last of its batches in the queue.
    ///
    /// # Errors
    /// `Busy` when other nodes had the room for too long, the store's.
    pub(crate) async fn share(&self, room: u64, looked: &mut Looked, newest: Option<Settled>) -> Result<(), RoomError> {
        let Chains { shares, leases, .. } = &*self.chains;
        let lease = Shares::lease(room);
        let now_ms = || self.store.clock().monotonic_ms();
        let began_ms = now_ms();
        loop {
            match shares.entry(room, now_ms()) {
                Entry::Ours => return Ok(()),
                // Who begins after a pause reads the head, and conflicts if another node is there. Who never pauses does not.
                Entry::Free => {
                    let due = looked.get_or_insert(began_ms).saturating_add(limits::SHARE_LOOK_MS) <= began_ms;
                    if !due || !leases.held_elsewhere(&lease).await? {
                        *looked = looked.filter(|_| !due).or(Some(began_ms));
                        return Ok(());
                    }
                    shares.refused(room, now_ms());
                }
                Entry::Ask if now_ms() >= began_ms + limits::SHARE_WAIT_MS => {
                    return Err(RoomError::Busy("other nodes append to the room"));
                }
                Entry::Ask => match leases.take(&lease, limits::SHARE_MS).await {
                    Ok(Some(ends_ms)) if shares.taken(room, now_ms(), ends_ms) => pause(limits::SHARE_QUIET_MS).await,
                    Ok(Some(_)) => {}
                    // This node is ending and finishes what it has begun.
                    Err(StoreError::Closed) => return Ok(()),
                    Err(error) => return Err(error.into()),
                    Ok(None) => {
                        shares.refused(room, now_ms());
                        pause(limits::SHARE_POLL_MS).await;
                    }
                },
                Entry::Over => {
                    if let Some(newest) = &newest {
                        newest.clone().committed().await;
                    }
                    shares.ended(room);
                    give_back(leases.clone(), room).await;
                    pause(limits::SHARE_PAUSE_MS).await;
                }
            }
        }
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

impl Contended {
    fn of_interest(&self, now_ms: u64) -> bool {
        self.ends_ms.is_some() || self.until_ms > now_ms || self.first_ms + limits::CONFLICT_WINDOW_MS > now_ms
    }
}

impl Shares {
    /// Name of the room's lease.
    pub(crate) fn lease(room: u64) -> String {
        format!("room/{room}")
    }

    /// A chain of this node broke: another node moved the head.
    pub(crate) fn conflict(&self, room: u64, now_ms: u64) {
        self.change(room, now_ms, |contended| {
            if now_ms >= contended.first_ms + limits::CONFLICT_WINDOW_MS {
                (contended.conflicts, contended.first_ms) = (0, now_ms);
            }
            contended.conflicts += 1;
            if contended.conflicts >= limits::CONFLICTS || contended.until_ms > now_ms {
                contended.until_ms = now_ms + limits::CONTENDED_MS;
            }
        });
    }

    /// Another node has the lease.
    pub(crate) fn refused(&self, room: u64, now_ms: u64) {
        self.change(room, now_ms, |contended| {
            contended.refused_ms = Some(now_ms);
            contended.until_ms = now_ms + limits::CONTENDED_MS;
        });
    }

    /// This node has the lease until `ends_ms`. Whether the other nodes have to be given time to find that out.
    pub(crate) fn taken(&self, room: u64, now_ms: u64, ends_ms: u64) -> bool {
        let mut unknown = true;
        self.change(room, now_ms, |contended| {
            contended.ends_ms = Some(ends_ms);
            unknown = contended.refused_ms.is_none_or(|refused_ms| refused_ms + limits::CONTENDED_MS <= now_ms);
        });
        unknown
    }

    /// This node has no share any more. Whether it had one.
    pub(crate) fn ended(&self, room: u64) -> bool {
        let mut rooms = self.rooms.lock();
        rooms.get_mut(&room).is_some_and(|contended| contended.ends_ms.take().is_some())
    }

    pub(crate) fn entry(&self, room: u64, now_ms: u64) -> Entry {
        let rooms = self.rooms.lock();
        let Some(contended) = rooms.get(&room) else { return Entry::Free };
        match contended.ends_ms {
            Some(ends_ms) if now_ms + limits::SHARE_MARGIN_MS < ends_ms => Entry::Ours,
            Some(_) => Entry::Over,
            None if contended.until_ms > now_ms => Entry::Ask,
            None => Entry::Free,
        }
    }

    fn change(&self, room: u64, now_ms: u64, change: impl FnOnce(&mut Contended)) {
        let mut rooms = self.rooms.lock();
        if rooms.len() >= limits::CONTENDED_ROOMS && !rooms.contains_key(&room) {
            rooms.retain(|_, contended| contended.of_interest(now_ms));
        }
        change(rooms.entry(room).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u64 = 7;
    const START_MS: u64 = 10_000;

    #[test]
    fn two_conflicts_within_a_second_begin_turns_and_time_ends_them() {
        let shares = Shares::default();
        shares.conflict(ROOM, START_MS);
        assert_eq!(shares.entry(ROOM, START_MS), Entry::Free, "one conflict happens to everybody");
        shares.conflict(ROOM, START_MS + limits::CONFLICT_WINDOW_MS);
        assert_eq!(shares.entry(ROOM, START_MS + limits::CONFLICT_WINDOW_MS), Entry::Free, "too long ago");
        let second = START_MS + limits::CONFLICT_WINDOW_MS + 10;
        shares.conflict(ROOM, second);
        assert_eq!(shares.entry(ROOM, second), Entry::Ask);
        assert_eq!(shares.entry(ROOM + 1, second), Entry::Free, "another room");
        assert_eq!(shares.entry(ROOM, second + limits::CONTENDED_MS - 1), Entry::Ask);
        assert_eq!(shares.entry(ROOM, second + limits::CONTENDED_MS), Entry::Free);
    }

    #[test]
    fn a_share_ends_before_its_lease() {
        let shares = Shares::default();
        shares.refused(ROOM, START_MS);
        assert_eq!(shares.entry(ROOM, START_MS), Entry::Ask);
        assert!(!shares.taken(ROOM, START_MS, START_MS + limits::SHARE_MS), "who had the lease knows of the turns");
        assert_eq!(shares.entry(ROOM, START_MS), Entry::Ours);
        let last = START_MS + limits::SHARE_MS - limits::SHARE_MARGIN_MS;
        assert_eq!(shares.entry(ROOM, last - 1), Entry::Ours);
        assert_eq!(shares.entry(ROOM, last), Entry::Over);
        assert!(shares.ended(ROOM));
        assert!(!shares.ended(ROOM), "given back once");
        assert_eq!(shares.entry(ROOM, last), Entry::Ask);
    }

    #[test]
    fn the_first_share_waits_until_the_others_have_looked() {
        let shares = Shares::default();
        shares.conflict(ROOM, START_MS);
        shares.conflict(ROOM, START_MS);
        assert!(shares.taken(ROOM, START_MS, START_MS + limits::SHARE_MS));
        const { assert!(limits::SHARE_QUIET_MS > limits::SHARE_LOOK_MS) };
        const { assert!(limits::SHARE_PAUSE_MS > 2 * limits::SHARE_POLL_MS) };
    }

    #[test]
    fn rooms_without_a_recent_conflict_are_forgotten() {
        let shares = Shares::default();
        for room in 0..limits::CONTENDED_ROOMS as u64 {
            shares.conflict(room, START_MS);
        }
        shares.taken(3, START_MS, START_MS + limits::SHARE_MS);
        shares.conflict(u64::MAX, START_MS + limits::CONFLICT_WINDOW_MS);
        let kept: Vec<u64> = shares.rooms.lock().keys().copied().collect();
        assert_eq!(kept.len(), 2, "the new one, and the one with a share: {kept:?}");
    }
}
