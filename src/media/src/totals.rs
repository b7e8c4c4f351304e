//! How much there is: stored totals, which each commit that changes them asserts. So no two nodes give the last room away twice.

use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::media as limits;

use crate::{
    Media, MediaError,
    tables::{TOTALS, TotalRow, total_key},
};

/// A total that was read.
pub(crate) struct Total {
    user: u64,
    pub(crate) row: TotalRow,
    version: u64,
}

/// Whose total is the server's.
pub(crate) const SERVER: u64 = 0;

impl Total {
    /// Has `batch` write what the total is now, and win only where nobody else has changed it.
    pub(crate) fn put(&self, batch: &mut Batch) {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        batch.expect(total_key(self.user), expect, Losing::Rebuild);
        TOTALS.put_with(batch, total_key(self.user), self.version + 1, &[], &self.row);
    }
}

impl Media {
    /// What the user has, and what there is on the server. One read.
    pub(crate) async fn totals(&self, user: u64) -> Result<[Total; 2], MediaError> {
        let keys = [total_key(user), total_key(SERVER)];
        let found = self.store().get_many(&TOTALS, &keys).await?;
        let mut found = found.into_iter();
        let mut next = |user| {
            let (row, version) =
                found.next().flatten().map_or_else(Default::default, |found| (found.row, found.version));
            Total { user, row, version }
        };
        Ok([next(user), next(SERVER)])
    }

    /// Adds a file of `bytes` bytes to what the user has, and to what there is where its content is `new`.
    pub(crate) fn charge(
        &self,
        [of_user, of_server]: &mut [Total; 2],
        bytes: u64,
        new: bool,
    ) -> Result<(), MediaError> {
        let config = &self.0.config;
        of_user.row.bytes = of_user.row.bytes.saturating_add(bytes);
        of_user.row.files += 1;
        if of_user.row.bytes > config.user_bytes {
            return Err(MediaError::Forbidden("You have as many files on this server as you may have."));
        }
        if new {
            of_server.row.bytes = of_server.row.bytes.saturating_add(bytes);
            of_server.row.files += 1;
            if config.server_bytes.is_some_and(|most| of_server.row.bytes > most) {
                return Err(MediaError::Forbidden("This server has no room for more files."));
            }
        }
        Ok(())
    }

    /// Whether the user may have one more id that waits.
    pub(crate) fn charge_awaited(of_user: &mut Total) -> Result<(), MediaError> {
        if of_user.row.awaited >= limits::AWAITED_FILES_PER_USER {
            return Err(MediaError::TooManyAwaited(limits::UNUSED_MS));
        }
        of_user.row.awaited += 1;
        Ok(())
    }
}
