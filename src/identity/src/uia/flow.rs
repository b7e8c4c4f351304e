//! The way through the stages of a flow, the same for every act.

use ruma::OwnedUserId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wardstead_accounts::Account;
use wardstead_engine::{Batch, Losing};
use wardstead_limits::store as limits;
use wardstead_store::{Found, StoreError};

use super::{Auth, Binding, Challenge, Failure, SESSION_USED, Stage, UiaSession};
use crate::{
    CompareError, HashError, Identity, IdentityError, Source,
    tables::{PasswordMark, SESSIONS, SessionRow},
    token::PresentedToken,
};

/// What has to be done for an act.
#[derive(Clone, Debug)]
pub(crate) struct Flows {
    /// Each a list of stages, to be completed in order.
    pub offered: Vec<Vec<Stage>>,
    /// Parameters of stages.
    pub params: Vec<(Stage, Value)>,
    /// Whose act.
    pub binding: Binding,
    /// The user behind it, where there is one.
    pub user_id: Option<OwnedUserId>,
    /// From where passwords come, by which wrong ones are counted.
    pub source: Option<Source>,
}

/// A flow that was completed: what is written down with the act.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    session: Option<(UiaSession, Option<Found<SessionRow>>)>,
    /// The account whose password was a stage, as it was when that held.
    account: Option<Account>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// The registration token, where that was a stage.
    pub token: Option<PresentedToken>,
}

/// Why an act is not to be done.
#[derive(Debug)]
pub(crate) enum InteractError {
    Challenge(Box<Challenge>),
    /// Somebody else's credentials.
    OtherUser,
    /// A member of `auth` that the stage needs.
    Missing(&'static str),
    Hash(HashError),
    Identity(IdentityError),
}

impl From<IdentityError> for InteractError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<StoreError> for InteractError {
    fn from(error: StoreError) -> Self {
        Self::Identity(error.into())
    }
}

/// By what it is known later whether the password of `account` is still the one of now.
pub(crate) fn password_mark(account: &Account) -> Option<PasswordMark> {
    let hash = Sha256::digest(account.password_hash.as_deref()?.as_bytes());
    hash.first_chunk().copied()
}

/// The stages that are done in a session with this row. What was confirmed by a password that is no longer that of `account` has to
/// be confirmed again.
pub(super) fn completed(row: &SessionRow, account: Option<&Account>) -> Vec<Stage> {
    let stages: Vec<Stage> = row.stages.iter().filter_map(|code| Stage::of_code(*code)).collect();
    let good = !stages.contains(&Stage::Password) || account.and_then(password_mark) == row.password;
    if good { stages } else { Vec::new() }
}

/// The session of an attempt with its row, and what was done before.
#[derive(Default)]
struct Before {
    session: Option<UiaSession>,
    row: Option<Found<SessionRow>>,
    completed: Vec<Stage>,
}

impl Flows {
    /// Of somebody who has an account.
    pub(super) fn of_user(user_id: OwnedUserId, binding: Binding, source: Source) -> Self {
        let flows = vec![vec![Stage::Password]];
        Self { offered: flows, params: Vec::new(), binding, user_id: Some(user_id), source: Some(source) }
    }

    /// Whether `stages` are the beginning of a flow.
    pub(super) fn begins(&self, stages: &[Stage]) -> bool {
        self.offered.iter().any(|flow| flow.starts_with(stages))
    }

    fn complete(&self, stages: &[Stage]) -> bool {
        self.offered.iter().any(|flow| flow == stages)
    }

    pub(super) fn offers(&self, stage: Stage) -> bool {
        self.offered.iter().flatten().any(|offered| *offered == stage)
    }
}

impl Done {
    /// Adds to `batch` that the session has served its act, and one use of the registration token. Where a password was a stage, it is
    /// still the user's in that commit.
    pub(crate) fn use_up(&self, batch: &mut Batch, now_ms: u64) {
        if let Some(account) = &self.account {
            account.still(batch, Losing::Fail(SESSION_USED));
        }
        if let Some((session, row)) = &self.session {
            let stages = self.stages.iter().map(|stage| stage.code()).collect();
            let used = SessionRow { stages, token: None, password: None, used: true };
            session.put(batch, row.as_ref(), &used, now_ms);
        }
        if let Some(token) = &self.token {
            token.use_up(batch);
        }
    }

