//! Devices and users with keys of their own, made by the library that clients use.

use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, Ed25519SecretKey};

use crate::server::{Answer, Rows, Server};

pub const V3: &str = "/_matrix/client/v3";

/// A device that is signed in.
#[derive(Clone)]
pub struct Device {
    pub user: String,
    pub id: &'static str,
    pub token: String,
    pub seed: u8,
}

pub fn secret(seed: u8) -> Ed25519SecretKey {
    Ed25519SecretKey::from_slice(&[seed; 32])
}

/// Adds to `object` the signature of `secret`, which goes by `name`.
pub fn sign(object: &mut Value, user: &str, name: &str, secret: &Ed25519SecretKey) {
    let signed: CanonicalJsonObject = serde_json::from_value(without_signatures(object)).unwrap();
    let signature = secret.sign(serde_json::to_string(&signed).unwrap().as_bytes()).to_base64();
    object["signatures"][user][format!("ed25519:{name}")] = json!(signature);
}

pub fn without_signatures(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("signatures");
    object
}

/// A new user's device.
pub async fn device(server: &Server, username: &str, id: &'static str, seed: u8) -> Device {
    let body = json!({
        "username": username, "password": "correct horse", "device_id": id,
        "initial_device_display_name": format!("{username}'s {id}"), "auth": { "type": "m.login.dummy" },
    });
    signed_in(&server.post(&format!("{V3}/register"), "", &body).await, username, id, seed)
}

/// Another device of a user.
pub async fn login(server: &Server, username: &str, id: &'static str, seed: u8) -> Device {
    let body = json!({
        "type": "m.login.password", "identifier": { "type": "m.id.user", "user": username },
        "password": "correct horse", "device_id": id,
    });
    signed_in(&server.post(&format!("{V3}/login"), "", &body).await, username, id, seed)
}

fn signed_in(answer: &Answer, username: &str, id: &'static str, seed: u8) -> Device {
    let token = answer.ok()["access_token"].as_str().unwrap().to_owned();
    Device { user: format!("@{username}:example.org"), id, token, seed }
}

impl Device {
    pub fn secret(&self) -> Ed25519SecretKey {
        secret(self.seed)
    }

    /// Its signed keys.
    pub fn keys(&self) -> Value {
        let mut keys = json!({
            "user_id": self.user, "device_id": self.id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("ed25519:{}", self.id): self.secret().public_key().to_base64(),
                format!("curve25519:{}", self.id): Curve25519PublicKey::from(*self.secret().to_bytes()).to_base64(),
            },
        });
        sign(&mut keys, &self.user, self.id, &self.secret());
        keys
    }

    /// A signed one-time key; the name is for who reads the test.
    pub fn one_time(&self, _name: &str, seed: u8) -> Value {
        let mut key = json!({ "key": Curve25519PublicKey::from([seed; 32]).to_base64() });
        sign(&mut key, &self.user, self.id, &self.secret());
        key
    }

    pub async fn upload(&self, server: &Server, body: &Value) -> Answer {
        server.post(&format!("{V3}/keys/upload"), &self.token, body).await
    }

    pub async fn cross_sign(&self, server: &Server, body: &Value) -> Answer {
        server.post(&format!("{V3}/keys/device_signing/upload"), &self.token, body).await
    }

    /// What was not kept.
    pub async fn sign_keys(&self, server: &Server, body: &Value) -> Value {
        let answer = server.post(&format!("{V3}/keys/signatures/upload"), &self.token, body).await;
        answer.ok()["failures"].clone()
    }
}

/// The cross-signing keys of a user, of three seeds in a row.
pub struct CrossKeys {
    user: String,
    seed: u8,
}

impl CrossKeys {
    pub fn new(user: &str, seed: u8) -> Self {
        Self { user: user.to_owned(), seed }
    }

    pub fn name(secret: &Ed25519SecretKey) -> String {
        secret.public_key().to_base64()
    }

    pub fn master(&self) -> String {
        Self::name(&secret(self.seed))
    }

    pub fn self_signing(&self) -> String {
        Self::name(&secret(self.seed + 1))
    }

    pub fn user_signing(&self) -> String {
        Self::name(&secret(self.seed + 2))
    }

    /// As they are uploaded, signed by the master key.
    pub fn body(&self) -> Value {
        let key = |usage: &str, name: String| json!({ "user_id": self.user, "usage": [usage], "keys": { format!("ed25519:{name}"): name } });
        let signed = |usage, name| {
            let mut key = key(usage, name);
            sign(&mut key, &self.user, &self.master(), &secret(self.seed));
            key
        };
        json!({
            "master_key": key("master", self.master()),
            "self_signing_key": signed("self_signing", self.self_signing()),
            "user_signing_key": signed("user_signing", self.user_signing()),
        })
    }
}

/// The rows that differ, table by table: nothing where nothing was stored.
pub fn added(before: &Rows, after: &Rows) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).map(|key| format!("{key:?}")).collect()
}
