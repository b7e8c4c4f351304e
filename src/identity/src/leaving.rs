//! Who is to leave rooms: people whose account ended, and guests where none are let in any more. What is to be done stands in a row
//! of the commit that it follows from, so that whatever is killed meanwhile, some node does it.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::RoomId;
use serde::{Deserialize, Serialize};
use wardstead_accounts::{Accounts, AccountsError, Session};
use wardstead_engine::{AccessPattern, Batch};
use wardstead_rooms::{Membership, RoomChange, RoomError, Rooms, lets_guests_in};
use wardstead_store::{
    Claim, CommitContributor, Contribution, Found, Handled, Overlay, Queue, QueueHandler, Store, StoreError, Table,
};

/// Users whose account ended: the lane is the user.
pub(crate) static DEPARTURES: Queue<DepartureRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x084, "departures", "identity"));
/// Rooms that let no guests in any more: the lane is the room.
pub(crate) static CLOSED_TO_GUESTS: Queue<ClosedRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x085, "closed_to_guests", "identity"));

/// That the user leaves all rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DepartureRow;

/// That guests leave the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedRow;

wardstead_store::row!(DepartureRow, 1);
wardstead_store::row!(ClosedRow, 1);

/// Has users whose account ended, and guests who are let in no more, leave rooms from now on, wherever this node gets the leases.
pub fn run_departures(store: &Store, accounts: &Accounts, rooms: &Rooms) {
    let leaver = Arc::new(Leaver { accounts: accounts.clone(), rooms: rooms.clone() });
    store.run_queue(&DEPARTURES, Arc::clone(&leaver) as Arc<dyn QueueHandler<DepartureRow>>);
    store.run_queue(&CLOSED_TO_GUESTS, leaver as Arc<dyn QueueHandler<ClosedRow>>);
}

struct Leaver {
    accounts: Accounts,
    rooms: Rooms,
}

impl Leaver {
    /// `user` in whose name the server leaves.
    async fn somebody(&self, user: u64) -> Result<Session, StoreError> {
        let user_id = self.accounts.user_id(user).await.map_err(of_accounts)?;
        Ok(Session::without_device(user, user_id))
    }

    /// Whether `by` is outside now, or nothing can be done about it.
    async fn leave(&self, by: &Session, room_id: &RoomId) -> Result<bool, StoreError> {
        match self.rooms.set_membership(by, room_id, &by.user_id, Membership::Leave, None).await {
            Ok(_) => Ok(true),
            Err(RoomError::Store(error)) => Err(error),
            Err(error) if error.retryable() => Ok(false),
            Err(error) => {
                tracing::warn!(%error, "somebody cannot leave a room");
                Ok(true)
            }
        }
    }

    /// Leaves those of the user's rooms, or all, in which there is something to leave: membership, an invitation, a knock.
    async fn leave_rooms(&self, by: &Session, only: Option<u64>) -> Result<bool, StoreError> {
        let rooms = match only {
            Some(room) => self.rooms.user_rooms_among(by.user, &[room]).await,
            None => self.rooms.user_rooms(by.user).await,
        };
        let mut left = true;
        for room in rooms.map_err(of_rooms)? {
            if matches!(room.membership, Membership::Join | Membership::Invite | Membership::Knock) {
                left &= self.leave(by, &room.room_id).await?;
            }
        }
        Ok(left)
    }
}

/// What the rows of a lane came to.
fn handled(left: bool, rows: usize) -> Handled {
    if left { Handled::Done { rows, batch: Batch::new() } } else { Handled::Later }
}

#[async_trait]
impl QueueHandler<DepartureRow> for Leaver {
    async fn handle(&self, lane: u64, rows: &[Found<DepartureRow>], _: &Claim) -> Result<Handled, StoreError> {
        let by = self.somebody(lane).await?;
        Ok(handled(self.leave_rooms(&by, None).await?, rows.len()))
    }
}

#[async_trait]
impl QueueHandler<ClosedRow> for Leaver {
    async fn handle(&self, lane: u64, rows: &[Found<ClosedRow>], _: &Claim) -> Result<Handled, StoreError> {
        let members = self.rooms.joined_users(lane).await.map_err(of_rooms)?;
        let mut left = true;
        for guest in self.accounts.guests_among(&members).await.map_err(of_accounts)? {
            left &= self.leave_rooms(&self.somebody(guest).await?, Some(lane)).await?;
        }
        Ok(handled(left, rows.len()))
    }
}

/// Has guests leave rooms that let none in any more. Wired by the binary into the rooms' commits.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuestKeeper;

#[async_trait]
impl CommitContributor<RoomChange> for GuestKeeper {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let RoomChange::Event(appended) = change else { return Ok(Contribution::nothing()) };
        let was_open = appended.replaced.as_ref().is_some_and(|replaced| lets_guests_in(replaced));
        if !was_open || lets_guests_in(&appended.event) {
            return Ok(Contribution::nothing());
        }
        let room = appended.room;
        Ok(Contribution::new(move |batch, entry| CLOSED_TO_GUESTS.push(batch, room, entry, &ClosedRow)))
    }
}

fn of_accounts(error: AccountsError) -> StoreError {
    match error {
        AccountsError::Store(error) => error,
        error => wardstead_engine::EngineError::Unavailable(error.to_string()).into(),
    }
}

fn of_rooms(error: RoomError) -> StoreError {
    match error {
        RoomError::Store(error) => error,
        error => wardstead_engine::EngineError::Unavailable(error.to_string()).into(),
    }
}