    /// Of the password that was shown.
    pub(super) fn password_mark(&self) -> Option<PasswordMark> {
        self.account.as_ref().and_then(password_mark)
    }
}

impl Identity {
    /// Takes one step: what `auth` says completes a stage, and perhaps the flow.
    ///
    /// A stage may come without a session, as many bots and test suites do; then it is the first of its flow.
    pub(crate) async fn interact(&self, flows: &Flows, auth: Option<&Auth>) -> Result<Done, InteractError> {
        let Some(auth) = auth else { return Err(self.challenge(flows, None, &[], None).await?) };
        for _ in 0..limits::REBUILDS {
            match self.step(flows, auth).await {
                // Another request with the same session was quicker.
                Err(InteractError::Identity(IdentityError::Store(StoreError::Lost(Losing::Fail(SESSION_USED))))) => {}
                stepped => return stepped,
            }
        }
        Err(IdentityError::Contended.into())
    }

    async fn step(&self, flows: &Flows, auth: &Auth) -> Result<Done, InteractError> {
        let account = self.account_of(flows).await?;
        let Before { session, row, completed } = self.before(flows, account.as_ref(), auth).await?;
        let mut stages = completed.clone();
        let mut token = None;
        if let Some(name) = &auth.stage {
            let refuse = |failure| self.challenge(flows, session, &completed, Some(failure));
            let Some(stage) = Stage::called(name).filter(|stage| flows.offers(*stage)) else {
                return Err(refuse(Failure::UnknownStage).await?);
            };
            // What is completed cannot be tried again: the answer is the same as without it.
            if !completed.contains(&stage) {
                stages.push(stage);
                if !flows.begins(&stages) {
                    return Err(refuse(Failure::WrongOrder).await?);
                }
                match self.check(flows, account.as_ref(), stage, auth).await? {
                    Ok(presented) => token = presented,
                    Err(failure) => return Err(refuse(failure).await?),
                }
            }
        }
        if !flows.complete(&stages) {
            let session = match session {
                Some(session) => session,
                None => self.new_session(flows.binding),
            };
            if stages != completed {
                self.remember(&session, row.as_ref(), (&stages, account.as_ref()), token.as_ref()).await?;
            }
            return Err(self.challenge(flows, Some(session), &stages, None).await?);
        }
        // A registration token that was shown earlier may have been used up by somebody else since.
        if let Some(hash) = row.as_ref().and_then(|row| row.row.token)
            && token.is_none()
        {
            token = self.registration_token_of(&hash).await?;
            if token.is_none() {
                return Err(self.challenge(flows, None, &[], Some(Failure::InvalidToken)).await?);
            }
        }
        let account = account.filter(|_| stages.contains(&Stage::Password));
        Ok(Done { session: session.map(|session| (session, row)), account, stages, token })
    }

    /// What the session that `auth` names has behind it.
    async fn before(&self, flows: &Flows, account: Option<&Account>, auth: &Auth) -> Result<Before, InteractError> {
        let Some(text) = auth.session.as_deref() else { return Ok(Before::default()) };
        let anew = |failure| self.challenge(flows, None, &[], Some(failure));
        let opened = self.session_key().await?.open(text, self.store.clock().now_ms());
        let ours = |session: &UiaSession| {
            (session.binding.purpose, session.binding.user) == (flows.binding.purpose, flows.binding.user)
        };
        let Some(session) = opened.filter(ours) else { return Err(anew(Failure::InvalidSession).await?) };
        let row = self.store.get(&SESSIONS, &session.key()).await?;
        let Some(found) = &row else { return Ok(Before { session: Some(session), ..Before::default() }) };
        if found.row.used {
            return Err(anew(Failure::SessionUsed).await?);
        }
        if session.binding != flows.binding {
            // What was confirmed was another act.
            return Err(anew(Failure::InvalidSession).await?);
        }
        let completed = completed(&found.row, account);
        Ok(Before { session: Some(session), row, completed })
    }

