//! `POST /register` (Matrix specification, Client-Server API, Account registration).

use ruma::{
    OwnedUserId,
    api::client::{
        account::register::{RegistrationKind, v3::Request},
        uiaa::AuthData,
    },
};
use wardstead_accounts::{AccountsError, Login, NewAccount, NewDevice};
use wardstead_engine::{Batch, Losing};
use wardstead_limits::store as limits;

use crate::{
    Identity, IdentityError, RegisterError, Registration, check_password,
    token::PresentedToken,
    uia::{SESSION_USED, UiaSession},
};

const DUMMY: &str = "m.login.dummy";
const REGISTRATION_TOKEN: &str = "m.login.registration_token";

/// What a client has to do before it gets an account: the body of the 401 (User-Interactive Authentication API).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The flows on offer, each a list of stages.
    pub flows: Vec<Vec<&'static str>>,
    /// Parameters of stages: none of ours has any, the object is empty.
    pub params: Vec<(&'static str, String)>,
    /// To be sent with the next attempt.
    pub session: String,
    /// Stages that are done. Empty: each flow has one stage.
    pub completed: Vec<&'static str>,
    /// What was wrong with the attempt; `None` when there was none.
    pub failure: Option<Failure>,
}

/// What was wrong with an attempt to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The registration token is unknown, used up or past.
    InvalidToken,
    /// The stage is not on offer.
    UnknownStage,
    /// The session is unknown or past; the challenge carries a new one.
    InvalidSession,
    /// An account was made with the session; the challenge carries a new one.
    SessionUsed,
}

impl Failure {
    /// The error code.
    #[must_use]
    pub fn errcode(self) -> &'static str {
        match self {
            Self::UnknownStage => "M_UNRECOGNIZED",
            Self::InvalidToken | Self::InvalidSession | Self::SessionUsed => "M_FORBIDDEN",
        }
    }

    /// A sentence for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::InvalidToken => "The registration token is not valid",
            Self::UnknownStage => "This authentication stage is not offered",
            Self::InvalidSession => "The authentication session is unknown or has expired",
            Self::SessionUsed => "An account was already made with this authentication session",
        }
    }
}

/// A new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// The first session; `None` with `inhibit_login`.
    pub login: Option<Login>,
}

/// That a client may register: what to write down with the account.
#[derive(Clone, Debug)]
struct Proof {
    session: Option<UiaSession>,
    token: Option<PresentedToken>,
}

impl Identity {
    /// Whether `username` is free (`GET /register/available`).
    ///
    /// # Errors
    /// `Accounts(InvalidUsername)`, `Accounts(UserInUse)`, and the store's.
    pub async fn available(&self, username: &str) -> Result<(), IdentityError> {
        let user_id = self.accounts.local_user_id(username)?;
        let taken = self.accounts.user_short_id(&user_id).await?.is_some();
        if taken { Err(AccountsError::UserInUse.into()) } else { Ok(()) }
    }

    /// Makes an account, once the client has gone through one of the flows. Account, device, access token, use of the
    /// session and use of the registration token are one batch.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(&self, request: Request) -> Result<Registered, RegisterError> {
        match request.kind {
            RegistrationKind::User => {}
            RegistrationKind::Guest => return Err(RegisterError::GuestsForbidden),
            _ => return Err(RegisterError::UnknownKind),
        }
        self.flows().await?;
        if let Some(username) = &request.username {
            self.available(username).await?;
        }
        if let Some(password) = &request.password {
            check_password(password)?;
        }
        let mut proof = self.prove(request.auth.as_ref()).await?;
        let password = request.password.as_deref().ok_or(RegisterError::MissingPassword)?;
        let password_hash = Some(self.hasher.hash(password).await?);
        let device = NewDevice {
            device_id: request.device_id.clone(),
            display_name: request.initial_device_display_name.clone(),
            refresh: request.refresh_token,
        };
        let mut new = NewAccount { username: request.username.clone(), password_hash, admin: false, device };
        for _ in 0..limits::REBUILDS {
            new.admin = proof.token.as_ref().is_some_and(PresentedToken::admin);
            match self.make(&new, &proof, request.inhibit_login).await {
                Err(AccountsError::Lost(Losing::Rebuild)) => proof = self.prove(request.auth.as_ref()).await?,
                Err(AccountsError::Lost(Losing::Fail(SESSION_USED))) => {
                    return Err(self.challenge(None, Some(Failure::SessionUsed)).await?);
                }
                made => return Ok(made?),
            }
        }
        Err(IdentityError::Contended.into())
    }

    /// The flows on offer now.
    ///
    /// # Errors
    /// `RegistrationDisabled`, and the store's.
    pub async fn flows(&self) -> Result<Vec<Vec<&'static str>>, IdentityError> {
        match self.registration {
            Registration::Open => Ok(vec![vec![DUMMY], vec![REGISTRATION_TOKEN]]),
            Registration::Token => Ok(vec![vec![REGISTRATION_TOKEN]]),
            Registration::Closed if self.accounts.is_empty().await? => Ok(vec![vec![REGISTRATION_TOKEN]]),
            Registration::Closed => Err(IdentityError::RegistrationDisabled),
        }
    }

    async fn make(&self, new: &NewAccount, proof: &Proof, inhibit_login: bool) -> Result<Registered, AccountsError> {
        let mut extra = Batch::new();
        if let Some(session) = &proof.session {
            session.use_up(&mut extra, self.store.clock().now_ms());
        }
        if let Some(token) = &proof.token {
            token.use_up(&mut extra);
        }
        if inhibit_login {
            let account = self.accounts.create(new.clone(), extra).await?;
            return Ok(Registered { user_id: account.user_id, login: None });
        }
        let login = self.accounts.register(new.clone(), extra).await?;
        Ok(Registered { user_id: login.session.user_id.clone(), login: Some(login) })
    }

    /// Looks at what the client sent to authenticate. A stage may come without a session, then it is the whole of its flow.
    async fn prove(&self, auth: Option<&AuthData>) -> Result<Proof, RegisterError> {
        let Some(auth) = auth else { return Err(self.challenge(None, None).await?) };
        let now_ms = self.store.clock().now_ms();
        let session = match auth.session() {
            None => None,
            Some(text) => match self.session_key().await?.open(text, now_ms) {
                Some(session) => Some(session),
                None => return Err(self.challenge(None, Some(Failure::InvalidSession)).await?),
            },
        };
        match auth {
            AuthData::Dummy(_) if self.registration == Registration::Open => Ok(Proof { session, token: None }),
            AuthData::RegistrationToken(presented) => match self.find_registration_token(&presented.token).await? {
                Some(token) => Ok(Proof { session, token: Some(token) }),
                None => Err(self.challenge(auth.session(), Some(Failure::InvalidToken)).await?),
            },
            AuthData::FallbackAcknowledgement(_) => Err(self.challenge(auth.session(), None).await?),
            _ => Err(self.challenge(auth.session(), Some(Failure::UnknownStage)).await?),
        }
    }

    /// The 401. `session` is the one to go on with; `None`: a new one.
    async fn challenge(&self, session: Option<&str>, failure: Option<Failure>) -> Result<RegisterError, RegisterError> {
        let session = match session {
            Some(session) => session.to_owned(),
            None => self.session_key().await?.issue(self.store.clock().now_ms(), self.store.rng().as_ref()),
        };
        let flows = self.flows().await?;
        let challenge = Challenge { flows, params: Vec::new(), session, completed: Vec::new(), failure };
        Ok(RegisterError::Challenge(Box::new(challenge)))
    }
}
