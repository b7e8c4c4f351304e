//! Stages that are completed in a web browser (Matrix specification, Client-Server API, Fallback).

use ruma::OwnedUserId;
use wardstead_accounts::{Account, Client};
use wardstead_engine::Losing;
use wardstead_limits::store as limits;
use wardstead_store::{Found, StoreError};

use super::{Auth, Failure, Flows, InteractError, Purpose, SESSION_USED, Stage, UiaSession, completed};
use crate::{
    HashError, Identity, IdentityError, Policy, Source,
    tables::{SESSIONS, SessionRow},
};

/// What a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked for.
    pub stage: Stage,
    /// What it is asked for.
    pub purpose: Purpose,
    /// Who is asked; `None` where it is to be a new account.
    pub user_id: Option<OwnedUserId>,
    /// The documents to which they agree, with [`Stage::Terms`].
    pub policies: Vec<Policy>,
    /// Whether it is done: the page tells the client so.
    pub completed: bool,
    /// What was wrong with what was entered.
    pub failure: Option<Failure>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The session is unknown or past, has served its act, or the stage is none of its: 404.
    #[error("there is nothing to be confirmed here")]
    NothingAsked,
    /// The password was not compared.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A part below failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Identity(error.into())
    }
}

impl From<InteractError> for PageError {
    fn from(error: InteractError) -> Self {
        match error {
            InteractError::Hash(error) => Self::Hash(error),
            InteractError::Identity(error) => Self::Identity(error),
            // What is entered is made into a request here, so it is nobody else's and lacks nothing.
            InteractError::Challenge(_) | InteractError::OtherUser | InteractError::Missing(_) => Self::NothingAsked,
        }
    }
}

/// A session whose stage is on a page.
struct Opened {
    session: UiaSession,
    flows: Flows,
    row: Option<Found<SessionRow>>,
    completed: Vec<Stage>,
    account: Option<Account>,
    asked: Asked,
}

impl Identity {
    /// What the page of `stage` in `session` asks for.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn page(&self, stage: &str, session: &str, from: &Client) -> Result<Asked, PageError> {
        Ok(self.open_page(stage, session, from).await?.asked)
    }

    /// Completes `stage` of `session` with what was entered there: a password, a registration token, nothing. The client then
    /// repeats its request with the session alone.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn answer_page(
        &self,
        stage: &str,
        session: &str,
        entered: &str,
        from: &Client,
    ) -> Result<Asked, PageError> {
        for _ in 0..limits::REBUILDS {
            let opened = self.open_page(stage, session, from).await?;
            if opened.asked.completed {
                return Ok(opened.asked);
            }
            match self.complete(&opened, session, entered).await {
                Ok(failure) => return Ok(Asked { completed: failure.is_none(), failure, ..opened.asked }),
                // The client was quicker with the same session.
                Err(PageError::Identity(IdentityError::Store(StoreError::Lost(Losing::Fail(SESSION_USED))))) => {}
                Err(error) => return Err(error),
            }
        }
        Err(IdentityError::Contended.into())
    }

    async fn complete(&self, opened: &Opened, session: &str, entered: &str) -> Result<Option<Failure>, PageError> {
        let Opened { asked, flows, row, account, .. } = opened;
        let mut stages = opened.completed.clone();
        stages.push(asked.stage);
        if !flows.begins(&stages) {
            return Ok(Some(Failure::WrongOrder));
        }
        let auth = match asked.stage {
            Stage::Password => {
                Auth::password(session, asked.user_id.as_ref().map_or("", |user_id| user_id.as_str()), entered)
            }
            Stage::RegistrationToken => Auth::registration_token(session, entered.trim()),
            stage @ (Stage::Dummy | Stage::Terms) => Auth::stage(stage.name(), session),
        };
        let token = match self.check(flows, account.as_ref(), asked.stage, &auth).await? {
            Ok(token) => token,
            Err(failure) => return Ok(Some(failure)),
        };
        self.remember(&opened.session, row.as_ref(), (&stages, account.as_ref()), token.as_ref()).await?;
        Ok(None)
    }

    async fn open_page(&self, stage: &str, session: &str, from: &Client) -> Result<Opened, PageError> {
        let opened = self.session_key().await?.open(session, self.store.clock().now_ms());
        let (Some(session), Some(stage)) = (opened, Stage::called(stage)) else { return Err(PageError::NothingAsked) };
        let flows = self.flows_of(&session, from).await?;
        let row = self.store.get(&SESSIONS, &session.key()).await?;
        let used = row.as_ref().is_some_and(|found| found.row.used);
        if used || !flows.offers(stage) {
            return Err(PageError::NothingAsked);
        }
        let account = self.account_of(&flows).await?;
        let completed = row.as_ref().map_or_else(Vec::new, |found| completed(&found.row, account.as_ref()));
        let asked = Asked {
            stage,
            purpose: session.binding.purpose,
            user_id: flows.user_id.clone(),
            policies: if stage == Stage::Terms { self.terms.clone() } else { Vec::new() },
            completed: completed.contains(&stage),
            failure: None,
        };
        Ok(Opened { session, flows, row, completed, account, asked })
    }

    /// What is to be done in `session`.
    async fn flows_of(&self, session: &UiaSession, from: &Client) -> Result<Flows, PageError> {
        let binding = session.binding;
        if binding.purpose == Purpose::Register {
            return match self.register_flows().await {
                Err(IdentityError::RegistrationDisabled) => Err(PageError::NothingAsked),
                flows => Ok(flows?),
            };
        }
        let user_id = self.accounts.user_ids(&[binding.user]).await.map_err(IdentityError::from)?.pop().flatten();
        let user_id = user_id.ok_or(PageError::NothingAsked)?;
        Ok(Flows::of_user(user_id, binding, Source::Network(from.network())))
    }
}
