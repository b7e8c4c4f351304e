//! What is uploaded, taken apart: what is signed, who signed it, and the rules that a signature has to follow.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use wardstead_limits::e2ee as limits;

use crate::{E2eeError, signature};

/// What names of keys with which things are signed begin with.
const ED25519: &str = "ed25519:";
pub(super) const FOREIGN: E2eeError = E2eeError::InvalidSignature("a signature is of a key that does not sign this");
pub(super) const FORGED: E2eeError = E2eeError::InvalidSignature("a signature does not verify");

/// An object and its signatures.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub object: CanonicalJsonObject,
    /// Canonical JSON without `signatures` and `unsigned`.
    pub text: String,
    pub signatures: Vec<Signature>,
}

/// A claim, which nobody has looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub user: String,
    /// The name of the key, without `ed25519:`.
    pub by: String,
    pub made: String,
}

impl Signed {
    /// # Errors
    /// `BadJson` where `signatures` are none; `TooLarge`; `InvalidSignature` of a signature in another algorithm, which could not be verified.
    pub(super) fn of(mut object: CanonicalJsonObject, most_bytes: usize) -> Result<Self, E2eeError> {
        object.remove("unsigned");
        let given = match object.remove("signatures") {
            None | Some(CanonicalJsonValue::Null) => CanonicalJsonObject::new(),
            Some(CanonicalJsonValue::Object(given)) => given,
            Some(_) => return Err(NO_SIGNATURES),
        };
        let mut signatures = Vec::new();
        for (user, of_user) in given {
            let CanonicalJsonValue::Object(of_user) = of_user else { return Err(NO_SIGNATURES) };
            for (key_id, signature) in of_user {
                let CanonicalJsonValue::String(signature) = signature else { return Err(NO_SIGNATURES) };
                let by = key_id.strip_prefix(ED25519).ok_or(FOREIGN)?.to_owned();
                signatures.push(Signature { user: user.clone(), by, made: signature });
            }
        }
        if signatures.len() > limits::SIGNATURE_ENTRIES {
            return Err(E2eeError::TooLarge("more signatures over one key than are verified"));
        }
        let text = canonical(&object)?;
        let all: usize = signatures.iter().map(|one| one.user.len() + one.by.len() + one.made.len()).sum();
        if text.len() + all > most_bytes {
            return Err(E2eeError::TooLarge("a key is larger than may be kept"));
        }
        Ok(Self { object, text, signatures })
    }

    /// That the signature `given` is that of `key`.
    pub(super) fn verify(&self, given: &Signature, key: &str) -> Result<(), E2eeError> {
        if signature::is_of(&given.made, key, self.text.as_bytes()) { Ok(()) } else { Err(FORGED) }
    }

    pub(super) fn string(&self, name: &str) -> Option<&str> {
        self.object.get(name).and_then(CanonicalJsonValue::as_str)
    }

    /// The only thing in `keys`, which has to be a key under its own name.
    pub(super) fn only_key(&self) -> Result<&str, E2eeError> {
        let keys = self.object.get("keys").and_then(CanonicalJsonValue::as_object);
        let keys = keys.ok_or(E2eeError::BadJson("a cross-signing key has keys"))?;
        let mut named = keys.iter();
        let (Some((name, key)), None) = (named.next(), named.next()) else {
            return Err(E2eeError::InvalidParam("a cross-signing key is one key"));
        };
        let key = key.as_str().ok_or(E2eeError::BadJson("a key is a string"))?;
        if name.strip_prefix(ED25519) != Some(key) {
            return Err(E2eeError::InvalidSignature("a cross-signing key is named by itself"));
        }
        if is_key(key) { Ok(key) } else { Err(E2eeError::InvalidParam("a key has 32 bytes in unpadded base64")) }
    }
}

const NO_SIGNATURES: E2eeError = E2eeError::BadJson("signatures are strings by user and key");

/// Device keys that follow the rules.
#[derive(Clone, Debug)]
pub(super) struct DeviceKeys {
    pub text: String,
    pub ed25519: String,
    pub curve25519: Option<String>,
    /// The device's own signature.
    pub own: Option<String>,
    /// That of the self-signing key.
    pub crossed: Option<String>,
}

