//! Wrong passwords are counted, by all nodes together. See `docs/design/18-rate-limits.md`.
//!
//! A password is compared only while there is something left in each bucket that the attempt is judged by; what is wrong takes from
//! them, in one commit that asserts what was read. A right one takes nothing. From where an account has signed in lately it is
//! judged by its own bucket there alone, so that nobody elsewhere, and no neighbour who tries other accounts, can lock it out.

mod buckets;
mod subject;

use std::sync::atomic::{AtomicU64, Ordering};

use ruma::UserId;
use wardstead_accounts::{Account, Client};
use wardstead_engine::{Batch, Losing, Urgency};
use wardstead_limits::{Rate, accounts as limits, rates, store as store_limits};
use wardstead_store::StoreError;

pub(crate) use self::subject::Source;
use self::{buckets::Judged, subject::Subject};
use crate::{
    HashError, Identity,
    tables::{FAILED_LOGINS, KNOWN_PLACES, KnownPlaceRow},
};

/// How often a password may be wrong. `None`: any number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedLogins {
    /// For one account from one address, or on one device.
    pub pair: Option<Rate>,
    /// For one account from all addresses from which it has not signed in lately.
    pub account: Option<Rate>,
    /// From one address, for accounts that have not signed in from there lately.
    pub address: Option<Rate>,
}

impl FailedLogins {
    /// Those of a hospital.
    #[must_use]
    pub fn production() -> Self {
        Self {
            pair: Some(rates::FAILED_OF_PAIR),
            account: Some(rates::FAILED_OF_ACCOUNT),
            address: Some(rates::FAILED_OF_ADDRESS),
        }
    }

    fn off(self) -> bool {
        self == Self::default()
    }
}

/// The limits, and up to when this node has removed what is past.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    limits: FailedLogins,
    swept_failures: AtomicU64,
    swept_places: AtomicU64,
}

/// Why it is not known whether a password is right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    /// Too many wrong ones before it, or the hasher's refusal.
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Attempts {
    pub(crate) fn new(limits: FailedLogins) -> Self {
        Self { limits, ..Self::default() }
    }
}

impl Identity {
    /// Whether `password` is that of `account`, which is the one called `user_id` if there is one. To be asked wherever a password is
    /// compared: an attempt that is not counted is one more for whoever guesses.
    ///
    /// # Errors
    /// [`HashError::Limited`] when too many were wrong; others of [`HashError`]; the store's.
    pub(crate) async fn compare(
        &self,
        user_id: Option<&UserId>,
        account: Option<&Account>,
        password: &str,
        source: Source,
    ) -> Result<bool, CompareError> {
        let hash = account.and_then(|account| account.password_hash.as_deref());
        if self.attempts.limits.off() {
            return Ok(self.hasher.verify(password, hash).await?);
        }
        let subject = Subject::of(user_id, source);
        let judged = self.judge(&subject).await?;
        let right = self.hasher.verify(password, hash).await?;
        if !right {
            self.count_wrong(&subject, judged).await?;
            return Ok(false);
        }
        // Who guesses many at once from several nodes is let in by none of them once the wrong ones are counted.
        let judged = self.judge(&subject).await?;
        if !judged.remembered {
            self.remember_place(&subject, judged.now_ms);
        }
        Ok(true)
    }

    /// Writes down that whoever is at `client` has shown in another way than with a password that the account is theirs. A later sign-in
    /// there is not delayed by what strangers guess elsewhere.
    pub(crate) fn know(&self, user_id: &UserId, client: &Client) {
        // Everybody of whom nothing is known would be in one place.
        if self.attempts.limits.off() || client.address.is_unspecified() {
            return;
        }
        let subject = Subject::of(Some(user_id), Source::Network(client.network()));
        self.remember_place(&subject, self.store.clock().now_ms());
    }

    /// Reads what an attempt is judged by.
    ///
    /// # Errors
    /// `Limited` when one of the buckets is empty.
    async fn judge(&self, subject: &Subject) -> Result<Judged, CompareError> {
        let now_ms = self.store.clock().now_ms();
        let judged = Judged::read(&self.store, subject, self.attempts.limits, now_ms).await?;
        match judged.wait_ms() {
            0 => Ok(judged),
            retry_after_ms => Err(HashError::Limited { retry_after_ms }.into()),
        }
    }

    /// Takes one from each bucket.
    async fn count_wrong(&self, subject: &Subject, mut judged: Judged) -> Result<(), CompareError> {
        for _ in 0..store_limits::REBUILDS {
            let mut batch = Batch::new();
            judged.take(&mut batch);
            if batch.writes.is_empty() {
                return Ok(());
            }
            let window = judged.now_ms / limits::FAILED_WINDOW_MS;
            if self.attempts.swept_failures.swap(window, Ordering::Relaxed) != window {
                let past = FAILED_LOGINS.key(0).u64(window.saturating_sub(1)).key();
                batch.delete_range(FAILED_LOGINS.key(0).key(), past);
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(()),
                // Somebody else failed meanwhile. If that was the last one allowed, nobody learns whether this one was wrong.
                Err(StoreError::Lost(Losing::Rebuild)) => judged = self.judge(subject).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(HashError::Limited { retry_after_ms: limits::FAILED_CONTENDED_MS }.into())
    }

    /// Writes down that the account has signed in from here, once a window. Nothing is promised by it: if it is lost, the next time
    /// does it.
    fn remember_place(&self, subject: &Subject, now_ms: u64) {
        let window = now_ms / limits::KNOWN_WINDOW_MS;
        let Some(place) = subject.place(window) else { return };
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        KNOWN_PLACES.put(&mut batch, place, &KnownPlaceRow);
        if self.attempts.swept_places.swap(window, Ordering::Relaxed) != window {
            let past = KNOWN_PLACES.key(0).u64(window.saturating_sub(1)).key();
            batch.delete_range(KNOWN_PLACES.key(0).key(), past);
        }
        if let Err(error) = self.store.submit(batch) {
            tracing::debug!(%error, "a place was not remembered");
        }
    }
}
