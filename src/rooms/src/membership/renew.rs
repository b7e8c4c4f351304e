//! A change of somebody's name or picture comes into their rooms (Matrix specification, Client-Server API, Events on Change of Profile
//! Information).

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use ruma::{RoomId, UserId};
use wardstead_accounts::NamesFollower;
use wardstead_engine::{EngineError, PageLimit, ScanRange};
use wardstead_limits::profiles as limits;
use wardstead_store::StoreError;

use crate::{
    Membership, RoomError, Rooms,
    append::{Act, Author, append},
    event::build::Proposal,
    tables::{USER_ROOMS, UserRoomRow},
};

use super::{Guard, MembershipChange};

#[async_trait]
impl NamesFollower for Rooms {
    /// A member event in each room that the user is in and that shows something else. Rooms that the user enters meanwhile have the new
    /// name by their join, which asserts it.
    async fn names_changed(&self, user: u64, user_id: &UserId) -> Result<bool, StoreError> {
        let author = Author { user_id: user_id.to_owned(), user, guest: false, transaction: None };
        let mut done = true;
        let mut rest = Some(ScanRange::scope(USER_ROOMS.id(), user));
        while let Some(range) = rest {
            let page = PageLimit::rows(limits::RENEWED_ROOMS_PAGE);
            let (rows, resume) = self.inner.store.scan(&USER_ROOMS, &range, page).await?;
            let joined = rows.into_iter().map(|found| found.row).filter(|row| row.membership == Membership::Join);
            let renewing = joined.map(|row| self.renew(&author, row));
            let mut renewing = stream::iter(renewing).buffer_unordered(limits::RENEWED_ROOMS_AT_ONCE);
            // One room that cannot be told now does not keep the news from the others.
            while let Some(told) = renewing.next().await {
                done &= told;
            }
            drop(renewing);
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(done)
    }
}

impl Rooms {
    /// Whether the room is told, or never will be.
    async fn renew(&self, author: &Author, row: UserRoomRow) -> bool {
        match self.try_renew(author, &row.room_id).await {
            Ok(()) => true,
            // The user may not: left meanwhile, or the server's policy refuses the name there.
            Err(error) if error.is_verdict() => {
                tracing::debug!(%error, room = row.room_id, "a room is not told of a new name");
                true
            }
            Err(RoomError::Store(StoreError::Engine(error @ EngineError::Corrupt { .. }))) => {
                tracing::error!(%error, room = row.room_id, "a room cannot be told of a new name");
                true
            }
            Err(error) => {
                tracing::warn!(%error, room = row.room_id, "a room is told of a new name later");
                false
            }
        }
    }

    async fn try_renew(&self, author: &Author, room_id: &str) -> Result<(), RoomError> {
        let unknown =
            || RoomError::corrupt(&USER_ROOMS.key(author.user).key(), "a room that the user is in is missing");
        let room_id = RoomId::parse(room_id).map_err(|_| unknown())?;
        let room = self.inner.names.by_id(&room_id).await?.ok_or_else(unknown)?;
        let content = MembershipChange::to(Membership::Join).content();
        let mut proposal = Proposal::state("m.room.member", author.user_id.as_str(), content);
        proposal.guard = Some(Guard::Renew);
        append(&self.inner, &room, &Act { author: author.clone(), proposal, transaction: None }).await.map(drop)
    }
}
