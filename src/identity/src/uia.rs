//! Sessions of the User-Interactive Authentication API (Matrix specification, Client-Server API).
//!
//! Nothing is stored when a session is issued: it carries its expiry and a MAC, so that any node can take it up, and asking
//! for sessions fills nothing. Once something was done with a session, a row says so until it expires.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wardstead_engine::{Batch, Expect, Key, Losing};
use wardstead_limits::{Rng, accounts as limits};
use wardstead_store::{Store, StoreError};

use crate::tables::{HASH_BYTES, SESSION_KEY, SessionKeyRow, USED_SESSIONS, UsedSessionRow, session_key_key};

/// What using a session twice means.
pub(crate) const SESSION_USED: &str = "session used";

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 16;
const BODY_BYTES: usize = 1 + 8 + NONCE_BYTES;
const MAC_BYTES: usize = 16;

/// A session that a client presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UiaSession {
    expires_ms: u64,
    nonce: [u8; NONCE_BYTES],
}

/// The key of the sessions' MACs.
#[derive(Clone, Copy)]
pub(crate) struct SessionKey([u8; HASH_BYTES]);

impl SessionKey {
    /// The key that all nodes share; made by whichever needs it first.
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let cell = session_key_key();
        if let Some(found) = store.get(&SESSION_KEY, &cell).await? {
            return Ok(Self(found.row.key));
        }
        let mut key = [0; HASH_BYTES];
        store.rng().fill(&mut key);
        let mut batch = Batch::new();
        batch.expect(cell.clone(), Expect::Absent, Losing::Done(cell.clone()));
        SESSION_KEY.put(&mut batch, cell.clone(), &SessionKeyRow { key });
        match store.commit(batch).await {
            Ok(_) => Ok(Self(key)),
            Err(lost @ StoreError::Lost(Losing::Done(_))) => {
                store.get(&SESSION_KEY, &cell).await?.map(|found| Self(found.row.key)).ok_or(lost)
            }
            Err(error) => Err(error),
        }
    }

    /// A session that is good until [`limits::UIA_SESSION_MS`] from now.
    pub(crate) fn issue(&self, now_ms: u64, rng: &dyn Rng) -> String {
        let mut body = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        body.push(FORMAT);
        body.extend_from_slice(&now_ms.saturating_add(limits::UIA_SESSION_MS).to_be_bytes());
        body.extend_from_slice(&nonce);
        let mac = self.mac(&body).finalize().into_bytes();
        body.extend_from_slice(&mac[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(body)
    }

    /// The session that `text` is, when it was issued here and is not past.
    pub(crate) fn open(&self, text: &str, now_ms: u64) -> Option<UiaSession> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_BYTES + MAC_BYTES || bytes[0] != FORMAT {
            return None;
        }
        let (body, mac) = bytes.split_at(BODY_BYTES);
        self.mac(body).verify_truncated_left(mac).ok()?;
        let expires_ms = u64::from_be_bytes(body[1..9].try_into().ok()?);
        let nonce = body[9..].try_into().ok()?;
        (now_ms < expires_ms).then_some(UiaSession { expires_ms, nonce })
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        // A key shorter than the block is filled with zeros (RFC 2104, 2).
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..HASH_BYTES].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block);
        // The purpose is part of what is signed: a session of another endpoint will not do for registration.
        mac.update(b"wardstead uia register");
        mac.update(body);
        mac
    }
}

impl UiaSession {
    /// Adds to `batch` that the session is used, which happens once. Removes what is long past on the way: a session that
    /// expired a whole lifetime ago is refused by every node, however its clock goes.
    pub(crate) fn use_up(&self, batch: &mut Batch, now_ms: u64) {
        let key = self.key();
        batch.expect(key.clone(), Expect::Absent, Losing::Fail(SESSION_USED));
        let past = USED_SESSIONS.key(0).u64(now_ms.saturating_sub(limits::UIA_SESSION_MS)).key();
        batch.delete_range(USED_SESSIONS.key(0).key(), past);
        USED_SESSIONS.put(batch, key, &UsedSessionRow);
    }

    fn key(&self) -> Key {
        USED_SESSIONS.key(0).u64(self.expires_ms).fixed(&self.nonce).key()
    }
}
