//! Who is to leave rooms: people whose account ended, and guests where none are let in any more. What is to be done stands in a row
//! of the commit that it follows from, so that whatever is killed meanwhile, some node does it.
//!
//! No event of this server's brings in whose account has ended: its commit asserts the account. Merges and other servers can, and so
//! their commits have a row by which the room is looked through afterwards.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::RoomId;
use serde::{Deserialize, Serialize};
use wardstead_accounts::{Accounts, AccountsError, Session, Special};
use wardstead_engine::{AccessPattern, Batch};
use wardstead_rooms::{EventAppended, Membership, RoomChange, RoomError, Rooms, StateResolved, lets_guests_in};
use wardstead_store::{
    Claim, CommitContributor, Contribution, Found, Handled, Overlay, Queue, QueueHandler, Store, StoreError, Table,
};

/// Users whose account ended: the lane is the user.
pub(crate) static DEPARTURES: Queue<DepartureRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x084, "departures", "identity"));
/// Rooms in which somebody may be who is to leave: the lane is the room.
pub(crate) static ROOM_CHECKS: Queue<RoomCheckRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x085, "room_checks", "identity"));

/// That the user leaves all rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DepartureRow;

/// That whoever may not be in the room leaves it: whose account has ended, and guests where the room lets none in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomCheckRow;

wardstead_store::row!(DepartureRow, 1);
wardstead_store::row!(RoomCheckRow, 1);

/// Has users whose account ended, and guests who are let in no more, leave rooms from now on, wherever this node gets the leases.
pub fn run_departures(store: &Store, accounts: &Accounts, rooms: &Rooms) {
    let leaver = Arc::new(Leaver { accounts: accounts.clone(), rooms: rooms.clone() });
    store.run_queue(&DEPARTURES, Arc::clone(&leaver) as Arc<dyn QueueHandler<DepartureRow>>);
    store.run_queue(&ROOM_CHECKS, leaver as Arc<dyn QueueHandler<RoomCheckRow>>);
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
            if is_present(room.membership) {
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
impl QueueHandler<RoomCheckRow> for Leaver {
    /// Looks at what is so now: a closing that lost against another event closes nothing.
    async fn handle(&self, lane: u64, rows: &[Found<RoomCheckRow>], _: &Claim) -> Result<Handled, StoreError> {
        let present = self.rooms.present_users(lane).await.map_err(of_rooms)?;
        let users: Vec<u64> = present.iter().map(|(user, _)| *user).collect();
        let Special { guests, deactivated } = self.accounts.special_among(&users).await.map_err(of_accounts)?;
        let mut going = deactivated;
        if !guests.is_empty() && !self.rooms.admits_guests(lane).await.map_err(of_rooms)? {
            let joined = |guest: &u64| present.contains(&(*guest, Membership::Join));
            going.extend(guests.into_iter().filter(joined));
        }
        let mut left = true;
        for user in going {
            left &= self.leave_rooms(&self.somebody(user).await?, Some(lane)).await?;
        }
        Ok(handled(left, rows.len()))
    }
}

/// Has those leave rooms who may not be there any more, or whom a merge or another server brings in although they may not. Wired by the
/// binary into the rooms' commits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doorkeeper;

#[async_trait]
impl CommitContributor<RoomChange> for Doorkeeper {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let (room, is_to_check) = match change {
            RoomChange::Event(appended) => (appended.room, closes(appended) || comes_from_elsewhere(appended)),
            RoomChange::Resolved(resolved) => (resolved.room, resolved.closed_to_guests || brings_in(resolved)),
            _ => return Ok(Contribution::nothing()),
        };
        if !is_to_check {
            return Ok(Contribution::nothing());
        }
        Ok(Contribution::new(move |batch, entry| ROOM_CHECKS.push(batch, room, entry, &RoomCheckRow)))
    }
}

/// Whether the event closes a room to guests: it says so, or it redacts what let them in, or came redacted itself.
fn closes(appended: &EventAppended) -> bool {
    let mut before = [&appended.replaced, &appended.taken_back].into_iter().flatten();
    before.any(|before| lets_guests_in(before)) && (appended.redacted || !lets_guests_in(&appended.event))
}

/// Whether another server's user invites one of this server's. What is said here asserts the account of whom it is about.
fn comes_from_elsewhere(appended: &EventAppended) -> bool {
    appended.sender.is_none() && appended.membership.is_some_and(|member| is_present(member.now))
}

fn brings_in(resolved: &StateResolved) -> bool {
    resolved.members.iter().any(|member| is_present(member.now))
}

fn is_present(membership: Membership) -> bool {
    matches!(membership, Membership::Join | Membership::Invite | Membership::Knock)
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
