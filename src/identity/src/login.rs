//! `POST /login` and `GET /login` (Matrix specification, Client-Server API, Login).

use ruma::api::client::{
    session::login::v3::{LoginInfo, Password, Request},
    uiaa::UserIdentifier,
};
use wardstead_accounts::{AccountsError, Client, Login};
use wardstead_limits::store as limits;

use crate::{Identity, LoginError, Source};

impl Identity {
    /// The login types on offer (`GET /login`).
    #[must_use]
    pub fn login_types(&self) -> &'static [&'static str] {
        &["m.login.password"]
    }

    /// Signs in `from` somewhere with a password. Wrong password, unknown user and a user of another server are answered alike and at the
    /// same cost.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(&self, request: Request, from: &Client) -> Result<Login, LoginError> {
        let LoginInfo::Password(password) = &request.login_info else { return Err(LoginError::UnknownType) };
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
            let (device_id, display_name) = (request.device_id.clone(), request.initial_device_display_name.clone());
            match self.accounts.login(&account, device_id, display_name).await {
                Err(AccountsError::Changed) => {}
                result => return Ok(result?),
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
        None => deprecated_user(password).map(Some).ok_or(LoginError::MissingUser),
    }
}

#[expect(deprecated, reason = "clients still send it, and the specification still names it")]
fn deprecated_user(password: &Password) -> Option<&str> {
    password.user.as_deref()
}
