//! Devices that nobody is signed in on: others send messages to them, which the user's next device picks up
//! ([MSC3814](https://github.com/matrix-org/matrix-spec-proposals/pull/3814)).

use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::accounts as limits;
use wardstead_store::Found;

use crate::{
    Accounts, AccountsError, NewDevice, RemovedDevice, Session,
    tables::{DEVICES, DeviceRow, device_key},
};

impl Accounts {
    /// Adds to `batch` a device of the session's user that has no tokens, and that `replaced`, if it is still there, is removed with all
    /// that is kept for it. Gives who acts as that device. A batch that loses with [`Losing::Rebuild`] is built again.
    ///
    /// # Errors
    /// `InvalidDeviceId`, `InvalidDisplayName`, `Deactivated`; `DeviceInUse` where the user has a device of that name; the store's.
    pub async fn add_unattended(
        &self,
        batch: &mut Batch,
        of: &Session,
        new: &NewDevice,
        replaced: Option<&RemovedDevice>,
    ) -> Result<Session, AccountsError> {
        new.check()?;
        let device_id = new.device_id.clone().ok_or(AccountsError::InvalidDeviceId)?;
        let account = self.read_user(of.user).await?;
        if account.deactivated {
            return Err(AccountsError::Deactivated);
        }
        account.still(batch, Losing::Rebuild);
        let entry = Self::tell(batch, of.user);
        let key = device_key(of.user, device_id.as_str());
        let mut going: Vec<Found<DeviceRow>> = Vec::new();
        if let Some(replaced) = replaced {
            let found = self.store.get(&DEVICES, &device_key(of.user, replaced.device_id.as_str())).await?;
            going.extend(found.filter(|found| found.row.device == replaced.device));
        }
        match self.store.get(&DEVICES, &key).await? {
            Some(found) if found.row.session >= account.session => return Err(AccountsError::DeviceInUse),
            // What the end of all sessions left of an older device goes, and this is another one.
            Some(void) => going.push(void),
            None => {
                batch.expect(key.clone(), Expect::Absent, Losing::Rebuild);
            }
        }
        self.remove(batch, of.user, &of.user_id, &going, entry).await?;
        let device = self.store.next_id().await?;
        let row = DeviceRow {
            device,
            display_name: new.display_name.clone(),
            created_ms: self.store.clock().now_ms(),
            session: account.session,
            least_rank: 0,
        };
        DEVICES.put_with(batch, key, device << limits::DEVICE_VERSION_BITS, &[], &row);
        Ok(Session { device_id, device, ..Session::without_device(of.user, of.user_id.clone()) })
    }
}
