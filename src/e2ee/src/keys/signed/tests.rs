use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Value, json};
use vodozemac::Ed25519SecretKey;
use wardstead_limits::e2ee as limits;

use super::{Signed, device_keys, one_time_key};
use crate::E2eeError;

const USER: &str = "@anna:example.org";
const DEVICE: &str = "LAPTOP";

fn secret(seed: u8) -> Ed25519SecretKey {
    Ed25519SecretKey::from_slice(&[seed; 32])
}

fn public(seed: u8) -> String {
    secret(seed).public_key().to_base64()
}

fn object(json: &Value) -> CanonicalJsonObject {
    serde_json::from_value(json.clone()).unwrap()
}

/// `json`, signed with the key of `seed` under `name`.
fn signed(mut json: Value, user: &str, name: &str, seed: u8) -> Value {
    let mut bare = object(&json);
    bare.remove("signatures");
    bare.remove("unsigned");
    let signature = secret(seed).sign(serde_json::to_string(&bare).unwrap().as_bytes()).to_base64();
    json["signatures"][user][format!("ed25519:{name}")] = json!(signature);
    json
}

fn keys() -> Value {
    json!({
        "user_id": USER, "device_id": DEVICE, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { "ed25519:LAPTOP": public(1), "curve25519:LAPTOP": public(9), "org.example:x": "any" },
        "org.example.more": { "kept": true },
    })
}

fn forged<T: std::fmt::Debug>(judged: &Result<T, E2eeError>) -> bool {
    matches!(judged, Err(E2eeError::InvalidSignature(_)))
}

#[test]
fn device_keys_are_signed_by_the_device_and_the_self_signing_key_alone() {
    let judge = |json: &Value, self_signing: Option<&str>| device_keys(object(json), USER, DEVICE, self_signing);
    let (ssk, other) = (public(2), public(3));
    let bare = judge(&keys(), None).unwrap();
    assert_eq!((bare.own, bare.crossed, bare.ed25519), (None, None, public(1)), "a missing signature is accepted");
    assert_eq!(bare.curve25519, Some(public(9)));
    assert!(bare.text.contains("org.example.more"), "what the server does not know is signed, too");

    let both = signed(signed(keys(), USER, DEVICE, 1), USER, &ssk, 2);
    let judged = judge(&both, Some(&ssk)).unwrap();
    assert!(judged.own.is_some() && judged.crossed.is_some() && !judged.text.contains("signatures"));
    // Clients sign with a self-signing key that they upload only afterwards: it is verified by its name, and not kept.
    for known in [None, Some(other.as_str())] {
        let early = judge(&both, known).unwrap();
        assert_eq!((early.own.is_some(), early.crossed), (true, None), "not kept of a key that is not the user's");
    }
    assert!(forged(&judge(&signed(keys(), USER, &ssk, 3), None)), "made with another key than its name says");
    let mut unsigned = both.clone();
    unsigned["unsigned"] = json!({ "device_display_name": "x" });
    assert_eq!(judge(&unsigned, Some(&ssk)).unwrap().text, judged.text);

    assert!(forged(&judge(&signed(keys(), USER, DEVICE, 2), None)), "made with another key");
    assert!(forged(&judge(&signed(keys(), USER, "PHONE", 1), None)), "under another name");
    assert!(forged(&judge(&signed(keys(), "@bert:example.org", DEVICE, 1), None)), "of another user");
    assert!(
        forged(&device_keys(object(&keys()), USER, "PHONE", None))
            && forged(&device_keys(object(&keys()), "@b:x", DEVICE, None))
    );
    let mut nameless = keys();
    nameless["keys"] = json!({ "ed25519:PHONE": public(1) });
    assert!(forged(&judge(&nameless, None)));
}

