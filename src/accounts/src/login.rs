//! A new session of an account.

use ruma::OwnedDeviceId;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::StoreError;

use crate::{
    Account, Accounts, AccountsError, Login, NewDevice, Session, account_changed,
    authenticate::token_hash,
    floor::{self, Floor},
    tables::{
        DEVICE_TOKENS, DEVICES, DeviceRow, DeviceTokenRow, TOKENS, TokenRow, device_key, device_token_key, floor_key,
        token_key, user_key,
    },
};

/// What a change of the user's row under a login means.
const CHANGED: &str = "account changed";

/// The session about to be opened.
pub(crate) struct Opening<'a> {
    pub account: &'a Account,
    /// Short id.
    pub device: u64,
    pub device_id: OwnedDeviceId,
    /// The generation of tokens.
    pub generation: u64,
}

impl Accounts {
    /// Opens a session of `account`. A device that exists is taken over: its older tokens end in the same batch. `None` as
    /// `device_id`: a new device.
    ///
    /// # Errors
    /// `Deactivated`; `Changed` when the account is no longer as it was when the caller read it: find it again, check the
    /// credentials again; `InvalidDeviceId`, `InvalidDisplayName`, `Contended`, and the store's.
    pub async fn login(
        &self,
        account: &Account,
        device_id: Option<OwnedDeviceId>,
        display_name: Option<String>,
    ) -> Result<Login, AccountsError> {
        let device = NewDevice { device_id, display_name };
        device.check()?;
        if account.deactivated {
            return Err(AccountsError::Deactivated);
        }
        for _ in 0..store_limits::REBUILDS {
            let (batch, login) = self.build_login(account, &device).await?;
            match self.store.commit(batch).await.map_err(AccountsError::from) {
                Ok(_) => return Ok(login),
                Err(AccountsError::Lost(Losing::Rebuild)) => {}
                Err(AccountsError::Lost(Losing::Fail(CHANGED))) => return Err(AccountsError::Changed),
                Err(error) => return Err(error),
            }
        }
        Err(AccountsError::Contended)
    }

    async fn build_login(&self, account: &Account, device: &NewDevice) -> Result<(Batch, Login), AccountsError> {
        let device_id = device.device_id.clone().unwrap_or_else(|| self.generate_device_id());
        let key = device_key(account.user, device_id.as_str());
        let cells = self.store.cells(&[key.clone(), floor_key()]).await?;
        let Floor { generation, .. } = Floor::read(cells.get(1).and_then(Option::as_ref)).map_err(StoreError::from)?;
        let mut batch = Batch::new();
        let still = Expect::Version(account.version);
        batch.expect(user_key(account.user), still, Losing::Fail(CHANGED));
        batch.journal(account_changed(account.user));

        let Some(cell) = cells.first().and_then(Option::as_ref) else {
            batch.expect(key, Expect::Absent, Losing::Rebuild);
            let opening = Opening { account, device: self.store.next_id().await?, device_id, generation };
            let login = self.add_device(&mut batch, &opening, device.display_name.clone());
            return Ok((batch, login));
        };
        // The version orders two logins on one device: the second sees the token of the first, and ends it.
        let row = DEVICES.decode(&key, cell).map_err(StoreError::from)?;
        batch.expect(key.clone(), Expect::Version(cell.version), Losing::Rebuild);
        self.remove_device_tokens(&mut batch, account.user, row.device).await?;
        DEVICES.put_with(&mut batch, key, cell.version + 1, &[], &row);
        let opening = Opening { account, device: row.device, device_id, generation };
        let login = self.add_session(&mut batch, &opening);
        Ok((batch, login))
    }

    /// Adds a device that does not exist, and its first token.
    pub(crate) fn add_device(&self, batch: &mut Batch, opening: &Opening<'_>, display_name: Option<String>) -> Login {
        let row = DeviceRow { device: opening.device, display_name, created_ms: self.store.clock().now_ms() };
        DEVICES.put_with(batch, device_key(opening.account.user, opening.device_id.as_str()), 1, &[], &row);
        self.add_session(batch, opening)
    }

    fn add_session(&self, batch: &mut Batch, opening: &Opening<'_>) -> Login {
        let account = opening.account;
        let secret = self.store.rng().alphanumeric(limits::ACCESS_TOKEN_CHARS);
        let access_token = floor::token(opening.generation, &secret);
        let hash = token_hash(&access_token);
        let row = TokenRow {
            user: account.user,
            device: opening.device,
            device_id: opening.device_id.to_string(),
            generation: opening.generation,
            session: account.session,
        };
        TOKENS.put(batch, token_key(&hash), &row);
        DEVICE_TOKENS.put(batch, device_token_key(account.user, opening.device, &hash), &DeviceTokenRow);
        Login {
            session: Session {
                user_id: account.user_id.clone(),
                user: account.user,
                device_id: opening.device_id.clone(),
                device: opening.device,
                admin: account.admin,
            },
            access_token,
        }
    }

    pub(crate) fn generate_device_id(&self) -> OwnedDeviceId {
        self.store.rng().alphanumeric(limits::GENERATED_DEVICE_ID_CHARS).to_ascii_uppercase().into()
    }
}
