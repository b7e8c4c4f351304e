//! Signed JSON (Appendices, Signing JSON; Checking for a Signature).

use ruma::CanonicalJsonObject;
use vodozemac::{Ed25519PublicKey, Ed25519Signature};

/// What became of looking for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is one, and it is of that key and this object.
    Verified,
    /// There is none of that user and key.
    Missing,
    /// There is one that is no signature, or not of that key and this object.
    Forged,
}

/// Looks in `object` for the signature of `user` under `key_id` (`ed25519:…`) and verifies it with the public key `key`, unpadded
/// base64. `signatures` and `unsigned` are not part of what is signed.
#[must_use]
pub fn verify(object: &CanonicalJsonObject, user: &str, key_id: &str, key: &str) -> Verdict {
    let given = object
        .get("signatures")
        .and_then(|signatures| signatures.as_object())
        .and_then(|signatures| signatures.get(user))
        .and_then(|of_user| of_user.as_object())
        .and_then(|of_user| of_user.get(key_id));
    let Some(given) = given else { return Verdict::Missing };
    let verified = given.as_str().is_some_and(|signature| {
        let mut signed = object.clone();
        signed.remove("signatures");
        signed.remove("unsigned");
        serde_json::to_vec(&signed).is_ok_and(|bytes| is_of(signature, key, &bytes))
    });
    if verified { Verdict::Verified } else { Verdict::Forged }
}

/// Whether `signature` is that of `key` over `signed`; both in unpadded base64.
#[must_use]
pub fn is_of(signature: &str, key: &str, signed: &[u8]) -> bool {
    match (Ed25519PublicKey::from_base64(key), Ed25519Signature::from_base64(signature)) {
        (Ok(key), Ok(signature)) => key.verify(signed, &signature).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use ruma::{CanonicalJsonValue, canonical_json::CanonicalJsonObject};
    use vodozemac::Ed25519SecretKey;

    use super::{Verdict, verify};

    fn object(json: &str) -> CanonicalJsonObject {
        serde_json::from_str(json).unwrap()
    }

    fn signed(secret: &Ed25519SecretKey, user: &str, key_id: &str) -> CanonicalJsonObject {
        let mut object = object(r#"{"user_id":"@a:x","keys":{"b":1,"a":"é"}}"#);
        let signature = secret.sign(serde_json::to_string(&object).unwrap().as_bytes()).to_base64();
        let signatures = serde_json::json!({ user: { key_id: signature } });
        object.insert("signatures".to_owned(), CanonicalJsonValue::try_from(signatures).unwrap());
        object.insert("unsigned".to_owned(), CanonicalJsonValue::Null);
        object
    }

    #[test]
    fn only_the_signature_of_that_key_over_this_object_verifies() {
        let secret = Ed25519SecretKey::from_slice(&[7; 32]);
        let key = secret.public_key().to_base64();
        let good = signed(&secret, "@a:x", "ed25519:D");
        assert_eq!(verify(&good, "@a:x", "ed25519:D", &key), Verdict::Verified);
        assert_eq!(verify(&good, "@b:x", "ed25519:D", &key), Verdict::Missing);
        assert_eq!(verify(&good, "@a:x", "ed25519:E", &key), Verdict::Missing);
        let other = Ed25519SecretKey::from_slice(&[8; 32]).public_key().to_base64();
        assert_eq!(verify(&good, "@a:x", "ed25519:D", &other), Verdict::Forged);
        assert_eq!(verify(&good, "@a:x", "ed25519:D", "no key"), Verdict::Forged);
        let mut changed = good.clone();
        changed.insert("more".to_owned(), CanonicalJsonValue::Bool(true));
        assert_eq!(verify(&changed, "@a:x", "ed25519:D", &key), Verdict::Forged);
        let mut broken = good;
        broken.insert("signatures".to_owned(), object(r#"{"@a:x":{"ed25519:D":5}}"#).into());
        assert_eq!(verify(&broken, "@a:x", "ed25519:D", &key), Verdict::Forged);
    }
}
