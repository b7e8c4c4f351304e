//! `POST /register` (Matrix specification, Client-Server API, Account registration).

use ruma::{
    OwnedUserId,
    api::client::account::register::{RegistrationKind, v3::Request},
};
use wardstead_accounts::{AccountsError, Client, Login, NewAccount, NewDevice};
use wardstead_engine::{Batch, Losing};
use wardstead_limits::store as limits;

use crate::{
    Identity, IdentityError, RegisterError, Registration, terms,
    token::PresentedToken,
    uia::{Auth, Binding, Done, Flows, SESSION_USED, Stage},
};

/// A new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// The first session; `None` with `inhibit_login`.
    pub login: Option<Login>,
}

impl Identity {
    /// Whether somebody could register as `username` (`GET /register/available`).
    ///
    /// # Errors
    /// `RegistrationDisabled`; `Accounts(InvalidUsername)`, `Accounts(UserInUse)`, and the store's.
    pub async fn may_register(&self, username: &str) -> Result<(), IdentityError> {
        self.register_flows().await?;
        self.available(username).await
    }

    /// Whether `username` is free.
    ///
    /// # Errors
    /// `Accounts(InvalidUsername)`, `Accounts(UserInUse)`, and the store's.
    pub(crate) async fn available(&self, username: &str) -> Result<(), IdentityError> {
        let user_id = self.accounts.local_user_id(username)?;
        let taken = self.accounts.user_short_id(&user_id).await?.is_some();
        if taken { Err(AccountsError::UserInUse.into()) } else { Ok(()) }
    }

    /// Makes an account, once the client has gone through one of the flows. Account, device, access token, use of the
    /// session and use of the registration token are one batch. What ruma read as the request's `auth` is not looked at.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        request: Request,
        auth: Option<&Auth>,
        client: &Client,
    ) -> Result<Registered, RegisterError> {
        match request.kind {
            RegistrationKind::User => {}
            RegistrationKind::Guest => return self.register_guest(&request, client).await,
            _ => return Err(RegisterError::UnknownKind),
        }
        if let Some(token) = &request.guest_access_token {
            return self.upgrade_guest(token, &request, auth, client).await;
        }
        let flows = self.register_flows().await?;
        if let Some(username) = &request.username {
            self.available(username).await?;
        }
        if let Some(password) = &request.password {
            self.check_password(password)?;
        }
        let mut done = self.interact(&flows, auth).await?;
        let password = request.password.as_deref().ok_or(RegisterError::MissingPassword)?;
        let password_hash = Some(self.hasher.hash(password).await?);
        let device = NewDevice {
            device_id: request.device_id.clone(),
            display_name: request.initial_device_display_name.clone(),
            refresh: request.refresh_token,
            client: Some(client.clone()),
        };
        let mut new = NewAccount { username: request.username.clone(), password_hash, device, ..NewAccount::default() };
        for _ in 0..limits::REBUILDS {
            new.agreed = self.agreed(&done);
            new.admin = done.token.as_ref().is_some_and(PresentedToken::admin);
            match self.make(&new, &done, request.inhibit_login).await {
                // The registration token or the session served somebody else meanwhile: look at them again.
                Err(AccountsError::Lost(Losing::Rebuild | Losing::Fail(SESSION_USED))) => {
                    done = self.interact(&flows, auth).await?;
                }
                made => {
                    let made = made?;
                    self.know(&made.user_id, client);
                    return Ok(made);
                }
            }
        }
        Err(IdentityError::Contended.into())
    }

    /// The flows on offer now.
    ///
    /// # Errors
    /// `RegistrationDisabled`, and the store's.
    pub(crate) async fn register_flows(&self) -> Result<Flows, IdentityError> {
        let mut flows = match self.registration {
            Registration::Open => vec![vec![Stage::Dummy], vec![Stage::RegistrationToken]],
            Registration::Token => vec![vec![Stage::RegistrationToken]],
            Registration::Closed if self.accounts.is_empty().await? => vec![vec![Stage::RegistrationToken]],
            Registration::Closed => return Err(IdentityError::RegistrationDisabled),
        };
        let mut params = Vec::new();
        if !self.terms.is_empty() {
            for flow in &mut flows {
                flow.push(Stage::Terms);
            }
            params.push((Stage::Terms, terms::params(&self.terms)));
        }
        Ok(Flows { offered: flows, params, binding: Binding::REGISTER, user_id: None, source: None })
    }

    /// To what somebody who has done `done` has agreed.
    pub(crate) fn agreed(&self, done: &Done) -> Vec<(String, String)> {
        if !done.stages.contains(&Stage::Terms) {
            return Vec::new();
        }
        self.terms.iter().map(|policy| (policy.id.clone(), policy.version.clone())).collect()
    }

    async fn make(&self, new: &NewAccount, done: &Done, inhibit_login: bool) -> Result<Registered, AccountsError> {
        let mut extra = Batch::new();
        done.use_up(&mut extra, self.store.clock().now_ms());
        if inhibit_login {
            let account = self.accounts.create(new.clone(), extra).await?;
            return Ok(Registered { user_id: account.user_id, login: None });
        }
        let login = self.accounts.register(new.clone(), extra).await?;
        Ok(Registered { user_id: login.session.user_id.clone(), login: Some(login) })
    }
}
