//! What a user's own keys have signed that is kept elsewhere: the `auth_data` of a key backup (Client-Server API, Server-side key backups).

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::value::RawValue;
use wardstead_accounts::Session;

use super::{
    Keys,
    signed::{FORGED, is_key},
    tables::{DEVICE_KEYS, device_keys_key},
};
use crate::{
    E2eeError,
    signature::{Verdict, verify},
};

impl Keys {
    /// Verifies what is said in the JSON object `data` to be signed by keys of `by` that are known here: those of devices, and cross-signing
    /// keys, which are their own names. Signatures of others, and of devices that are gone, are for clients to judge. At most one read for
    /// each hundred.
    ///
    /// # Errors
    /// `InvalidSignature` for one that does not verify, and the store's.
    pub async fn verify_own(&self, by: &Session, data: &RawValue) -> Result<(), E2eeError> {
        // What is no canonical JSON nobody can have signed.
        let Ok(object) = serde_json::from_str::<CanonicalJsonObject>(data.get()) else { return Ok(()) };
        let signatures = object.get("signatures").and_then(CanonicalJsonValue::as_object);
        let own = signatures.and_then(|all| all.get(by.user_id.as_str())).and_then(CanonicalJsonValue::as_object);
        let names: Vec<&str> = own.into_iter().flatten().filter_map(|(id, _)| id.strip_prefix("ed25519:")).collect();
        let check = |name: &str, key: &str| match verify(&object, by.user_id.as_str(), &format!("ed25519:{name}"), key)
        {
            Verdict::Verified => Ok(()),
            Verdict::Missing | Verdict::Forged => Err(FORGED),
        };
        let (themselves, devices): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| is_key(name));
        themselves.into_iter().try_for_each(|name| check(name, name))?;
        let devices: Vec<&str> = devices.into_iter().filter(|name| super::can_be_device(name)).collect();
        for devices in devices.chunks(wardstead_limits::engine::GET_KEYS) {
            let keys: Vec<_> = devices.iter().map(|name| device_keys_key(by.user, name)).collect();
            let rows = self.store.get_many(&DEVICE_KEYS, &keys).await?;
            for (name, found) in devices.iter().zip(rows).filter_map(|(name, row)| Some((name, row?))) {
                check(name, &found.row.ed25519)?;
            }
        }
        Ok(())
    }
}