#[test]
fn what_is_no_device_key_is_refused() {
    let cases = [
        ("user_id", json!(1)),
        ("device_id", json!(null)),
        ("algorithms", json!({})),
        ("algorithms", json!([1])),
        ("keys", json!([])),
        ("keys", json!({ "ed25519:LAPTOP": 1 })),
        ("signatures", json!([])),
        ("signatures", json!({ USER: "x" })),
        ("signatures", json!({ USER: { "ed25519:LAPTOP": 1 } })),
    ];
    for (field, value) in cases {
        let mut keys = keys();
        keys[field] = value.clone();
        let judged = device_keys(object(&keys), USER, DEVICE, None);
        assert!(matches!(judged, Err(E2eeError::BadJson(_))), "{field}: {value}: {judged:?}");
    }
    for key in ["", "short", "not base64 at all, whatever one may think of", &public(1)[..42]] {
        let mut keys = keys();
        keys["keys"]["ed25519:LAPTOP"] = json!(key);
        assert!(matches!(device_keys(object(&keys), USER, DEVICE, None), Err(E2eeError::InvalidParam(_))), "{key}");
    }
    let mut large = keys();
    large["org.example.more"] = json!("x".repeat(limits::KEY_OBJECT_BYTES));
    assert!(matches!(device_keys(object(&large), USER, DEVICE, None), Err(E2eeError::TooLarge(_))));
    let mut many = keys();
    for name in 0..=limits::SIGNATURE_ENTRIES {
        many["signatures"][USER][format!("ed25519:{name}")] = json!("x");
    }
    assert!(matches!(device_keys(object(&many), USER, DEVICE, None), Err(E2eeError::TooLarge(_))));
}

#[test]
fn one_time_keys_are_signed_by_their_device() {
    let judge = |name: &str, json: &Value| {
        let key: CanonicalJsonValue = serde_json::from_value(json.clone()).unwrap();
        one_time_key(name, &key, USER, DEVICE, &public(1))
    };
    let key = json!({ "key": public(9), "fallback": true });
    let good = signed(key.clone(), USER, DEVICE, 1);
    let judged = judge("signed_curve25519:AAAA:B", &good).unwrap();
    assert_eq!((judged.algorithm.as_str(), judged.id.as_str()), ("signed_curve25519", "AAAA:B"));
    assert_eq!(serde_json::from_str::<Value>(&judged.key).unwrap(), good, "as it was uploaded");
    let unknown = signed(json!({ "key": "what only its algorithm knows" }), USER, DEVICE, 1);
    assert!(judge("org.example.kyber:1", &unknown).is_ok());
    assert!(matches!(judge("signed_curve25519:1", &unknown), Err(E2eeError::BadJson(_))));

    assert!(forged(&judge("signed_curve25519:1", &key)), "unsigned");
    assert!(forged(&judge("curve25519:1", &json!(public(9)))), "a bare string has nobody's signature");
    assert!(forged(&judge("signed_curve25519:1", &signed(key.clone(), USER, DEVICE, 2))), "made with another key");
    assert!(forged(&judge("signed_curve25519:1", &signed(key.clone(), USER, "PHONE", 1))), "of another device");
    assert!(
        forged(&judge("signed_curve25519:1", &signed(good.clone(), "@bert:example.org", DEVICE, 1))),
        "one too many"
    );
    let (long_id, long_algorithm) = ("x".repeat(limits::KEY_ID_BYTES + 1), "x".repeat(limits::ALGORITHM_BYTES + 1));
    for name in ["nothing", ":1", "signed_curve25519:", &format!("x:{long_id}"), &format!("{long_algorithm}:1")] {
        assert!(matches!(judge(name, &good), Err(E2eeError::InvalidParam(_))), "{name}");
    }
    let large = signed(json!({ "key": "x".repeat(limits::ONE_TIME_KEY_BYTES) }), USER, DEVICE, 1);
    assert!(matches!(judge("org.example.kyber:1", &large), Err(E2eeError::TooLarge(_))));
}

#[test]
fn a_cross_signing_key_is_one_key_under_its_own_name() {
    let judge = |keys: Value| {
        let signed = Signed::of(object(&json!({ "keys": keys })), limits::KEY_OBJECT_BYTES).unwrap();
        signed.only_key().map(str::to_owned)
    };
    let named = |name: &str, key: &str| json!({ format!("ed25519:{name}"): key });
    assert_eq!(judge(named(&public(1), &public(1))).unwrap(), public(1));
    assert!(forged(&judge(named(&public(2), &public(1)))));
    assert!(matches!(judge(json!([])), Err(E2eeError::BadJson(_))));
    assert!(matches!(judge(json!({})), Err(E2eeError::InvalidParam(_))));
    assert!(matches!(judge(named("short", "short")), Err(E2eeError::InvalidParam(_))));
    let mut two = named(&public(1), &public(1));
    two[format!("ed25519:{}", public(2))] = json!(public(2));
    assert!(matches!(judge(two), Err(E2eeError::InvalidParam(_))));
}
