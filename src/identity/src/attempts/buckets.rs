//! The buckets of an attempt as they were read.
//!
//! A bucket's row stands under the hour of its last change, so that what is past is one range: a bucket that has not changed for
//! an hour is full. What counts is the row of this hour or, where there is none yet, that of the last.

use wardstead_engine::{Batch, Cell, Expect, Key, Losing};
use wardstead_limits::{Rate, accounts as limits};
use wardstead_store::{Store, StoreError};

use super::{
    FailedLogins,
    subject::{Name, Subject, bucket},
};
use crate::tables::{FAILED_LOGINS, FailedLoginsRow};

/// What an attempt is judged by.
#[derive(Debug)]
pub(super) struct Judged {
    buckets: Vec<Bucket>,
    pub(super) now_ms: u64,
    /// Whether it is written down, in this window, that the account has signed in from here.
    pub(super) remembered: bool,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    key: Key,
    /// Of the row of this hour.
    version: Option<u64>,
    full_us: u64,
}

impl Judged {
    /// One read of the engine, or none.
    pub(super) async fn read(
        store: &Store,
        subject: &Subject,
        limited: FailedLogins,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        let hour = now_ms / limits::FAILED_WINDOW_MS;
        let places = now_ms / limits::KNOWN_WINDOW_MS;
        let own = limited.pair.zip(subject.pair());
        let others =
            [limited.account.zip(subject.account()), limited.address.zip(subject.address())].into_iter().flatten();
        let named: Vec<(Rate, Name)> = own.into_iter().chain(others).collect();

        let places = subject.place(places).into_iter().chain(subject.place(places.saturating_sub(1)));
        let mut keys: Vec<Key> = places.collect();
        let known_keys = keys.len();
        let hours = [hour, hour.saturating_sub(1)];
        keys.extend(named.iter().flat_map(|(_, name)| hours.map(|hour| bucket(hour, name))));
        let cells = store.cells(&keys).await?;

        let remembered = known_keys > 0 && cells.first().is_some_and(Option::is_some);
        let known = cells.iter().take(known_keys).any(Option::is_some);
        // Its own bucket stands first.
        let judging = if known { usize::from(own.is_some()) } else { named.len() };
        let mut buckets = Vec::new();
        let rows = keys.chunks_exact(2).zip(cells.chunks_exact(2)).skip(known_keys / 2);
        for ((rate, _), (keys, cells)) in named.iter().zip(rows).take(judging) {
            buckets.push(Bucket::of(*rate, keys, cells)?);
        }
        Ok(Self { buckets, now_ms, remembered })
    }

    /// Milliseconds until there is something in each bucket.
    pub(super) fn wait_ms(&self) -> u64 {
        let waits = self.buckets.iter().filter_map(|bucket| bucket.rate.take(bucket.full_us, self.now_us(), 1).err());
        waits.max().unwrap_or(0)
    }

    /// Adds to `batch` that one is taken from each, on the condition that nobody took any meanwhile.
    pub(super) fn take(&self, batch: &mut Batch) {
        for bucket in &self.buckets {
            // `wait_ms` was 0.
            let full_us = bucket.rate.take(bucket.full_us, self.now_us(), 1).unwrap_or(bucket.full_us);
            let expect = bucket.version.map_or(Expect::Absent, Expect::Version);
            batch.expect(bucket.key.clone(), expect, Losing::Rebuild);
            let version = bucket.version.unwrap_or(0) + 1;
            FAILED_LOGINS.put_with(batch, bucket.key.clone(), version, &[], &FailedLoginsRow { full_us });
        }
    }

    fn now_us(&self) -> u64 {
        self.now_ms.saturating_mul(1_000)
    }
}

impl Bucket {
    /// Of its rows of this hour and the last.
    fn of(rate: Rate, keys: &[Key], cells: &[Option<Cell>]) -> Result<Self, StoreError> {
        let mut newest = 0;
        for (key, cell) in keys.iter().zip(cells) {
            if let Some(cell) = cell {
                newest = newest.max(FAILED_LOGINS.decode(key, cell)?.full_us);
            }
        }
        let version = cells.first().and_then(Option::as_ref).map(|cell| cell.version);
        let key = keys.first().cloned().ok_or(StoreError::Closed)?;
        Ok(Self { rate, key, version, full_us: newest })
    }
}
