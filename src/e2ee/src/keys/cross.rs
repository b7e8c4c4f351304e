//! Cross-signing keys (Client-Server API, `POST /keys/device_signing/upload`).

use ruma::CanonicalJsonObject;
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::{e2ee as limits, store::REBUILDS};
use wardstead_store::StoreError;

use super::{
    Keys,
    signed::{FOREIGN, Signed},
    tables::{CROSS_KEYS, CrossKey, CrossKeysRow, DEVICE_KEYS, SignatureBy, cross_keys_key, device_keys_key},
};
use crate::E2eeError;

/// What a user uploads: none, some or all of their cross-signing keys.
#[derive(Clone, Debug, Default)]
pub struct CrossSigningUpload {
    /// The master key.
    pub master: Option<CanonicalJsonObject>,
    /// With which devices are signed.
    pub self_signing: Option<CanonicalJsonObject>,
    /// With which other users are signed.
    pub user_signing: Option<CanonicalJsonObject>,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossSigned {
    /// The keys are kept, or were kept already.
    Kept,
    /// There are keys already, and these are others: the user has to confirm it.
    ToConfirm,
}

impl Keys {
    /// Keeps the cross-signing keys of the user of `by`, in one commit. Every signature is verified before anything is kept.
    ///
    /// Keys where there are none are kept without confirmation, and so are those that are there already
    /// ([MSC3967](https://github.com/matrix-org/matrix-spec-proposals/pull/3967)). Others are kept only when the user has confirmed it; then
    /// `confirmed` is the confirmation's batch, which becomes part of the commit. A new master key takes away what the one before it signed.
    ///
    /// # Errors
    /// `BadJson`, `InvalidParam`, `InvalidSignature`, `Missing`, `NameTaken`, `TooLarge`: nothing was kept. `Store` with `Lost(Fail(_))` when the
    /// confirmation does not hold any more; `Contended`, and the store's.
    pub async fn set_cross_signing(
        &self,
        by: &Session,
        upload: &CrossSigningUpload,
        confirmed: Option<&Batch>,
    ) -> Result<CrossSigned, E2eeError> {
        let user_id = by.user_id.as_str();
        let take = |object: &Option<CanonicalJsonObject>, usage| {
            object.as_ref().map(|object| cross_key(object.clone(), user_id, usage)).transpose()
        };
        let new = Uploaded {
            master: take(&upload.master, "master")?,
            self_signing: take(&upload.self_signing, "self_signing")?,
            user_signing: take(&upload.user_signing, "user_signing")?,
        };
        for _ in 0..REBUILDS {
            let key = cross_keys_key(by.user);
            let stored = self.store.get(&CROSS_KEYS, &key).await?;
            let version = stored.as_ref().map(|found| found.version);
            let before = stored.map(|found| found.row).unwrap_or_default();
            let mut batch = confirmed.cloned().unwrap_or_default();
            let after = self.after(&mut batch, by, &before, &new).await?;
            if after == before {
                return Ok(CrossSigned::Kept);
            }
            if before.master.is_some() && !same_keys(&before, &after) && confirmed.is_none() {
                return Ok(CrossSigned::ToConfirm);
            }
            batch.expect(key.clone(), version.map_or(Expect::Absent, Expect::Version), Losing::Rebuild);
            self.accounts.assert_device(&mut batch, by).await?;
            CROSS_KEYS.put_with(&mut batch, key, version.unwrap_or_default() + 1, &[], &after);
            self.lists.change(&mut batch, by.user).await?;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(CrossSigned::Kept),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(E2eeError::Contended)
    }

    /// The user's keys after `new` came to those of `before`. The batch gets what has to stay as it was found.
    async fn after(
        &self,
        batch: &mut Batch,
        by: &Session,
        before: &CrossKeysRow,
        new: &Uploaded,
    ) -> Result<CrossKeysRow, E2eeError> {
        let mut after = before.clone();
        if let Some((signed, key)) = &new.master {
            if before.master.as_ref().is_none_or(|master| master.signed != key.signed) {
                // What the one before has signed is worth nothing now.
                after = CrossKeysRow { master: Some(key.clone()), ..CrossKeysRow::default() };
            }
            self.add_device_signatures(batch, by, &mut after, signed).await?;
        }
        let master = after.master.as_ref().map(|master| master.public.clone());
        for (new, kept) in [(&new.self_signing, &mut after.self_signing), (&new.user_signing, &mut after.user_signing)]
        {
            let Some((signed, key)) = new else { continue };
            let master = master.as_deref().ok_or(E2eeError::Missing("there is no master key that signs the others"))?;
            let signature = signed_by_master(signed, by.user_id.as_str(), master)?;
            if kept.as_ref().is_none_or(|(kept, _)| kept.signed != key.signed) {
                *kept = Some((key.clone(), signature));
            }
        }
        let names: Vec<&str> = after.names().collect();
        if (1..names.len()).any(|at| names[..at].contains(&names[at])) {
            return Err(E2eeError::InvalidParam("cross-signing keys differ"));
        }
        for name in names.into_iter().filter(|name| !before.names().any(|before| before == *name)) {
            let device = device_keys_key(by.user, name);
            if by.device_id == *name || self.store.get(&DEVICE_KEYS, &device).await?.is_some() {
                return Err(E2eeError::NameTaken);
            }
            batch.expect(device, Expect::Absent, Losing::Rebuild);
        }
        Ok(after)
    }

    /// Adds the signatures of the user's devices over their master key, each verified.
    pub(super) async fn add_device_signatures(
        &self,
        batch: &mut Batch,
        by: &Session,
        keys: &mut CrossKeysRow,
        master: &Signed,
    ) -> Result<(), E2eeError> {
        for given in &master.signatures {
            // Clients sign the key with itself, too: that has to verify, and says nothing.
            if given.user == by.user_id.as_str() && master.only_key().is_ok_and(|key| key == given.by) {
                master.verify(given, &given.by)?;
                continue;
            }
            if given.user != by.user_id.as_str() || !super::can_be_device(&given.by) {
                return Err(FOREIGN);
            }
            let key = device_keys_key(by.user, &given.by);
            let device = self.store.get(&DEVICE_KEYS, &key).await?.ok_or(FOREIGN)?;
            master.verify(given, &device.row.ed25519)?;
            let signature = SignatureBy { by: given.by.clone(), signature: given.made.clone() };
            if keys.devices.contains(&signature) {
                continue;
            }
            // The device may not be removed, or get another key, meanwhile.
            batch.expect(key, Expect::Version(device.version), Losing::Rebuild);
            keys.devices.retain(|other| other.by != signature.by);
            keys.devices.push(signature);
        }
        if keys.devices.len() > limits::MASTER_SIGNATURE_ENTRIES {
            return Err(E2eeError::TooLarge("more signatures of devices than are kept"));
        }
        Ok(())
    }
}

/// What was uploaded, as far as it can be looked at alone.
struct Uploaded {
    master: Option<(Signed, CrossKey)>,
    self_signing: Option<(Signed, CrossKey)>,
    user_signing: Option<(Signed, CrossKey)>,
}

/// A key of this user for `usage`.
fn cross_key(object: CanonicalJsonObject, user_id: &str, usage: &str) -> Result<(Signed, CrossKey), E2eeError> {
    let signed = Signed::of(object, limits::KEY_OBJECT_BYTES)?;
    let of = signed.string("user_id").ok_or(E2eeError::BadJson("a cross-signing key names its user"))?;
    if of != user_id {
        return Err(E2eeError::InvalidSignature("cross-signing keys are those of the user who uploads them"));
    }
    let usages = signed.object.get("usage").and_then(|usage| usage.as_array());
    let usages = usages.filter(|usages| usages.iter().all(|one| one.as_str().is_some()));
    let usages = usages.ok_or(E2eeError::BadJson("a cross-signing key lists its usage"))?;
    if !usages.iter().any(|one| one.as_str() == Some(usage)) {
        return Err(E2eeError::InvalidParam("a cross-signing key is uploaded for its usage"));
    }
    let key = CrossKey { public: signed.only_key()?.to_owned(), signed: signed.text.clone() };
    Ok((signed, key))
}

/// The signature of the master key, which has to be there and to be the only one.
fn signed_by_master(signed: &Signed, user_id: &str, master: &str) -> Result<String, E2eeError> {
    let mut found = None;
    for given in &signed.signatures {
        if (given.user.as_str(), given.by.as_str()) != (user_id, master) {
            return Err(FOREIGN);
        }
        signed.verify(given, master)?;
        found = Some(given.made.clone());
    }
    found.ok_or(E2eeError::InvalidSignature("self-signing and user-signing keys are signed by the master key"))
}

/// Whether the keys are the same, whoever signed them.
fn same_keys(one: &CrossKeysRow, other: &CrossKeysRow) -> bool {
    let text = |keys: &CrossKeysRow| {
        let signed = |key: &Option<(CrossKey, String)>| key.as_ref().map(|(key, _)| key.signed.clone());
        (keys.master.as_ref().map(|key| key.signed.clone()), signed(&keys.self_signing), signed(&keys.user_signing))
    };
    text(one) == text(other)
}
