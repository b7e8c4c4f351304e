//! Short ids: 64-bit numbers for rooms, users, devices, events and state keys, never reused.
//!
//! A node takes a block from the counter row in a commit of its own, so that numbering costs no write per event. What is
//! left of a block when the process ends is lost, which is harmless.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Batch, Expect, Losing};
use wardstead_limits::store as limits;

use crate::{Store, StoreError, Table};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    /// First number that nobody has taken.
    next: u64,
}
crate::row!(Counter, 1);

const COUNTER: Table<Counter> = Table::new(AccessPattern::Point, 0x010, "short_id_counter", "store");

/// Numbers that this node has taken and not used.
#[derive(Debug, Default)]
pub(crate) struct Block {
    next: u64,
    end: u64,
}

impl Block {
    /// Takes `count` numbers, from the counter row where the block does not hold them.
    pub(crate) async fn take(&mut self, store: &Store, count: usize) -> Result<Vec<u64>, StoreError> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if self.next == self.end {
                (self.next, self.end) = claim(store).await?;
            }
            let missing = (count - taken.len()) as u64;
            let upto = self.end.min(self.next + missing);
            taken.extend(self.next..upto);
            self.next = upto;
        }
        Ok(taken)
    }
}

async fn claim(store: &Store) -> Result<(u64, u64), StoreError> {
    let key = COUNTER.key(0).key();
    let mut attempt = 0;
    loop {
        let found = store.get(&COUNTER, &key).await?;
        let (first, version) = found.map_or((1, 0), |found| (found.row.next, found.version));
        let end = first + limits::SHORT_ID_BLOCK;
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        let mut batch = Batch::new();
        batch.expect(key.clone(), expect, Losing::Rebuild);
        COUNTER.put_with(&mut batch, key.clone(), version + 1, &[], &Counter { next: end });
        match store.commit(batch).await {
            Ok(_) => return Ok((first, end)),
            // Another node took a block in between; blocks are rare, so losing more than a few in a row is a fault.
            Err(StoreError::Lost(Losing::Rebuild)) if attempt < limits::REBUILDS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
