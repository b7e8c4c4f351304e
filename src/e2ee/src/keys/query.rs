//! Which keys users and their devices have (Client-Server API, `POST /keys/query`).

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ruma::{OwnedServerName, OwnedUserId};
use serde_json::{json, value::RawValue};
use wardstead_accounts::Session;
use wardstead_engine::{Key, KeyReader, ScanRange};
use wardstead_limits::{e2ee as limits, engine::GET_KEYS};
use wardstead_store::{Found, Row, StoreError, Table};

use super::{
    Keys, corrupt,
    tables::{
        CROSS_KEYS, CrossKey, CrossKeysRow, DEVICE_KEYS, DeviceKeysRow, SignatureBy, USER_SIGNATURES, UserSignatureRow,
        cross_keys_key, device_keys_key, user_signature_key,
    },
};
use crate::E2eeError;

/// What is asked for: by user, the ids of devices; none: all of them.
pub type KeysWanted = BTreeMap<OwnedUserId, Vec<String>>;

/// The keys that were asked for, as the specification shows them.
#[derive(Debug, Default)]
pub struct Queried {
    /// By user and device. Each user of this server is there, known or not.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
    /// Master keys, with the signatures that who asks may see.
    pub master: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Self-signing keys.
    pub self_signing: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// The user-signing key of who asks.
    pub user_signing: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Servers that are not this one.
    pub unreachable: BTreeSet<OwnedServerName>,
}

/// A user of this server who is asked for.
struct Asked<'a> {
    user_id: &'a OwnedUserId,
    user: u64,
    devices: &'a [String],
}

impl Keys {
    /// The keys of `wanted`, as `by` may see them: of other users' signatures only their own are shown, so that nobody learns who has verified
    /// whom (Client-Server API, Key and signature security).
    ///
    /// # Errors
    /// `TooLarge` when more is asked for, or would be answered, than one query may; the store's.
    pub async fn query(&self, by: &Session, wanted: &KeysWanted) -> Result<Queried, E2eeError> {
        if wanted.len() > limits::QUERY_USERS || wanted.values().map(Vec::len).sum::<usize>() > limits::QUERY_DEVICES {
            return Err(E2eeError::TooLarge("more users or devices than one query may name"));
        }
        let mut queried = Queried { unreachable: self.elsewhere(wanted.keys()), ..Queried::default() };
        let users: Vec<_> = wanted.keys().map(AsRef::as_ref).collect();
        let users = self.local_short_ids(&users).await?;
        let mut asked = Vec::with_capacity(wanted.len());
        for ((user_id, devices), user) in wanted.iter().zip(users) {
            if user_id.server_name() == self.accounts.server_name() {
                queried.device_keys.insert(user_id.clone(), BTreeMap::new());
            }
            asked.extend(user.map(|user| Asked { user_id, user, devices }));
        }
        self.add_device_keys(&mut queried, &asked).await?;
        self.add_cross_keys(&mut queried, by, &asked).await?;
        Ok(queried)
    }

