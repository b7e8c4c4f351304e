//! Who asks too often: one declaration with each endpoint's route, one question before its body is read. See `docs/design/18-rate-limits.md`.
//!
//! What is counted here is counted by each node for itself. Wrong passwords are counted by all together, in `identity`.

mod buckets;
mod group;

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use wardstead_accounts::{Client, Network};
use wardstead_limits::{Clock, Rate, api::RATE_LIMIT_BYTES};

use self::buckets::Buckets;
pub use self::group::Group;
use crate::ApiError;

/// How often something may be asked. `None`: any number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupRates {
    /// By one account, whatever its device and address; of [`Group::Refresh`]: by one device.
    pub account: Option<Rate>,
    /// From one address, whoever asks: an IPv4 address, or a /64 of IPv6.
    pub address: Option<Rate>,
}

/// How often what each group holds may be asked. As default, any number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits([GroupRates; Group::ALL.len()]);

/// Counts requests and refuses those that are too many. Clones count together.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    limits: RateLimits,
    clock: Arc<dyn Clock>,
    // Apart, so that somebody with many addresses makes no account's bucket forgotten.
    accounts: Mutex<Buckets<(Group, u64)>>,
    addresses: Mutex<Buckets<(Group, Network)>>,
}

impl RateLimits {
    /// Those of a hospital.
    #[must_use]
    pub fn production() -> Self {
        let mut limits = Self::default();
        for group in Group::ALL {
            limits = limits.with(group, group.production());
        }
        limits
    }

    /// These, with other rates for `group`.
    #[must_use]
    pub fn with(mut self, group: Group, rates: GroupRates) -> Self {
        self.0[group as usize] = rates;
        self
    }

    /// The rates of `group`.
    #[must_use]
    pub fn of(&self, group: Group) -> GroupRates {
        self.0[group as usize]
    }
}

impl Limiter {
    /// A limiter that has counted nothing.
    #[must_use]
    pub fn new(limits: RateLimits, clock: Arc<dyn Clock>) -> Self {
        let (accounts, addresses) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { limits, clock, accounts, addresses }))
    }

    /// Counts `count` of `group` asked by `account` from `client`.
    ///
    /// # Errors
    /// 429 `M_LIMIT_EXCEEDED`; nothing was counted.
    pub(crate) fn count(
        &self,
        group: Group,
        client: &Client,
        account: Option<u64>,
        count: usize,
    ) -> Result<(), ApiError> {
        let Inner { limits, clock, accounts, addresses } = self.0.as_ref();
        let GroupRates { account: account_rate, address: address_rate } = limits.of(group);
        let now_us = clock.monotonic_ms().saturating_mul(1_000);
        let count = match u64::try_from(count) {
            Ok(0) => return Ok(()),
            count => count.unwrap_or(u64::MAX),
        };
        let refused = |retry_after_ms| ApiError::limited(group.name(), retry_after_ms, group.sentence());
        // The account first: who asks too often as a person does not use up what is there for the neighbours.
        let account = account_rate.zip(account);
        if let Some((rate, account)) = account {
            accounts.lock().take(rate, (group, account), now_us, count).map_err(refused)?;
        }
        if let Some(rate) = address_rate {
            let taken = addresses.lock().take(rate, (group, client.network()), now_us, count);
            if let (Err(_), Some((rate, account))) = (&taken, account) {
                accounts.lock().give_back(rate, &(group, account), count);
            }
            taken.map_err(refused)?;
        }
        Ok(())
    }

    /// Counts one of `group` asked by `device`, which is known only after the address was counted.
    ///
    /// # Errors
    /// 429 `M_LIMIT_EXCEEDED`; nothing was counted.
    pub(crate) fn count_device(&self, group: Group, device: u64) -> Result<(), ApiError> {
        let Inner { limits, clock, accounts, .. } = self.0.as_ref();
        let Some(rate) = limits.of(group).account else { return Ok(()) };
        let now_us = clock.monotonic_ms().saturating_mul(1_000);
        let refused = |retry_after_ms| ApiError::limited(group.name(), retry_after_ms, group.sentence());
        accounts.lock().take(rate, (group, device), now_us, 1).map_err(refused)
    }

    /// Bytes held, and at most.
    #[must_use]
    pub fn cache(&self) -> (&'static str, u64, u64) {
        let held = self.0.accounts.lock().bytes() + self.0.addresses.lock().bytes();
        ("rate_limits", held as u64, 2 * RATE_LIMIT_BYTES as u64)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
