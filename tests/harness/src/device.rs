//! A device that signs the keys which it uploads, without a client library.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use vodozemac::{Curve25519PublicKey, Ed25519SecretKey};

use crate::User;

/// Of one-time and fallback keys.
pub const ALGORITHM: &str = "signed_curve25519";

/// A user's session with a key to sign with.
#[derive(Clone)]
pub struct Device {
    /// The session.
    pub user: User,
    /// Its device's id.
    pub id: String,
    secret: Arc<Ed25519SecretKey>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("user", &self.user.id).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Device {
    /// The device of `user`; its keys are made from `seed`.
    ///
    /// # Errors
    /// When the server does not say which device it is.
    pub async fn of(user: User, seed: u64) -> Result<Self> {
        let answer = user.get("/account/whoami").await?.ok()?;
        let id = answer["device_id"].as_str().context("device_id")?.to_owned();
        Ok(Self { user, id, secret: Arc::new(Ed25519SecretKey::from_slice(&bytes(7, seed))) })
    }

    /// The same device with another session.
    #[must_use]
    pub fn with(&self, user: User) -> Self {
        Self { user, ..self.clone() }
    }

    /// Signed (Appendices, Signing JSON): `serde_json` sorts the names.
    fn signed(&self, mut object: Value) -> Value {
        let signature = self.secret.sign(object.to_string().as_bytes()).to_base64();
        object["signatures"] = json!({ &self.user.id: { format!("ed25519:{}", self.id): signature } });
        object
    }

    /// Uploads the device's identity keys.
    ///
    /// # Errors
    /// When they are refused or no answer comes.
    pub async fn upload_identity(&self) -> Result<()> {
        let keys = json!({
            format!("curve25519:{}", self.id): curve(0),
            format!("ed25519:{}", self.id): self.secret.public_key().to_base64(),
        });
        let algorithms = ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"];
        let device = json!({ "user_id": self.user.id, "device_id": self.id, "algorithms": algorithms, "keys": keys });
        let body = json!({ "device_keys": self.signed(device) });
        self.user.post("/keys/upload", &body).await?.ok().context("device keys").map(drop)
    }

    /// The body of an upload of `count` one-time keys, numbered from `from`.
    #[must_use]
    pub fn one_time_keys(&self, from: usize, count: usize) -> Value {
        let keys: Map<String, Value> = (from..from + count)
            .map(|number| {
                let key = json!({ "key": curve(number as u64) });
                (format!("{ALGORITHM}:K{number}"), self.signed(key))
            })
            .collect();
        json!({ "one_time_keys": keys })
    }

    /// The body of an upload of a fallback key with this number.
    #[must_use]
    pub fn fallback_key(&self, number: u64) -> Value {
        let key = self.signed(json!({ "key": curve(number), "fallback": true }));
        json!({ "fallback_keys": { format!("{ALGORITHM}:F{number}"): key } })
    }
}

fn curve(number: u64) -> String {
    Curve25519PublicKey::from_bytes(bytes(3, number)).to_base64()
}

fn bytes(fill: u8, number: u64) -> [u8; 32] {
    let mut bytes = [fill; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}