    async fn add_device_keys(&self, queried: &mut Queried, asked: &[Asked<'_>]) -> Result<(), E2eeError> {
        let (all, some): (Vec<_>, Vec<_>) = asked.iter().partition(|asked| asked.devices.is_empty());
        let named: Vec<(&OwnedUserId, Key)> = some
            .iter()
            .flat_map(|asked| asked.devices.iter().map(move |device_id| (asked, device_id)))
            .filter(|(_, device_id)| super::can_be_device(device_id))
            .map(|(asked, device_id)| (asked.user_id, device_keys_key(asked.user, device_id)))
            .collect();
        let mut left = limits::QUERY_BYTES;
        let all: Vec<_> = all.into_iter().map(|asked| (asked.user_id.clone(), asked.user)).collect();
        let scans = stream::iter(all).map(|(user_id, user)| async move {
            let rows = self.store.scan_all(&DEVICE_KEYS, ScanRange::scope(DEVICE_KEYS.id(), user)).await;
            rows.map(|rows| (user_id, rows))
        });
        let mut scans = scans.buffer_unordered(limits::KEY_READ_REQUESTS);
        while let Some((user_id, rows)) = scans.try_next().await? {
            for found in rows {
                queried.add_device(&user_id, &found, &mut left)?;
            }
        }
        for some in named.chunks(GET_KEYS) {
            let keys: Vec<Key> = some.iter().map(|(_, key)| key.clone()).collect();
            for ((user_id, _), found) in some.iter().zip(self.store.get_many(&DEVICE_KEYS, &keys).await?) {
                if let Some(found) = found {
                    queried.add_device(user_id, &found, &mut left)?;
                }
            }
        }
        Ok(())
    }

    async fn add_cross_keys(&self, queried: &mut Queried, by: &Session, asked: &[Asked<'_>]) -> Result<(), E2eeError> {
        // Who asks as the last, for the user-signing key whose signatures they see.
        let users = asked.iter().map(|asked| asked.user).chain([by.user]);
        let keys: Vec<Key> = users.map(cross_keys_key).collect();
        let mut rows = self.get_all(&CROSS_KEYS, &keys).await?;
        let own = rows.pop().flatten().and_then(|found| found.row.user_signing).map(|(key, _)| key.public);
        let keys: Vec<Key> = asked.iter().map(|asked| user_signature_key(by.user, asked.user)).collect();
        let signed = self.get_all(&USER_SIGNATURES, &keys).await?;
        for ((asked, found), signed) in asked.iter().zip(rows).zip(signed) {
            let Some(found) = found else { continue };
            let signed = signed.map(|found| found.row).filter(|row| Some(&row.signature.by) == own.as_ref());
            queried.add_cross(by, asked, &found, signed.as_ref())?;
        }
        Ok(())
    }

    async fn get_all<R: Row>(&self, table: &Table<R>, keys: &[Key]) -> Result<Vec<Option<Found<R>>>, StoreError> {
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            all.extend(self.store.get_many(table, keys).await?);
        }
        Ok(all)
    }
}

impl Queried {
    fn add_device(
        &mut self,
        user_id: &OwnedUserId,
        found: &Found<DeviceKeysRow>,
        left: &mut usize,
    ) -> Result<(), E2eeError> {
        let device_id = KeyReader::new(&found.key).text().ok_or_else(|| corrupt(&found.key, "not a device id"))?;
        let row = &found.row;
        let own = row.own.iter().map(|signature| (device_id.as_str(), signature.as_str()));
        let crossed = row.crossed.iter().map(|by| (by.by.as_str(), by.signature.as_str()));
        let signatures = [(user_id.as_str(), own.chain(crossed).collect())];
        let unsigned = row.name.as_ref().map_or_else(|| json!({}), |name| json!({ "device_display_name": name }));
        let shown = with_signatures(&row.signed, &signatures, Some(&unsigned));
        *left = left.checked_sub(shown.len()).ok_or(E2eeError::TooLarge("ask for fewer users at a time"))?;
        let shown = raw(&found.key, shown)?;
        self.device_keys.entry(user_id.clone()).or_default().insert(device_id, shown);
        Ok(())
    }

    fn add_cross(
        &mut self,
        by: &Session,
        asked: &Asked<'_>,
        found: &Found<CrossKeysRow>,
        signed: Option<&UserSignatureRow>,
    ) -> Result<(), StoreError> {
        let Found { key, row, .. } = found;
        let user_id = asked.user_id;
        let Some(master) = &row.master else { return Ok(()) };
        let own: Vec<_> = row.devices.iter().map(pair).collect();
        let mut signatures = Vec::new();
        if !own.is_empty() {
            signatures.push((user_id.as_str(), own));
        }
        if let Some(signed) = signed.filter(|signed| signed.master == master.public) {
            signatures.push((by.user_id.as_str(), vec![pair(&signed.signature)]));
        }
        self.master.insert(user_id.clone(), raw(key, with_signatures(&master.signed, &signatures, None))?);
        let by_master = |(one, signature): &(CrossKey, String)| {
            let signatures = [(user_id.as_str(), vec![(master.public.as_str(), signature.as_str())])];
            raw(key, with_signatures(&one.signed, &signatures, None))
        };
        if let Some(one) = &row.self_signing {
            self.self_signing.insert(user_id.clone(), by_master(one)?);
        }
        if let Some(one) = row.user_signing.as_ref().filter(|_| asked.user == by.user) {
            self.user_signing.insert(user_id.clone(), by_master(one)?);
        }
        Ok(())
    }
}

fn pair(by: &SignatureBy) -> (&str, &str) {
    (by.by.as_str(), by.signature.as_str())
}

/// The object `signed` with the signatures of users, each by names of `ed25519` keys, and what nobody signs.
fn with_signatures(
    signed: &str,
    signatures: &[(&str, Vec<(&str, &str)>)],
    unsigned: Option<&serde_json::Value>,
) -> String {
    let of = |by: &Vec<(&str, &str)>| -> serde_json::Value {
        by.iter()
            .map(|(name, signature)| (format!("ed25519:{name}"), json!(signature)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let signatures: serde_json::Map<_, _> =
        signatures.iter().filter(|(_, by)| !by.is_empty()).map(|(user, by)| ((*user).to_owned(), of(by))).collect();
    // What is signed has members, and ends with a brace.
    let mut shown = signed[..signed.len().saturating_sub(1)].to_owned();
    // Of devices they are told, be it that there are none.
    if unsigned.is_some() || !signatures.is_empty() {
        shown.push_str(",\"signatures\":");
        shown.push_str(&serde_json::Value::from(signatures).to_string());
    }
    if let Some(unsigned) = unsigned {
        shown.push_str(",\"unsigned\":");
        shown.push_str(&unsigned.to_string());
    }
    shown.push('}');
    shown
}

fn raw(key: &Key, json: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(json).map_err(|_| corrupt(key, "not JSON"))
}
