//! Into how many partitions the slots of a table are cut. Stored, so that all nodes agree.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Batch, Expect, Key, Losing};
use wardstead_limits::store as limits;

use crate::{Store, StoreError, Table};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LayoutRow {
    partitions: u8,
}
crate::row!(LayoutRow, 1);

const LAYOUTS: Table<LayoutRow> = Table::new(AccessPattern::Point, 0x013, "work_partitions", "store");

/// How the slots of one table are cut. One partition where nothing else is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    key: Key,
    /// Of the row; 0 without one.
    version: u64,
    partitions: u8,
    slots: u8,
}

impl Layout {
    /// The layout of the table `name` with `slots` slots.
    pub(crate) async fn read(store: &Store, name: &str, slots: u8) -> Result<Self, StoreError> {
        let key = LAYOUTS.key(0).text(name).key();
        let found = store.get(&LAYOUTS, &key).await?;
        let (partitions, version) = found.map_or((1, 0), |found| (found.row.partitions, found.version));
        Ok(Self { key, version, partitions: partitions.clamp(1, slots), slots })
    }

    pub(crate) fn partitions(&self) -> u8 {
        self.partitions
    }

    /// The slots of partition `number`.
    pub(crate) fn slots(&self, number: u8) -> Range<u8> {
        let [slots, partitions] = [self.slots, self.partitions].map(u16::from);
        let start = |number: u16| u8::try_from(number * slots / partitions).unwrap_or(self.slots);
        start(number.into())..start(u16::from(number) + 1)
    }

    /// Lets `batch` win only while this is the layout.
    pub(crate) fn assert(&self, batch: &mut Batch, losing: Losing) {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        batch.expect(self.key.clone(), expect, losing);
    }
}

/// See [`Store::set_partitions`].
pub(crate) async fn set(store: &Store, name: &str, partitions: u8) -> Result<(), StoreError> {
    let mut attempt = 0;
    loop {
        let now = Layout::read(store, name, u8::MAX).await?;
        let mut batch = Batch::new();
        now.assert(&mut batch, Losing::Rebuild);
        LAYOUTS.put_with(&mut batch, now.key, now.version + 1, &[], &LayoutRow { partitions });
        match store.commit(batch).await {
            Err(StoreError::Lost(Losing::Rebuild)) if attempt < limits::REBUILDS => attempt += 1,
            done => return done.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_in_one_partition() {
        for slots in [1, 8, 64, u8::MAX] {
            for partitions in 1..=slots {
                let layout = Layout { key: LAYOUTS.key(0).key(), version: 0, partitions, slots };
                let all: Vec<u8> = (0..partitions).flat_map(|number| layout.slots(number)).collect();
                assert_eq!(all, (0..slots).collect::<Vec<_>>());
                assert!((0..partitions).all(|number| !layout.slots(number).is_empty()));
            }
        }
    }
}
