//! A new session of an account.

use ruma::OwnedDeviceId;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::{accounts as limits, store as store_limits};
use wardstead_store::{Found, StoreError};

use crate::{
    Account, Accounts, AccountsError, Login, NewDevice,
    floor::Floor,
    tables::{DEVICES, DeviceRow, device_key, floor_key, user_key},
    tokens::{Opening, remove_tokens},
};

/// What a change of the user's row under a login means.
pub(crate) const CHANGED: &str = "account changed";

impl Accounts {
    /// As [`Self::log_in`], for a client that takes no refresh token.
    ///
    /// # Errors
    /// As [`Self::log_in`].
    pub async fn login(
        &self,
        account: &Account,
        device_id: Option<OwnedDeviceId>,
        display_name: Option<String>,
    ) -> Result<Login, AccountsError> {
        let device = NewDevice { device_id, display_name, ..NewDevice::default() };
        self.log_in(account, device, &Batch::new()).await
    }

    /// Opens a session of `account`, in one batch that `extra` joins. A device that exists is taken over: its older tokens end in the
    /// same batch.
    ///
    /// # Errors
    /// `Deactivated`; `Changed` when the account is no longer as it was when the caller read it: find it again, check the
    /// credentials again; `InvalidDeviceId`, `InvalidDisplayName`, `Contended`; `Lost` with what losing an assertion of `extra`
    /// means; the store's.
    pub async fn log_in(&self, account: &Account, device: NewDevice, extra: &Batch) -> Result<Login, AccountsError> {
        device.check()?;
        if account.deactivated {
            return Err(AccountsError::Deactivated);
        }
        for _ in 0..store_limits::REBUILDS {
            let (batch, login) = self.build_login(account, &device, extra.clone()).await?;
            match self.store.commit(batch).await.map_err(AccountsError::from) {
                Ok(_) => return Ok(login),
                Err(AccountsError::Lost(Losing::Rebuild)) => {}
                Err(AccountsError::Lost(Losing::Fail(CHANGED))) => return Err(AccountsError::Changed),
                Err(error) => return Err(error),
            }
        }
        Err(AccountsError::Contended)
    }

    async fn build_login(
        &self,
        account: &Account,
        device: &NewDevice,
        mut batch: Batch,
    ) -> Result<(Batch, Login), AccountsError> {
        let device_id = device.device_id.clone().unwrap_or_else(|| self.generate_device_id());
        let key = device_key(account.user, device_id.as_str());
        let cells = self.store.cells(&[key.clone(), floor_key()]).await?;
        let Floor { generation, .. } = Floor::read(cells.get(1).and_then(Option::as_ref)).map_err(StoreError::from)?;
        let still = Expect::Version(account.version);
        batch.expect(user_key(account.user), still, Losing::Fail(CHANGED));
        let entry = Self::tell(&mut batch, account.user);
        let found = cells.into_iter().next().flatten().map(|cell| DEVICES.found(key.clone(), cell));
        let found = found.transpose().map_err(StoreError::from)?;
        // What the end of all sessions left of an older device goes, and this is another one.
        if let Some(void) = found.as_ref().filter(|found| found.row.session < account.session) {
            self.remove(&mut batch, account.user, &account.user_id, std::slice::from_ref(void), entry).await?;
        }
        let found = found.filter(|found| found.row.session >= account.session);

        let mut opening = Opening { account, device: 0, device_id, generation, rank: 0, refresh: device.refresh };
        let Some(Found { row, version, .. }) = found else {
            if batch.assertions.iter().all(|assertion| assertion.key != key) {
                batch.expect(key, Expect::Absent, Losing::Rebuild);
            }
            opening.device = self.store.next_id().await?;
            let login = self.add_device(&mut batch, &opening, device);
            return Ok((batch, login));
        };
        // The version orders two logins on one device: the second sees the token of the first, and ends it.
        batch.expect(key.clone(), Expect::Version(version), Losing::Rebuild);
        let tokens = self.tokens_of(account.user, row.device).await?;
        remove_tokens(&mut batch, &tokens)?;
        (opening.device, opening.rank) = (row.device, row.least_rank.saturating_add(1));
        let row = DeviceRow { least_rank: opening.rank, ..row };
        DEVICES.put_with(&mut batch, key, version + 1, &[], &row);
        self.seen_first(&mut batch, account.user, opening.device, device.client.as_ref());
        let login = self.add_tokens(&mut batch, &opening);
        Ok((batch, login))
    }

    /// Adds a device that does not exist, and its first tokens. Its row's versions are its own: an act on a device that had its name
    /// before loses.
    pub(crate) fn add_device(&self, batch: &mut Batch, opening: &Opening<'_>, new: &NewDevice) -> Login {
        let row = DeviceRow {
            device: opening.device,
            display_name: new.display_name.clone(),
            created_ms: self.store.clock().now_ms(),
            session: opening.account.session,
            least_rank: opening.rank,
        };
        let key = device_key(opening.account.user, opening.device_id.as_str());
        DEVICES.put_with(batch, key, opening.device << limits::DEVICE_VERSION_BITS, &[], &row);
        self.seen_first(batch, opening.account.user, opening.device, new.client.as_ref());
        self.add_tokens(batch, opening)
    }

    pub(crate) fn generate_device_id(&self) -> OwnedDeviceId {
        self.store.rng().alphanumeric(limits::GENERATED_DEVICE_ID_CHARS).to_ascii_uppercase().into()
    }
}
