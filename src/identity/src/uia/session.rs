//! Sessions: what they are for, and their MAC.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wardstead_engine::{Batch, Expect, Key, Losing};
use wardstead_limits::{Rng, accounts as limits};
use wardstead_store::{Found, Store, StoreError};

use super::Act;
use crate::tables::{HASH_BYTES, SESSION_KEY, SESSIONS, SessionKeyRow, SessionRow, session_key_key};

/// What it means that the session's row is no longer as it was read: look at it again.
pub(crate) const SESSION_USED: &str = "session used";

const FORMAT: u8 = 2;
const NONCE_BYTES: usize = 16;
const ACT_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
/// Format, purpose, expiry, nonce, user, act.
const BODY_BYTES: usize = 1 + 1 + 8 + NONCE_BYTES + 8 + ACT_BYTES;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A new account.
    Register,
    /// A new password.
    ChangePassword,
    /// The end of an account.
    Deactivate,
    /// The end of devices.
    DeleteDevices,
    /// A token to sign in on another device.
    MakeLoginToken,
    /// Other cross-signing keys.
    SetCrossSigningKeys,
    /// A new account for who knows the secret of the configuration.
    SharedSecret,
}

impl Purpose {
    fn code(self) -> u8 {
        match self {
            Self::Register => 1,
            Self::ChangePassword => 2,
            Self::Deactivate => 3,
            Self::DeleteDevices => 4,
            Self::MakeLoginToken => 5,
            Self::SharedSecret => 6,
            Self::SetCrossSigningKeys => 7,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [
            Self::Register,
            Self::ChangePassword,
            Self::Deactivate,
            Self::DeleteDevices,
            Self::MakeLoginToken,
            Self::SharedSecret,
            Self::SetCrossSigningKeys,
        ]
        .into_iter()
        .find(|purpose| purpose.code() == code)
    }
}

/// Whose act a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub purpose: Purpose,
    /// Short id; 0 where there is no user yet.
    pub user: u64,
    /// Digest of the act's parameters under the key; zeros where there are none. A session is seen by many, in addresses of
    /// pages for one, so that a digest without a key would let them try passwords.
    pub act: [u8; ACT_BYTES],
}

impl Binding {
    /// A new account's: what it is called may change until it is made.
    pub(crate) const REGISTER: Self = Self::of_nobody(Purpose::Register);

    /// Nobody's, and no act told apart from others of `purpose`.
    pub(crate) const fn of_nobody(purpose: Purpose) -> Self {
        Self { purpose, user: 0, act: [0; ACT_BYTES] }
    }
}

/// A session that was issued here and is not past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UiaSession {
    expires_ms: u64,
    nonce: [u8; NONCE_BYTES],
    pub binding: Binding,
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

    /// `session` for a client.
    pub(crate) fn write(&self, session: &UiaSession) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        bytes.extend_from_slice(&[FORMAT, session.binding.purpose.code()]);
        bytes.extend_from_slice(&session.expires_ms.to_be_bytes());
        bytes.extend_from_slice(&session.nonce);
        bytes.extend_from_slice(&session.binding.user.to_be_bytes());
        bytes.extend_from_slice(&session.binding.act);
        let mac = self.mac(b"wardstead uia session").chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The session that `text` is, when it was issued here and is not past.
    pub(crate) fn open(&self, text: &str, now_ms: u64) -> Option<UiaSession> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_BYTES + MAC_BYTES || bytes[0] != FORMAT {
            return None;
        }
        let (body, mac) = bytes.split_at(BODY_BYTES);
        self.mac(b"wardstead uia session").chain_update(body).verify_truncated_left(mac).ok()?;
        let purpose = Purpose::of_code(body[1])?;
        let (expires_ms, rest) = body[2..].split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (user, act) = rest.split_first_chunk()?;
        let binding = Binding { purpose, user: u64::from_be_bytes(*user), act: act.try_into().ok()? };
        let session = UiaSession { expires_ms: u64::from_be_bytes(*expires_ms), nonce: *nonce, binding };
        (now_ms < session.expires_ms).then_some(session)
    }

    /// What a session for `act` of the user is bound to.
    pub(crate) fn bind(&self, user: u64, act: &Act<'_>) -> Binding {
        let mut mac = self.mac(b"wardstead uia act");
        act.parameters(|bytes| mac.update(bytes));
        let whole = mac.finalize().into_bytes();
        let mut digest = [0; ACT_BYTES];
        digest.copy_from_slice(&whole[..ACT_BYTES]);
        Binding { purpose: act.purpose(), user, act: digest }
    }

    fn mac(&self, what: &[u8]) -> Hmac<Sha256> {
        // A key shorter than the block is filled with zeros (RFC 2104, 2).
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..HASH_BYTES].copy_from_slice(&self.0);
        // What it is a MAC of is part of what is signed: none will do in the place of another.
        Hmac::<Sha256>::new(&block).chain_update(what)
    }
}

impl UiaSession {
    /// A session for `binding` that is good until [`limits::UIA_SESSION_MS`] from now.
    pub(crate) fn new(binding: Binding, now_ms: u64, rng: &dyn Rng) -> Self {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        Self { expires_ms: now_ms.saturating_add(limits::UIA_SESSION_MS), nonce, binding }
    }

    /// Where its row stands.
    pub(crate) fn key(&self) -> Key {
        SESSIONS.key(0).u64(self.expires_ms).fixed(&self.nonce).key()
    }

    /// Adds to `batch` that its row becomes `row`, which was `before`. Losing means that it was something else. Removes what is
    /// long past on the way: a session that expired a whole lifetime ago is refused by every node, however its clock goes.
    pub(crate) fn put(&self, batch: &mut Batch, before: Option<&Found<SessionRow>>, row: &SessionRow, now_ms: u64) {
        let key = self.key();
        let expect = before.map_or(Expect::Absent, |found| Expect::Version(found.version));
        batch.expect(key.clone(), expect, Losing::Fail(SESSION_USED));
        let past = SESSIONS.key(0).u64(now_ms.saturating_sub(limits::UIA_SESSION_MS)).key();
        batch.delete_range(SESSIONS.key(0).key(), past);
        SESSIONS.put_with(batch, key, before.map_or(0, |found| found.version) + 1, &[], row);
    }
}
