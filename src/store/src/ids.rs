//! Short ids: 64-bit numbers for rooms, users, devices, events and state keys, never reused.
//!
//! A node takes a block from the counter row in a commit of its own, so that numbering costs no write per event. What is
//! left of a block when the process ends is lost, which is harmless.
//!
//! A restore or a failover may lose the newest commits, and with them blocks that a node still gives out: in a new epoch
//! every node takes a new block, and the first leaves out more than can have been lost.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Batch, Expect, Losing};
use wardstead_limits::store as limits;

use crate::{Row, Store, StoreError, Table, postcard_row};

#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// First number that nobody has taken.
    next: u64,
    /// The epoch in which it was written.
    epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct CounterV1 {
    next: u64,
}

#[derive(Serialize, Deserialize)]
struct CounterV2 {
    next: u64,
    epoch: u64,
}

impl Row for Counter {
    fn encode(&self) -> Bytes {
        postcard_row::encode(2, &CounterV2 { next: self.next, epoch: self.epoch })
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let second = postcard_row::decode(2, bytes).map(|CounterV2 { next, epoch }| Self { next, epoch });
        // Written before there were epochs.
        second.or_else(|| postcard_row::decode(1, bytes).map(|CounterV1 { next }| Self { next, epoch: 0 }))
    }
}

const COUNTER: Table<Counter> = Table::new(AccessPattern::Point, 0x010, "short_id_counter", "store");

/// Numbers that this node has taken and not used.
#[derive(Debug, Default)]
pub(crate) struct Block {
    next: u64,
    end: u64,
    epoch: u64,
}

impl Block {
    /// Takes `count` numbers, from the counter row where the block does not hold them.
    pub(crate) async fn take(&mut self, store: &Store, count: usize) -> Result<Vec<u64>, StoreError> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if self.next == self.end || self.epoch != store.epoch() {
                *self = claim(store).await?;
            }
            let missing = (count - taken.len()) as u64;
            let upto = self.end.min(self.next + missing);
            taken.extend(self.next..upto);
            self.next = upto;
        }
        Ok(taken)
    }
}

async fn claim(store: &Store) -> Result<Block, StoreError> {
    let key = COUNTER.key(0).key();
    let mut attempt = 0;
    loop {
        let epoch = store.epoch();
        let found = store.get(&COUNTER, &key).await?;
        let (counter, version) = found.map_or_else(Default::default, |found| (found.row, found.version));
        let lost = if counter.epoch >= epoch { 0 } else { limits::EPOCH_JUMP_IDS };
        let next = counter.next.max(1) + lost;
        let end = next + limits::SHORT_ID_BLOCK;
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        let mut batch = Batch::new();
        batch.expect(key.clone(), expect, Losing::Rebuild);
        COUNTER.put_with(
            &mut batch,
            key.clone(),
            version + 1,
            &[],
            &Counter { next: end, epoch: epoch.max(counter.epoch) },
        );
        match store.commit(batch).await {
            Ok(_) => return Ok(Block { next, end, epoch }),
            // Another node took a block in between, or the epoch changed; blocks are rare, so losing more than a few in a
            // row is a fault.
            Err(StoreError::Lost(Losing::Rebuild)) if attempt < limits::REBUILDS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
