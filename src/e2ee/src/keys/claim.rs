//! One-time keys are claimed (Client-Server API, `POST /keys/claim`): each once, in the order in which they were uploaded, then the
//! fallback key.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ruma::{OwnedServerName, OwnedUserId};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use wardstead_engine::{Batch, Expect, Losing, PageLimit, Position, PositionSlot, ScanRange};
use wardstead_limits::e2ee as limits;
use wardstead_store::{Found, StoreError};

use super::{
    Keys,
    in_flight::Reserved,
    tables::{
        DEVICE_KEYS, FALLBACK_KEYS, FallbackKeyRow, ONE_TIME_KEY_IDS, ONE_TIME_KEYS, OneTimeKeyIdRow, OneTimeKeyRow,
        WRITTEN_ONCE, device_keys_key, fallback_key_key, one_time_key_id_key, one_time_keys_end, one_time_keys_from,
    },
    upload::tell,
};
use crate::E2eeError;

/// What is wanted: by user and device, of which algorithm.
pub type ClaimWanted = BTreeMap<OwnedUserId, BTreeMap<String, String>>;

/// What was claimed.
#[derive(Debug, Default)]
pub struct Claimed {
    /// By user, device, and `algorithm:id`. Devices without a key, and users without such devices, are left out.
    pub keys: BTreeMap<OwnedUserId, BTreeMap<String, BTreeMap<String, Box<RawValue>>>>,
    /// Servers that are not this one.
    pub unreachable: BTreeSet<OwnedServerName>,
}

/// A device that somebody wants a key of.
#[derive(Clone, Debug)]
struct Wanted {
    user_id: OwnedUserId,
    user: u64,
    device_id: String,
    device: u64,
    algorithm: String,
}

/// What there is for it.
enum Pick {
    OneTime(Found<OneTimeKeyRow>, #[expect(dead_code, reason = "held until the claim is committed")] Reserved),
    /// To be marked.
    Fallback(Found<FallbackKeyRow>),
    /// Nothing changes.
    FallbackAgain(Found<FallbackKeyRow>),
    Nothing,
}

/// Name and key.
type Given = (String, String);

impl Keys {
    /// Claims a key of each device that is wanted, and gives them when it is durable that nobody else is given the same. A fallback key is
    /// given where a device has no one-time key left.
    ///
    /// # Errors
    /// `TooLarge` when more is wanted than one claim may; `Contended`, and the store's.
    pub async fn claim(&self, wanted: &ClaimWanted) -> Result<Claimed, E2eeError> {
        if wanted.values().map(BTreeMap::len).sum::<usize>() > limits::QUERY_DEVICES {
            return Err(E2eeError::TooLarge("more devices than one claim may name"));
        }
        let mut claimed = Claimed { unreachable: self.elsewhere(wanted.keys()), ..Claimed::default() };
        let devices = self.devices_wanted(wanted).await?;
        for some in devices.chunks(limits::CLAIM_DEVICES_PER_BATCH) {
            for (wanted, given) in some.iter().zip(self.claim_some(some).await?) {
                let Some((name, key)) = given else { continue };
                let key = RawValue::from_string(key).map_err(|_| not_json(wanted))?;
                let of_user = claimed.keys.entry(wanted.user_id.clone()).or_default();
                of_user.entry(wanted.device_id.clone()).or_default().insert(name, key);
            }
        }
        Ok(claimed)
    }

    /// The devices of this server that are wanted and have keys.
    async fn devices_wanted(&self, wanted: &ClaimWanted) -> Result<Vec<Wanted>, E2eeError> {
        let users: Vec<_> = wanted.keys().map(AsRef::as_ref).collect();
        let users = self.local_short_ids(&users).await?;
        let asked: Vec<_> = wanted
            .iter()
            .zip(users)
            .filter_map(|((user_id, devices), user)| Some((user_id, user?, devices)))
            .flat_map(|(user_id, user, devices)| devices.iter().map(move |device| (user_id, user, device)))
            .filter(|(_, _, (device_id, _))| super::can_be_device(device_id))
            .collect();
        let mut devices = Vec::with_capacity(asked.len());
        for asked in asked.chunks(wardstead_limits::engine::GET_KEYS) {
            let keys: Vec<_> =
                asked.iter().map(|(_, user, (device_id, _))| device_keys_key(*user, device_id)).collect();
            let rows = self.store.get_many(&DEVICE_KEYS, &keys).await?;
            devices.extend(asked.iter().zip(rows).filter_map(|((user_id, user, (device_id, algorithm)), row)| {
                Some(Wanted {
                    user_id: (*user_id).clone(),
                    user: *user,
                    device_id: (*device_id).clone(),
                    device: row?.row.device,
                    algorithm: (*algorithm).clone(),
                })
            }));
        }
        Ok(devices)
    }

