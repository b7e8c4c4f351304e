//! What becomes of backups when an account ends.

use async_trait::async_trait;
use wardstead_accounts::AccountChange;
use wardstead_engine::{Expect, Key, Losing};
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError};

use super::tables::{BACKUPS, HEADS, LEFT, LeftRow, backup_key, head_key};

/// Takes part in the commits of accounts: a deactivated one has no backups. Wired by the binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for BackupKeeper {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let AccountChange::Deactivated(gone) = change else { return Ok(Contribution::nothing()) };
        let (user, store) = (gone.user, queued.store());
        let head = store.get(&HEADS, &head_key(user)).await?;
        let standing = head.iter().flat_map(|head| &head.row.standing);
        let keys: Vec<Key> = standing.map(|number| backup_key(user, *number)).collect();
        let found = store.get_many(&BACKUPS, &keys).await?;
        Ok(Contribution::new(move |batch, entry| {
            // One that is being made elsewhere wins or loses, and is never left behind.
            let expect = head.as_ref().map_or(Expect::Absent, |head| Expect::Version(head.version));
            batch.expect(head_key(user), expect, Losing::Rebuild);
            batch.delete(head_key(user));
            let scope = BACKUPS.key(user).key();
            batch.delete_range(scope.clone(), scope.after_prefix());
            for backup in found.into_iter().flatten() {
                LEFT.push(batch, backup.row.backup, entry, &LeftRow);
            }
        }))
    }
}
