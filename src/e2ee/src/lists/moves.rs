//! Who came into which room, and who went.

use async_trait::async_trait;
use wardstead_engine::{Batch, EngineError, Key, KeyReader, Position, ScanRange};
use wardstead_rooms::{Membership, MembershipChanged, RoomChange};
use wardstead_store::{CommitContributor, Contribution, Found, Overlay, Row, StoreError, Table, kind};

use super::{
    DeviceListLog,
    tables::{ROOM_MOVES, RoomMoveRow, USER_MOVES, UserMoveRow},
};

/// A move: somebody came into a room, or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// When: the position of the journal's entry for the user.
    pub position: Position,
    /// Short id of the user.
    pub user: u64,
    /// Short id of the room.
    pub room: u64,
    /// Whether they are in the room from there on.
    pub here: bool,
}

/// What a user did that changes whose keys they see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnMoves {
    /// Into rooms, and out of them, in their order.
    pub moves: Vec<Moved>,
    /// Short ids of those whose keys they signed.
    pub signed: Vec<u64>,
}

/// Notes, in the commit of each change of a membership, who comes to share a room with others and who ceases to: two rows a move,
/// however many are in the room.
#[derive(Clone, Copy, Debug, Default)]
pub struct Company;

#[async_trait]
impl CommitContributor<RoomChange> for Company {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let (room, members) = match change {
            RoomChange::Event(appended) => (appended.room, appended.membership.as_slice()),
            RoomChange::Resolved(resolved) => (resolved.room, &resolved.members[..]),
            _ => return Ok(Contribution::nothing()),
        };
        let moves: Vec<(u64, bool)> = members.iter().filter_map(moved).collect();
        if moves.is_empty() {
            return Ok(Contribution::nothing());
        }
        Ok(Contribution::new(move |batch, entry| {
            for (user, here) in moves {
                note(batch, room, user, here, entry);
            }
        }))
    }
}

/// Who came or went, if somebody did.
fn moved(change: &MembershipChanged) -> Option<(u64, bool)> {
    let (before, now) = (change.previous == Some(Membership::Join), change.now == Membership::Join);
    (before != now).then_some((change.user, now))
}

/// The position is that of the journal's entry for the user, which is what memory knows of: the tail may stand between it and the
/// event's, and an answer up to there must not pass over the row.
fn note(batch: &mut Batch, room: u64, user: u64, here: bool, entry: usize) {
    let of_user = batch.journal.iter().rposition(|entry| {
        entry.kind == kind::MEMBERSHIP && entry.scope == user && entry.key.starts_with(&room.to_be_bytes())
    });
    let entry = of_user.unwrap_or(entry);
    ROOM_MOVES.put(batch, ROOM_MOVES.key(room).slot(entry).template(), &RoomMoveRow { user, here });
    USER_MOVES.put(batch, USER_MOVES.key(user).slot(entry).template(), &UserMoveRow::Room { room, here });
}

impl DeviceListLog {
    /// Who came into `room` or went after `since`, and not after `upto` where that is given, in their order.
    ///
    /// # Errors
    /// The store's.
    pub async fn moves_in(&self, room: u64, since: Position, upto: Option<Position>) -> Result<Vec<Moved>, StoreError> {
        let rows = self.after(&ROOM_MOVES, room, since, upto).await?.into_iter();
        let moved = |(position, RoomMoveRow { user, here })| Moved { position, user, room, here };
        Ok(rows.map(moved).collect())
    }

    /// What `user` did after `since` and not after `upto`.
    ///
    /// # Errors
    /// The store's.
    pub async fn moves_of(&self, user: u64, since: Position, upto: Position) -> Result<OwnMoves, StoreError> {
        let mut own = OwnMoves::default();
        for (position, row) in self.after(&USER_MOVES, user, since, Some(upto)).await? {
            match row {
                UserMoveRow::Room { room, here } => own.moves.push(Moved { position, user, room, here }),
                UserMoveRow::Signed { user } => own.signed.push(user),
            }
        }
        Ok(own)
    }

    async fn after<R: Row>(
        &self,
        table: &Table<R>,
        scope: u64,
        since: Position,
        upto: Option<Position>,
    ) -> Result<Vec<(Position, R)>, StoreError> {
        let after = |position: Position| -> Key { table.key(scope).position(position.next()).key() };
        let mut range = ScanRange { from: after(since), ..ScanRange::scope(table.id(), scope) };
        if let Some(upto) = upto {
            range.to = after(upto);
        }
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let at = |found: &Found<R>| KeyReader::new(&found.key).position();
        let rows = self.store.scan_all(table, range).await?.into_iter().map(|found| match at(&found) {
            Some(position) => Ok((position, found.row)),
            None => Err(EngineError::corrupt(&found.key, "no position in the key").into()),
        });
        rows.collect()
    }
}