    /// Claims for all of `wanted` in one commit; where another node was quicker with one of them, for each in its own.
    async fn claim_some(&self, wanted: &[Wanted]) -> Result<Vec<Option<Given>>, E2eeError> {
        if let Some(given) = self.try_claim(wanted).await? {
            return Ok(given);
        }
        let each = wanted.to_vec();
        let each =
            stream::iter(each).map(|one| async move { self.claim_one(&one).await }).buffered(limits::KEY_READ_REQUESTS);
        each.try_collect().await
    }

    async fn claim_one(&self, wanted: &Wanted) -> Result<Option<Given>, E2eeError> {
        for _ in 0..limits::CLAIM_TRIES {
            // Another node's commit, or another epoch, has to be seen.
            self.store.caught_up().await?;
            if let Some(mut given) = self.try_claim(std::slice::from_ref(wanted)).await? {
                return Ok(given.pop().flatten());
            }
        }
        Err(E2eeError::Contended)
    }

    /// `None`: somebody was quicker.
    async fn try_claim(&self, wanted: &[Wanted]) -> Result<Option<Vec<Option<Given>>>, E2eeError> {
        let restored = self.store.epochs().restored_at();
        let picks = stream::iter(wanted.to_vec()).map(|one| async move { self.pick(&one, restored).await });
        let picks = picks.buffered(limits::KEY_READ_REQUESTS);
        let picks: Vec<Pick> = picks.try_collect().await?;
        let now_ms = self.store.clock().now_ms();
        let mut batch = Batch::new();
        for (wanted, pick) in wanted.iter().zip(&picks) {
            take(&mut batch, wanted, pick, now_ms);
        }
        if !batch.writes.is_empty() {
            match self.store.commit(batch).await {
                Ok(_) => {}
                Err(StoreError::Lost(Losing::Rebuild)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let given = wanted.iter().zip(picks).map(|(wanted, pick)| match pick {
            Pick::OneTime(found, _) => Some((format!("{}:{}", wanted.algorithm, found.row.id), found.row.key)),
            Pick::Fallback(found) | Pick::FallbackAgain(found) => {
                Some((format!("{}:{}", wanted.algorithm, found.row.id), found.row.key))
            }
            Pick::Nothing => None,
        });
        Ok(Some(given.collect()))
    }

    /// The oldest one-time key that nobody on this node is claiming, or the fallback key.
    async fn pick(&self, wanted: &Wanted, restored: Position) -> Result<Pick, E2eeError> {
        let Wanted { device, algorithm, .. } = wanted;
        if algorithm.len() > limits::ALGORITHM_BYTES {
            return Ok(Pick::Nothing);
        }
        let range =
            ScanRange::new(one_time_keys_from(*device, algorithm, restored), one_time_keys_end(*device, algorithm));
        loop {
            let rows = self.in_flight.count(*device, algorithm) + limits::CLAIM_KEYS_AHEAD;
            let (mut keys, resume) = self.store.scan(&ONE_TIME_KEYS, &range, PageLimit::rows(rows)).await?;
            if let Some((at, reserved)) =
                self.in_flight.reserve(*device, algorithm, keys.iter().map(|found| &found.key))
            {
                return Ok(Pick::OneTime(keys.swap_remove(at), reserved));
            }
            if resume.is_none() {
                break;
            }
        }
        let found = self.store.get(&FALLBACK_KEYS, &fallback_key_key(*device, algorithm)).await?;
        Ok(match found {
            None => Pick::Nothing,
            Some(found) if found.row.used => Pick::FallbackAgain(found),
            Some(found) => Pick::Fallback(found),
        })
    }

    /// The servers of `users` that are not this one.
    pub(super) fn elsewhere<'a>(&self, users: impl Iterator<Item = &'a OwnedUserId>) -> BTreeSet<OwnedServerName> {
        let own = self.accounts.server_name();
        users.map(|user_id| user_id.server_name()).filter(|server| *server != own).map(ToOwned::to_owned).collect()
    }
}

/// Adds what taking `pick` writes.
fn take(batch: &mut Batch, wanted: &Wanted, pick: &Pick, now_ms: u64) {
    let Wanted { user, device, algorithm, .. } = wanted;
    match pick {
        Pick::OneTime(found, _) => {
            batch.expect(found.key.clone(), Expect::Version(WRITTEN_ONCE), Losing::Rebuild);
            batch.delete(found.key.clone());
            let row = OneTimeKeyIdRow { hash: Sha256::digest(&found.row.key).into(), claimed_ms: Some(now_ms) };
            ONE_TIME_KEY_IDS.put(batch, one_time_key_id_key(*device, algorithm, &found.row.id), &row);
            tell(batch, *user, *device);
        }
        Pick::Fallback(found) => {
            batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
            let row = FallbackKeyRow { used: true, ..found.row.clone() };
            let uploaded = [PositionSlot::Known(found.position())];
            FALLBACK_KEYS.put_with(batch, found.key.clone(), found.version + 1, &uploaded, &row);
            tell(batch, *user, *device);
        }
        Pick::FallbackAgain(_) | Pick::Nothing => {}
    }
}

fn not_json(wanted: &Wanted) -> StoreError {
    super::corrupt(&device_keys_key(wanted.user, &wanted.device_id), "a key of this device is not JSON")
}
