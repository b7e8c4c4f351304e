//! Pending heads: one chain of queued batches for each room in which something is going on.

use std::{
    collections::{HashMap, VecDeque},
    ops::Deref,
    sync::Arc,
};

use parking_lot::Mutex;
use ruma::{EventId, OwnedEventId};
use wardstead_engine::{Key, Position};
use wardstead_store::{Found, Leases};

use crate::{
    RoomError,
    state::Snapshot,
    tables::{HEADS, HeadRow, Moment},
};

use super::{
    layer::{Queued, Settled},
    share::{self, Shares},
};

/// Where the next event of a room attaches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// Version of the head's cell; 0: there is none yet.
    pub(crate) version: u64,
    /// Forward extremities with their depths.
    pub(crate) extremities: Vec<(OwnedEventId, u64)>,
    /// Largest depth in the timeline.
    pub(crate) depth: u64,
    /// Current state.
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) joined: u32,
    pub(crate) invited: u32,
    pub(crate) partial: bool,
    /// Where and when the last live event stands.
    pub(crate) moment: Option<Moment>,
    /// Position of the last event or change of state, where no batch of this node is queued.
    pub(crate) last: Position,
}

impl Head {
    /// The head in `found`; its snapshot is still to be loaded, and has only its id.
    pub(crate) fn read(found: Found<HeadRow>) -> Result<Self, RoomError> {
        let last = found.position();
        let Found { key, row, version, .. } = found;
        let parse = |(id, depth): (String, u64)| {
            let id = EventId::parse(id).map_err(|_| RoomError::corrupt(&key, "an extremity is no event id"))?;
            Ok((id, depth))
        };
        let extremities = row.extremities.into_iter().map(parse).collect::<Result<_, RoomError>>()?;
        let snapshot = Arc::new(Snapshot { id: row.snapshot, ..Snapshot::default() });
        let (depth, joined, invited, partial) = (row.depth, row.joined, row.invited, row.partial);
        Ok(Self { version, extremities, depth, snapshot, joined, invited, partial, moment: row.moment, last })
    }

    pub(crate) fn row(&self) -> HeadRow {
        HeadRow {
            extremities: self.extremities.iter().map(|(id, depth)| (id.as_str().to_owned(), *depth)).collect(),
            depth: self.depth,
            snapshot: self.snapshot.id,
            joined: self.joined,
            invited: self.invited,
            partial: self.partial,
            moment: self.moment,
        }
    }
}

pub(crate) fn head_key(room: u64) -> Key {
    HEADS.key(room).key()
}

/// The end of a chain: what the next batch builds on, and the batches that are not settled.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) head: Head,
    pub(crate) queue: VecDeque<Arc<Queued>>,
}

#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Counts the chains that broke: what was built on one of those is built again.
    pub(crate) generation: u64,
    /// Number of the next batch.
    pub(crate) next: u64,
    /// `None` while nothing is queued: the committed head holds.
    pub(crate) tip: Option<Tip>,
}

/// When somebody last looked whether another node has a share of the room, in milliseconds of the monotonic clock; `None`: nothing
/// was going on until now.
pub(crate) type Looked = Option<u64>;

/// A room in which something is going on.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Held while an event is built and its batch queued; first come, first served.
    pub(crate) turn: tokio::sync::Mutex<Looked>,
    pub(crate) chain: Mutex<Chain>,
}

impl Chain {
    /// The last batch of the queue.
    pub(crate) fn newest(&self) -> Option<Settled> {
        self.tip.as_ref().and_then(|tip| tip.queue.back()).map(|queued| queued.settled.clone())
    }
}

impl Slot {
    /// Takes note of what became of batch `number`. Whether its chain broke by that.
    pub(crate) fn settle(&self, generation: u64, number: u64, committed: bool) -> bool {
        let mut chain = self.chain.lock();
        if chain.generation != generation {
            return false;
        }
        if !committed {
            chain.generation += 1;
            chain.tip = None;
        } else if let Some(tip) = &mut chain.tip {
            while tip.queue.front().is_some_and(|queued| queued.number <= number) {
                tip.queue.pop_front();
            }
            if tip.queue.is_empty() {
                chain.tip = None;
            }
        }
        !committed
    }
}

/// The rooms in which something is going on, and no others: memory follows the requests in flight.
#[derive(Debug)]
pub(crate) struct Chains {
    rooms: Mutex<HashMap<u64, Arc<Slot>>>,
    pub(crate) shares: Shares,
    pub(crate) leases: Leases,
}

impl Chains {
    pub(crate) fn new(leases: Leases) -> Self {
        Self { rooms: Mutex::default(), shares: Shares::default(), leases }
    }

    pub(crate) fn slot(chains: &Arc<Self>, room: u64) -> SlotGuard {
        let slot = Arc::clone(chains.rooms.lock().entry(room).or_default());
        SlotGuard { chains: Arc::clone(chains), room, slot }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.lock().len()
    }
}

/// A room's slot, forgotten with its last guard.
#[derive(Clone, Debug)]
pub(crate) struct SlotGuard {
    chains: Arc<Chains>,
    room: u64,
    slot: Arc<Slot>,
}

impl SlotGuard {
    /// Short id of the room.
    pub(crate) fn room(&self) -> u64 {
        self.room
    }
}

impl Deref for SlotGuard {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut rooms = self.chains.rooms.lock();
        // Counted and given back under the map's lock: of two guards that are dropped at once the second removes the slot.
        // A queued batch has a guard until it settles, so no chain is forgotten.
        let slot = std::mem::take(&mut self.slot);
        let last = Arc::strong_count(&slot) == 2;
        if last {
            rooms.remove(&self.room);
        }
        drop((slot, rooms));
        // Nothing more to append: the others need not wait for the end of the share.
        if last
            && self.chains.shares.ended(self.room)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(share::give_back(self.chains.leases.clone(), self.room));
        }
    }
}
