//! The rows, sealed as a durable engine would store them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use wardstead_engine::{
    Cell, EngineError, Key, Page, PageBuilder, PageLimit, Position, ScanRange, plan::Change, value,
};

/// All rows, the journal's included.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) rows: BTreeMap<Key, Bytes>,
    /// Of the newest journal row.
    pub(crate) newest: Position,
}

impl Data {
    pub(crate) fn check_floor(&self, at: Position) -> Result<(), EngineError> {
        if at <= self.newest { Ok(()) } else { Err(EngineError::floor(at, self.newest)) }
    }

    pub(crate) fn cell(&self, key: &Key) -> Result<Option<Cell>, EngineError> {
        self.rows.get(key).map(|stored| value::open(key, stored)).transpose()
    }

    pub(crate) fn versions(&self, keys: &[Key]) -> Result<HashMap<Key, u64>, EngineError> {
        let version = |key: &Key| Some(self.cell(key).transpose()?.map(|cell| (key.clone(), cell.version)));
        keys.iter().filter_map(version).collect()
    }

    pub(crate) fn page(&self, range: &ScanRange, limit: PageLimit) -> Result<Page, EngineError> {
        let mut page = PageBuilder::new(range, limit);
        // An upside-down range is empty; `BTreeMap::range` would not agree.
        if range.from < range.to {
            let mut rows = self.rows.range(&range.from..&range.to);
            let mut next = || if range.reverse { rows.next_back() } else { rows.next() };
            while let Some((key, stored)) = next() {
                if !page.add(key.clone(), stored)? {
                    break;
                }
            }
        }
        Ok(page.finish())
    }

    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put(key, stored) => {
                    self.rows.insert(key, stored);
                }
                Change::Delete(key) => {
                    self.rows.remove(&key);
                }
                Change::DeleteRange(from, to) => {
                    let doomed: Vec<Key> = self.rows.range(&from..&to).map(|(key, _)| key.clone()).collect();
                    for key in doomed {
                        self.rows.remove(&key);
                    }
                }
            }
        }
    }
}