    /// The account behind `flows` as it is now, where there is one.
    pub(super) async fn account_of(&self, flows: &Flows) -> Result<Option<Account>, IdentityError> {
        let Some(user_id) = &flows.user_id else { return Ok(None) };
        Ok(self.accounts.find(user_id).await?)
    }

    /// Whether `auth` is good for `stage` of `account`, if it is about one.
    pub(super) async fn check(
        &self,
        flows: &Flows,
        account: Option<&Account>,
        stage: Stage,
        auth: &Auth,
    ) -> Result<Result<Option<PresentedToken>, Failure>, InteractError> {
        match stage {
            Stage::Dummy | Stage::Terms => Ok(Ok(None)),
            Stage::RegistrationToken => {
                let token = auth.token.as_deref().ok_or(InteractError::Missing("token"))?;
                let found = self.find_registration_token(token).await?;
                Ok(found.map(Some).ok_or(Failure::InvalidToken))
            }
            Stage::Password => {
                let name = auth.login_name()?;
                let password = auth.password.as_deref().ok_or(InteractError::Missing("password"))?;
                let named = name.and_then(|name| self.accounts.user_id_of_login(name));
                if named.is_none() || named != flows.user_id {
                    return Err(InteractError::OtherUser);
                }
                let right = self.is_password_of(flows, account, password).await?;
                Ok(if right { Ok(None) } else { Err(Failure::WrongPassword) })
            }
        }
    }

    async fn is_password_of(
        &self,
        flows: &Flows,
        account: Option<&Account>,
        password: &str,
    ) -> Result<bool, InteractError> {
        let (Some(user_id), Some(source)) = (&flows.user_id, flows.source) else { return Ok(false) };
        self.compare(Some(user_id), account, password, source).await.map_err(|error| match error {
            CompareError::Hash(error) => InteractError::Hash(error),
            CompareError::Store(error) => error.into(),
        })
    }

    /// Writes down that `stages` are done in `session`, with the password that `account` has.
    pub(super) async fn remember(
        &self,
        session: &UiaSession,
        before: Option<&Found<SessionRow>>,
        (stages, account): (&[Stage], Option<&Account>),
        token: Option<&PresentedToken>,
    ) -> Result<(), StoreError> {
        let token = token.map(PresentedToken::hash).or(before.and_then(|found| found.row.token));
        let password = account.filter(|_| stages.contains(&Stage::Password)).and_then(password_mark);
        let stages = stages.iter().map(|stage| stage.code()).collect();
        let row = SessionRow { stages, token, password, used: false };
        let mut batch = Batch::new();
        session.put(&mut batch, before, &row, self.store.clock().now_ms());
        self.store.commit(batch).await.map(drop)
    }

    /// The 401. `session` is the one to go on with; `None`: a new one.
    pub(super) async fn challenge(
        &self,
        flows: &Flows,
        session: Option<UiaSession>,
        completed: &[Stage],
        failure: Option<Failure>,
    ) -> Result<InteractError, StoreError> {
        let names = |stages: &[Stage]| stages.iter().map(|stage| stage.name()).collect::<Vec<_>>();
        let session = match session {
            Some(session) => session,
            None => self.new_session(flows.binding),
        };
        Ok(InteractError::Challenge(Box::new(Challenge {
            flows: flows.offered.iter().map(|flow| names(flow)).collect(),
            params: flows.params.iter().map(|(stage, value)| (stage.name(), value.clone())).collect(),
            session: self.session_key().await?.write(&session),
            completed: names(completed),
            failure,
        })))
    }

    fn new_session(&self, binding: Binding) -> UiaSession {
        UiaSession::new(binding, self.store.clock().now_ms(), self.store.rng().as_ref())
    }
}
