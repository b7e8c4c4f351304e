//! `POST /login` and `GET /login` (Matrix specification, Client-Server API, Login).

use ruma::api::client::{
    session::login::v3::{LoginInfo, Password, Request},
    uiaa::UserIdentifier,
};
use wardstead_accounts::{AccountsError, Client, Login, NewDevice};
use wardstead_engine::{Batch, Losing};
use wardstead_limits::store as limits;

use crate::{Identity, LoginError, Source, login_token::LOGIN_TOKEN_USED};

impl Identity {
    /// The login types on offer (`GET /login`).
    #[must_use]
    pub fn login_types(&self) -> &'static [&'static str] {
        if self.login_tokens { &["m.login.password", "m.login.token"] } else { &["m.login.password"] }
    }

    /// Signs in with a password or a login token, from `client`. Wrong password, unknown user and a user of another server are
    /// answered alike and at the same cost.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(&self, request: Request, client: &Client) -> Result<Login, LoginError> {
        let device = NewDevice {
            device_id: request.device_id,
            display_name: request.initial_device_display_name,
            refresh: request.refresh_token,
            client: Some(client.clone()),
        };
        match &request.login_info {
            LoginInfo::Password(password) => self.log_in_by_password(password, &device, client).await,
            LoginInfo::Token(token) if self.login_tokens => self.log_in_by_token(&token.token, &device, client).await,
            // No token is that of an application service that is registered here.
            LoginInfo::ApplicationService(_) => Err(LoginError::NoApplicationService),
            _ => Err(LoginError::UnknownType),
        }
    }

    async fn log_in_by_password(
        &self,
        password: &Password,
        device: &NewDevice,
        from: &Client,
    ) -> Result<Login, LoginError> {
        let login_name = login_name(password)?;
        let user_id = login_name.and_then(|name| self.accounts.user_id_of_login(name));
        for _ in 0..limits::REBUILDS {
            let account = match &user_id {
                Some(user_id) => self.accounts.find(user_id).await?,
                None => None,
            };
            let source = Source::Network(from.network());
            let right = self.compare(user_id.as_deref(), account.as_ref(), &password.password, source).await?;
            let Some(account) = account.filter(|_| right) else { return Err(LoginError::Forbidden) };
            match self.accounts.log_in(&account, device.clone(), &Batch::new()).await {
                Err(AccountsError::Changed) => {}
                result => return Ok(result?),
            }
        }
        Err(LoginError::Accounts(AccountsError::Contended))
    }

    /// The use of the token and the session that it opens are one commit, so that it lets in once, whichever nodes are asked.
    async fn log_in_by_token(&self, token: &str, device: &NewDevice, from: &Client) -> Result<Login, LoginError> {
        for _ in 0..limits::REBUILDS {
            let token = self.find_login_token(token).await?;
            match self.accounts.log_in(&token.account, device.clone(), &token.batch()).await {
                Err(AccountsError::Changed) => {}
                Err(AccountsError::Lost(Losing::Fail(LOGIN_TOKEN_USED))) => return Err(LoginError::Forbidden),
                result => {
                    let login = result?;
                    self.know(&login.session.user_id, from);
                    return Ok(login);
                }
            }
        }
        Err(LoginError::Accounts(AccountsError::Contended))
    }
}

/// The user name or user id in the request; `None` where it names somebody by e-mail address or telephone number, by which
/// nobody is known here.
fn login_name(password: &Password) -> Result<Option<&str>, LoginError> {
    match &password.identifier {
        Some(UserIdentifier::Matrix(identifier)) => Ok(Some(&identifier.user)),
        Some(_) => Ok(None),
        None => deprecated_user(password),
    }
}

#[expect(deprecated, reason = "clients still send it, and the specification still names it")]
fn deprecated_user(password: &Password) -> Result<Option<&str>, LoginError> {
    match (&password.user, &password.medium, &password.address) {
        (Some(user), _, _) => Ok(Some(user)),
        (None, Some(_), Some(_)) => Ok(None),
        (None, _, _) => Err(LoginError::MissingUser),
    }
}
