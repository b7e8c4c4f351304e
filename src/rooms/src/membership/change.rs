//! Coming in, going out, being let in and kept out (Matrix specification, Client-Server API, Room membership).

use ruma::{CanonicalJsonObject, OwnedEventId, RoomId, UserId};
use serde_json::value::RawValue;
use wardstead_accounts::Session;

use crate::{
    Membership, RoomError, Rooms,
    append::{Act, Author, append},
    event::{build::Proposal, content::canonical},
};

use super::Guard;

/// What a member event states.
#[derive(Clone, Debug)]
pub(crate) struct MembershipChange {
    pub(crate) membership: Membership,
    /// Why, for people to read.
    pub(crate) reason: Option<String>,
    /// With an invitation: it is to a direct conversation.
    pub(crate) is_direct: bool,
    /// What else the user says of themselves.
    pub(crate) more: CanonicalJsonObject,
}

impl MembershipChange {
    /// To `membership`, without more.
    pub(crate) fn to(membership: Membership) -> Self {
        Self { membership, reason: None, is_direct: false, more: CanonicalJsonObject::new() }
    }

    pub(crate) fn content(&self) -> CanonicalJsonObject {
        let mut content = self.more.clone();
        content.insert("membership".to_owned(), self.membership.name().into());
        if let Some(reason) = &self.reason {
            content.insert("reason".to_owned(), reason.as_str().into());
        }
        if self.is_direct && self.membership == Membership::Invite {
            content.insert("is_direct".to_owned(), true.into());
        }
        content
    }
}

impl Rooms {
    /// Changes `target`'s membership as one batch; `Leave` of somebody else removes or unbans. Joining a room that the user is
    /// in changes nothing.
    ///
    /// # Errors
    /// [`RoomError`]; `NotFound` when the room to join or to knock on, or the user to invite, does not exist.
    pub async fn set_membership(
        &self,
        by: &Session,
        room_id: &RoomId,
        target: &UserId,
        membership: Membership,
        reason: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let guard = (membership == Membership::Join).then_some(Guard::Join);
        self.change_membership(
            by,
            room_id,
            target,
            MembershipChange { reason, ..MembershipChange::to(membership) },
            guard,
        )
        .await
    }

    /// Joins a room; `given`, the body of the request, goes into the member event but for what only the server says.
    ///
    /// # Errors
    /// As [`Self::set_membership`]; `BadJson` for what cannot stand in an event.
    pub async fn join(&self, by: &Session, room_id: &RoomId, given: &RawValue) -> Result<OwnedEventId, RoomError> {
        let mut more = canonical(given)?;
        more.remove("third_party_signed");
        let change = MembershipChange { more, ..MembershipChange::to(Membership::Join) };
        self.change_membership(by, room_id, &by.user_id, change, Some(Guard::Join)).await
    }

    /// Removes somebody who is in the room, refuses their knock, or takes their invitation back.
    ///
    /// # Errors
    /// As [`Self::set_membership`]; `Forbidden` for those who are none of these.
    pub async fn kick(
        &self,
        by: &Session,
        room_id: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let change = MembershipChange { reason, ..MembershipChange::to(Membership::Leave) };
        self.change_membership(by, room_id, target, change, Some(Guard::Kick)).await
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// As [`Self::set_membership`]; `Forbidden` for those who are not banned.
    pub async fn unban(
        &self,
        by: &Session,
        room_id: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let change = MembershipChange { reason, ..MembershipChange::to(Membership::Leave) };
        self.change_membership(by, room_id, target, change, Some(Guard::Unban)).await
    }

    async fn change_membership(
        &self,
        by: &Session,
        room_id: &RoomId,
        target: &UserId,
        change: MembershipChange,
        guard: Option<Guard>,
    ) -> Result<OwnedEventId, RoomError> {
        let mut proposal = Proposal::state("m.room.member", target.as_str(), change.content());
        proposal.guard = guard;
        self.inner.check(&proposal)?;
        let room = self.inner.names.by_id(room_id).await?;
        let room = room.ok_or_else(|| match change.membership {
            Membership::Join | Membership::Knock => RoomError::NotFound("There is no such room on this server.".into()),
            _ => RoomError::not_in_room(),
        })?;
        let author = Author { user_id: by.user_id.clone(), user: by.user, guest: by.guest, transaction: None };
        append(&self.inner, &room, &Act { author, proposal, transaction: None }).await
    }
}
