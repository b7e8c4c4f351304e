//! Signatures over keys that are there (Client-Server API, `POST /keys/signatures/upload`).

use std::collections::BTreeMap;

use ruma::{CanonicalJsonObject, OwnedUserId};
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::{e2ee as limits, store::REBUILDS};
use wardstead_store::{Found, StoreError};

use super::{
    Keys,
    signed::{FOREIGN, Signed},
    tables::{
        CROSS_KEYS, CrossKeysRow, DEVICE_KEYS, SignatureBy, USER_SIGNATURES, UserSignatureRow, cross_keys_key,
        device_keys_key, user_signature_key,
    },
};
use crate::{DeviceListLog, E2eeError};

/// What is signed: by user, and by the id of a device or the name of a master key.
pub type SignedKeys = BTreeMap<OwnedUserId, BTreeMap<String, CanonicalJsonObject>>;

/// What was not kept, and why.
pub type NotKept = BTreeMap<OwnedUserId, BTreeMap<String, E2eeError>>;

const OTHER: E2eeError = E2eeError::InvalidSignature("what is signed is not the key that is kept here");
const NO_KEY: E2eeError = E2eeError::NotFound("there is no such key");

/// What one upload is about to write.
struct Work<'a> {
    by: &'a Session,
    batch: Batch,
    /// The signer's own keys, and the version of their row.
    own: CrossKeysRow,
    version: Option<u64>,
    own_before: CrossKeysRow,
    /// Whether others see something else of the signer's keys.
    changed: bool,
}