/// What `object` says of the device of a user with this self-signing key.
///
/// # Errors
/// `BadJson`, `TooLarge`, `InvalidSignature`.
pub(super) fn device_keys(
    object: CanonicalJsonObject,
    user_id: &str,
    device_id: &str,
    self_signing: Option<&str>,
) -> Result<DeviceKeys, E2eeError> {
    let signed = Signed::of(object, limits::KEY_OBJECT_BYTES)?;
    let (Some(user), Some(device)) = (signed.string("user_id"), signed.string("device_id")) else {
        return Err(E2eeError::BadJson("device keys name their user and device"));
    };
    let algorithms = signed.object.get("algorithms").and_then(CanonicalJsonValue::as_array);
    if !algorithms.is_some_and(|all| all.iter().all(|one| one.as_str().is_some())) {
        return Err(E2eeError::BadJson("device keys list their algorithms"));
    }
    let keys = signed.object.get("keys").and_then(CanonicalJsonValue::as_object);
    let keys = keys.filter(|keys| keys.values().all(|key| key.as_str().is_some()));
    let keys = keys.ok_or(E2eeError::BadJson("device keys have keys by name"))?;
    if (user, device) != (user_id, device_id) {
        return Err(E2eeError::InvalidSignature("device keys are those of the device that uploads them"));
    }
    let key = |kind: &str| keys.get(&format!("{kind}:{device_id}")).and_then(CanonicalJsonValue::as_str);
    let ed25519 = key("ed25519").ok_or(E2eeError::InvalidSignature("device keys have the device's own ed25519 key"))?;
    if !is_key(ed25519) {
        return Err(E2eeError::InvalidParam("a key has 32 bytes in unpadded base64"));
    }
    let (mut own, mut crossed) = (None, None);
    for given in &signed.signatures {
        let mut unknown = None;
        let (by, kept) = match self_signing {
            _ if given.user != user_id => return Err(FOREIGN),
            _ if given.by == device_id => (ed25519, &mut own),
            Some(key) if given.by == key => (key, &mut crossed),
            // Clients upload a device's keys before the self-signing key with which they have just signed them. It is its own name, so the
            // signature is verified, too; it is kept when it comes again, of a key that is known by then.
            _ if is_key(&given.by) => (given.by.as_str(), &mut unknown),
            _ => return Err(FOREIGN),
        };
        signed.verify(given, by)?;
        *kept = Some(given.made.clone());
    }
    let (ed25519, curve25519) = (ed25519.to_owned(), key("curve25519").map(str::to_owned));
    Ok(DeviceKeys { text: signed.text, ed25519, curve25519, own, crossed })
}

/// A one-time or fallback key that follows the rules.
#[derive(Clone, Debug)]
pub(super) struct OneTime {
    pub algorithm: String,
    pub id: String,
    /// Canonical JSON, with the signature.
    pub key: String,
}

/// The key that is called `name`, of the device whose own key is `ed25519`.
///
/// # Errors
/// `BadJson`, `TooLarge`, `InvalidParam`, `InvalidSignature`.
pub(super) fn one_time_key(
    name: &str,
    key: &CanonicalJsonValue,
    user_id: &str,
    device_id: &str,
    ed25519: &str,
) -> Result<OneTime, E2eeError> {
    let (algorithm, id) = name.split_once(':').ok_or(NAME)?;
    let fits = |part: &str, most: usize| (1..=most).contains(&part.len());
    if !fits(algorithm, limits::ALGORITHM_BYTES) || !fits(id, limits::KEY_ID_BYTES) {
        return Err(NAME);
    }
    // A bare string has nobody's signature.
    let CanonicalJsonValue::Object(object) = key else { return Err(UNSIGNED) };
    let signed = Signed::of(object.clone(), limits::ONE_TIME_KEY_BYTES)?;
    if !signed.string("key").is_some_and(|key| algorithm != "signed_curve25519" || is_key(key)) {
        return Err(E2eeError::BadJson("a signed key has a key"));
    }
    if signed.signatures.is_empty() {
        return Err(UNSIGNED);
    }
    for given in &signed.signatures {
        if (given.user.as_str(), given.by.as_str()) != (user_id, device_id) {
            return Err(FOREIGN);
        }
        signed.verify(given, ed25519)?;
    }
    let (algorithm, id, key) = (algorithm.to_owned(), id.to_owned(), canonical(object)?);
    if key.len() > limits::ONE_TIME_KEY_BYTES {
        return Err(E2eeError::TooLarge("a key is larger than may be kept"));
    }
    Ok(OneTime { algorithm, id, key })
}

const NAME: E2eeError = E2eeError::InvalidParam("one-time keys are called algorithm:id, and not too long");
const UNSIGNED: E2eeError = E2eeError::InvalidSignature("one-time and fallback keys are signed by their device");

/// Whether `text` is 32 bytes in base64. What point that is, the signature shows.
pub(super) fn is_key(text: &str) -> bool {
    vodozemac::base64_decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn canonical(object: &CanonicalJsonObject) -> Result<String, E2eeError> {
    serde_json::to_string(object).map_err(|_| E2eeError::BadJson("a key is canonical JSON"))
}

#[cfg(test)]
mod tests;
