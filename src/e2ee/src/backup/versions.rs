//! Backups are made, described, changed and removed.

use serde_json::value::RawValue;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::e2ee as limits;

use super::{
    BackupInfo, Backups, UNKNOWN_BACKUP, change, number, raw, stored,
    tables::{BACKUPS, BackupRow, HeadRow, LEFT, LeftRow, backup_key},
};
use crate::E2eeError;

impl Backups {
    /// Makes a backup of `user`, to which keys are added from now on, and gives its number. One batch (`POST /room_keys/version`).
    ///
    /// # Errors
    /// `InvalidParam`, `TooLarge` beyond [`limits::BACKUP_ROWS_PER_USER`] and its neighbours, `Contended`, the accounts' and the store's.
    pub async fn create(&self, user: u64, algorithm: &str, auth_data: &RawValue) -> Result<u64, E2eeError> {
        check_bounds(algorithm, auth_data)?;
        let backup = self.store.next_id().await?;
        let row = BackupRow {
            backup,
            algorithm: algorithm.to_owned(),
            auth_data: auth_data.get().to_owned(),
            count: 0,
            etag: 0,
        };
        let _turn = self.turn(user).await;
        for _ in 0..limits::BACKUP_TRIES {
            let (head, _) = self.backup(user, "").await?;
            if head.row.standing.len() >= limits::BACKUP_ROWS_PER_USER {
                return Err(E2eeError::TooLarge("There are too many key backups: remove one first."));
            }
            let number = head.row.newest + 1;
            let mut standing = head.row.standing.clone();
            standing.push(number);
            let mut batch = Batch::new();
            // Whoever leaves takes what there is; nothing comes after.
            if !self.accounts.expect_active(&mut batch, user).await? {
                return Err(wardstead_accounts::AccountsError::Deactivated.into());
            }
            head.put(&mut batch, user, &HeadRow { newest: number, standing });
            BACKUPS.put_with(&mut batch, backup_key(user, number), 1, &[], &row);
            if self.won(batch).await? {
                return Ok(number);
            }
        }
        Err(E2eeError::Contended)
    }

    /// The newest backup of `user` that there is (`GET /room_keys/version`). At most two reads.
    ///
    /// # Errors
    /// `NotFound`, and the store's.
    pub async fn newest(&self, user: u64) -> Result<BackupInfo, E2eeError> {
        let (head, _) = self.backup(user, "").await?;
        let newest = head.row.standing.last().ok_or(E2eeError::NotFound("There is no key backup."))?;
        self.info(user, &newest.to_string()).await
    }

    /// The backup that clients call `version` (`GET /room_keys/version/{version}`). One read.
    ///
    /// # Errors
    /// `NotFound`, and the store's.
    pub async fn info(&self, user: u64, version: &str) -> Result<BackupInfo, E2eeError> {
        let (number, found) = self.existing(user, version).await?;
        let stored = stored(&found.row);
        let auth_data = raw(&found.key, found.row.auth_data)?;
        Ok(BackupInfo { version: number, algorithm: found.row.algorithm, auth_data, stored })
    }

    /// Has the backup `version` say `auth_data` of itself; `algorithm` has to be what it is. Its etag is that of its keys and stays
    /// (`PUT /room_keys/version/{version}`). One batch.
    ///
    /// # Errors
    /// `NotFound`, `InvalidParam`, `TooLarge`, `Contended`, and the store's.
    pub async fn update(
        &self,
        user: u64,
        version: &str,
        algorithm: &str,
        auth_data: &RawValue,
    ) -> Result<(), E2eeError> {
        check_bounds(algorithm, auth_data)?;
        let _turn = self.turn(user).await;
        for _ in 0..limits::BACKUP_TRIES {
            let (_, found) = self.existing(user, version).await?;
            if found.row.algorithm != algorithm {
                return Err(E2eeError::InvalidParam("The algorithm of a key backup does not change."));
            }
            let row = BackupRow { auth_data: auth_data.get().to_owned(), ..found.row.clone() };
            let mut batch = Batch::new();
            change(&mut batch, &found, &row);
            if self.won(batch).await? {
                return Ok(());
            }
        }
        Err(E2eeError::Contended)
    }

    /// Removes the backup `version`; does nothing where that was done before (`DELETE /room_keys/version/{version}`). One batch of a few
    /// rows, whatever the backup holds: its keys can be reached by nobody from then on, and the work behind removes them.
    ///
    /// # Errors
    /// `NotFound` where there never was such a backup, `Contended`, and the store's.
    pub async fn remove(&self, user: u64, version: &str) -> Result<(), E2eeError> {
        let _turn = self.turn(user).await;
        for _ in 0..limits::BACKUP_TRIES {
            let (head, found) = self.backup(user, version).await?;
            let Some((number, found)) = found else {
                let was = number(version).is_some_and(|number| number <= head.row.newest);
                return if was { Ok(()) } else { Err(UNKNOWN_BACKUP) };
            };
            let mut standing = head.row.standing.clone();
            standing.retain(|other| *other != number);
            let mut batch = Batch::new();
            head.put(&mut batch, user, &HeadRow { standing, ..head.row });
            batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
            batch.delete(found.key);
            let after = self.store.position();
            LEFT.push_after(&mut batch, found.row.backup, after, self.store.next_id().await?, &LeftRow);
            if self.won(batch).await? {
                return Ok(());
            }
        }
        Err(E2eeError::Contended)
    }
}

fn check_bounds(algorithm: &str, auth_data: &RawValue) -> Result<(), E2eeError> {
    if !(1..=limits::BACKUP_ALGORITHM_BYTES).contains(&algorithm.len()) {
        return Err(E2eeError::InvalidParam("The name of the algorithm is empty or too long."));
    }
    if auth_data.get().len() > limits::BACKUP_AUTH_DATA_BYTES {
        return Err(E2eeError::TooLarge("The auth_data of a key backup is too large."));
    }
    Ok(())
}