impl Keys {
    /// Keeps the signatures that `by` uploads, in one commit, and gives those that are not kept. Each has to be over exactly the key that is
    /// kept here, and to verify: a device's by its user's self-signing key or its own, a user's own master key's by their devices, that of
    /// another user by the signer's user-signing key. Of an object with a signature that does not verify nothing is kept.
    ///
    /// # Errors
    /// `TooLarge` when there are more than one upload may have; `Contended`, and the store's. Nothing was kept then.
    pub async fn add_signatures(&self, by: &Session, signed: &SignedKeys) -> Result<NotKept, E2eeError> {
        if signed.values().map(BTreeMap::len).sum::<usize>() > limits::SIGNED_KEYS_PER_UPLOAD {
            return Err(E2eeError::TooLarge("more keys than one upload may sign"));
        }
        for _ in 0..REBUILDS {
            let stored = self.store.get(&CROSS_KEYS, &cross_keys_key(by.user)).await?;
            let version = stored.as_ref().map(|found| found.version);
            let own = stored.map(|found| found.row).unwrap_or_default();
            let mut work = Work { by, batch: Batch::new(), own_before: own.clone(), own, version, changed: false };
            let not_kept = self.judge_all(&mut work, signed).await?;
            let (mut batch, changed) = work.finish();
            if batch.writes.is_empty() {
                return Ok(not_kept);
            }
            self.accounts.assert_device(&mut batch, by).await?;
            if changed {
                self.lists.change(&mut batch, by.user).await?;
            }
            match self.store.commit(batch).await {
                Ok(_) => return Ok(not_kept),
                Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(E2eeError::Contended)
    }

    async fn judge_all(&self, work: &mut Work<'_>, signed: &SignedKeys) -> Result<NotKept, E2eeError> {
        let mut not_kept = NotKept::new();
        for (user_id, objects) in signed {
            for (name, object) in objects {
                let judged = match Signed::of(object.clone(), limits::KEY_OBJECT_BYTES) {
                    Ok(signed) if *user_id == work.by.user_id => self.sign_own(work, name, &signed).await,
                    Ok(signed) => self.sign_other(work, user_id, name, &signed).await,
                    Err(error) => Err(error),
                };
                match judged {
                    Ok(()) => {}
                    // What could not be read is no verdict.
                    Err(error @ (E2eeError::Store(_) | E2eeError::Accounts(_) | E2eeError::Room(_))) => {
                        return Err(error);
                    }
                    Err(error) => {
                        not_kept.entry(user_id.clone()).or_default().insert(name.clone(), error);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(not_kept)
    }

    /// A device or the master key of the signer.
    async fn sign_own(&self, work: &mut Work<'_>, name: &str, signed: &Signed) -> Result<(), E2eeError> {
        if let Some(master) = work.own.master.as_ref().filter(|master| master.public == name) {
            if master.signed != signed.text {
                return Err(OTHER);
            }
            let (mut own, mut still) = (work.own.clone(), Batch::new());
            self.add_device_signatures(&mut still, work.by, &mut own, signed).await?;
            work.own = own;
            work.batch.assertions.extend(still.assertions);
            return Ok(());
        }
        if !super::can_be_device(name) {
            return Err(NO_KEY);
        }
        let key = device_keys_key(work.by.user, name);
        let Found { mut row, version, .. } = self.store.get(&DEVICE_KEYS, &key).await?.ok_or(NO_KEY)?;
        if row.signed != signed.text {
            return Err(OTHER);
        }
        let before = row.clone();
        let self_signing = work.own.self_signing.as_ref().map(|(key, _)| key.public.as_str());
        for given in &signed.signatures {
            if given.user != work.by.user_id.as_str() {
                return Err(FOREIGN);
            }
            if given.by == name {
                signed.verify(given, &row.ed25519)?;
                row.own = row.own.or_else(|| Some(given.made.clone()));
            } else if Some(given.by.as_str()) == self_signing {
                signed.verify(given, &given.by)?;
                row.crossed = Some(SignatureBy { by: given.by.clone(), signature: given.made.clone() });
            } else {
                return Err(FOREIGN);
            }
        }
        if row != before {
            work.assert_own();
            work.batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
            DEVICE_KEYS.put_with(&mut work.batch, key, version + 1, &[], &row);
            work.changed = true;
        }
        Ok(())
    }

    /// The master key of another user.
    async fn sign_other(
        &self,
        work: &mut Work<'_>,
        user_id: &OwnedUserId,
        name: &str,
        signed: &Signed,
    ) -> Result<(), E2eeError> {
        let user = self.local_short_ids(&[user_id]).await?.pop().flatten().ok_or(NO_KEY)?;
        let theirs = self.store.get(&CROSS_KEYS, &cross_keys_key(user)).await?.ok_or(NO_KEY)?;
        let master = theirs.row.master.filter(|master| master.public == name).ok_or(NO_KEY)?;
        if master.signed != signed.text {
            return Err(OTHER);
        }
        let user_signing = work.own.user_signing.as_ref().map(|(key, _)| key.public.clone());
        let mut new = None;
        for given in &signed.signatures {
            if given.user == work.by.user_id.as_str() && Some(&given.by) == user_signing.as_ref() {
                signed.verify(given, &given.by)?;
                new = Some(SignatureBy { by: given.by.clone(), signature: given.made.clone() });
                continue;
            }
            // What others have signed and the signer has seen may come along.
            let shown = |one: &SignatureBy| one.by == given.by && one.signature == given.made;
            if given.user != user_id.as_str() || !theirs.row.devices.iter().any(shown) {
                return Err(FOREIGN);
            }
        }
        let Some(signature) = new else { return Ok(()) };
        let key = user_signature_key(work.by.user, user);
        let row = UserSignatureRow { master: master.public, signature };
        let stored = self.store.get(&USER_SIGNATURES, &key).await?;
        if stored.is_none_or(|found| found.row != row) {
            work.assert_own();
            USER_SIGNATURES.put(&mut work.batch, key, &row);
            DeviceListLog::signed(&mut work.batch, work.by.user, user);
        }
        Ok(())
    }
}

impl Work<'_> {
    /// The signer's keys have to be those that the signatures were verified with.
    fn assert_own(&mut self) {
        let key = cross_keys_key(self.by.user);
        if self.batch.assertions.iter().all(|assertion| assertion.key != key) {
            let expect = self.version.map_or(Expect::Absent, Expect::Version);
            self.batch.expect(key, expect, Losing::Rebuild);
        }
    }

    fn finish(mut self) -> (Batch, bool) {
        if self.own != self.own_before {
            self.assert_own();
            let version = self.version.unwrap_or_default() + 1;
            CROSS_KEYS.put_with(&mut self.batch, cross_keys_key(self.by.user), version, &[], &self.own);
            self.changed = true;
        }
        (self.batch, self.changed)
    }
}
