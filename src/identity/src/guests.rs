//! Guests (Matrix specification, Client-Server API, Guest Access): an account without name, password and rights, for who may look in
//! and talk where rooms let guests in.

use ruma::api::client::account::register::v3::Request;
use wardstead_accounts::{AccountsError, AuthError, Client, Login, NewAccount, NewDevice, Upgrade};
use wardstead_engine::{Batch, Losing};
use wardstead_limits::store as limits;

use crate::{
    Identity, IdentityError, RegisterError, Registered,
    token::PresentedToken,
    uia::{Auth, SESSION_USED},
};

impl Identity {
    /// Makes a guest. All that is looked at in the request is how the device is called.
    ///
    /// # Errors
    /// `GuestsForbidden`, and those of registration.
    pub(crate) async fn register_guest(&self, request: &Request, client: &Client) -> Result<Registered, RegisterError> {
        if !self.guests {
            return Err(RegisterError::GuestsForbidden);
        }
        let device = NewDevice {
            display_name: request.initial_device_display_name.clone(),
            refresh: request.refresh_token,
            client: Some(client.clone()),
            ..NewDevice::default()
        };
        let new = NewAccount { guest: true, device, ..NewAccount::default() };
        let login = self.accounts.register(new, Batch::new()).await?;
        Ok(Registered { user_id: login.session.user_id.clone(), login: Some(login) })
    }

    /// Makes the guest who has `token` a user like others, who keeps name and session.
    ///
    /// # Errors
    /// `NotAGuest`, and those of registration.
    pub(crate) async fn upgrade_guest(
        &self,
        token: &str,
        request: &Request,
        auth: Option<&Auth>,
        client: &Client,
    ) -> Result<Registered, RegisterError> {
        let session = match self.accounts.authenticate(token).await {
            Ok(session) if session.guest => session,
            Err(AuthError::Store(error)) => return Err(error.into()),
            _ => return Err(RegisterError::NotAGuest),
        };
        let username = request.username.as_deref().ok_or(RegisterError::MissingUsername)?;
        if self.accounts.local_user_id(username)? != session.user_id {
            return Err(AccountsError::InvalidUsername.into());
        }
        let flows = self.register_flows().await?;
        if let Some(password) = &request.password {
            self.check_password(password)?;
        }
        let mut done = self.interact(&flows, auth).await?;
        let password = request.password.as_deref().ok_or(RegisterError::MissingPassword)?;
        let password_hash = self.hasher.hash(password).await?;
        let mut to = Upgrade { password_hash, admin: false, agreed: Vec::new() };
        for _ in 0..limits::REBUILDS {
            let mut extra = Batch::new();
            done.use_up(&mut extra, self.store.clock().now_ms());
            to.admin = done.token.as_ref().is_some_and(PresentedToken::admin);
            to.agreed = self.agreed(&done);
            match self.accounts.upgrade_guest(&session, &to, &extra).await {
                Err(AccountsError::Lost(Losing::Rebuild | Losing::Fail(SESSION_USED)) | AccountsError::Contended) => {
                    done = self.interact(&flows, auth).await?;
                }
                upgraded => {
                    upgraded?;
                    self.know(&session.user_id, client);
                    let user_id = session.user_id.clone();
                    let access_token = token.to_owned();
                    let login = Login { session, access_token, refresh_token: None, expires_in_ms: None };
                    return Ok(Registered { user_id, login: (!request.inhibit_login).then_some(login) });
                }
            }
        }
        Err(IdentityError::Contended.into())
    }
}
