//! What a restore does to sessions: a generation of tokens that is raised, and the lowest that is still let in.
//!
//! After a restore from a backup the server does not know which of the sessions in it were ended since. It refuses them
//! all, with `soft_logout`, so that clients sign in again and keep their keys. A token that was issued after the backup has
//! no row at all; its generation stands in it, so that its client, too, is told to keep its keys.

use wardstead_engine::{Batch, Cell, EngineError, Expect, Key, Losing};
use wardstead_limits::accounts as limits;
use wardstead_store::Row as _;

use crate::tables::{FLOOR, FloorRow, floor_key};

/// The key of the cell that [`restored`] reads and writes.
#[must_use]
pub fn session_floor_key() -> Key {
    floor_key()
}

/// Adds to the commit that ends a restore: tokens issued so far are refused with `soft_logout`, unless `keep_sessions`; those
/// of which the backup knows nothing are in any case. `stored` is the cell under [`session_floor_key`].
///
/// The new generation is one more than the old, and at least the second since 1970, so that two restores of one backup do
/// not share it.
///
/// # Errors
/// `Corrupt` when the cell is not a session floor.
pub fn restored(batch: &mut Batch, stored: Option<&Cell>, keep_sessions: bool, now_ms: u64) -> Result<(), EngineError> {
    let before = Floor::read(stored)?;
    let generation = (before.generation + 1).max(now_ms / 1_000);
    let lowest = if keep_sessions { before.lowest } else { generation };
    let expect = stored.map_or(Expect::Absent, |cell| Expect::Version(cell.version));
    batch.expect(floor_key(), expect, Losing::Rebuild);
    let row = FloorRow { raised_ms: now_ms, lowest };
    batch.put_with(floor_key(), generation, &[], row.encode());
    Ok(())
}

/// The session floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    /// What tokens get that are issued now.
    pub generation: u64,
    /// What a token must have at least.
    pub lowest: u64,
}

impl Floor {
    /// What stands in its cell; zeros before the first restore.
    pub(crate) fn read(cell: Option<&Cell>) -> Result<Self, EngineError> {
        let Some(cell) = cell else { return Ok(Self::default()) };
        Ok(Self { generation: cell.version, lowest: FLOOR.decode(&floor_key(), cell)?.lowest })
    }
}

/// A token of `generation` with the random part `secret`.
pub(crate) fn token(prefix: &str, generation: u64, secret: &str) -> String {
    match generation {
        0 => format!("{prefix}{secret}"),
        _ => format!("{prefix}{generation}_{secret}"),
    }
}

/// The generation that stands in a token; `None` when it is no token of ours.
pub(crate) fn generation_of(prefix: &str, token: &str) -> Option<u64> {
    let rest = token.strip_prefix(prefix)?;
    let (generation, secret) = match rest.split_once('_') {
        None => (0, rest),
        Some((generation, secret)) => (generation.parse().ok()?, secret),
    };
    let random = secret.len() == limits::ACCESS_TOKEN_CHARS && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    random.then_some(generation)
}
