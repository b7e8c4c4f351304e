//! Saying something in a room: messages, state, memberships.

use ruma::{CanonicalJsonObject, EventId, OwnedEventId, OwnedTransactionId, RoomId, UserId};
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_limits::rooms as limits;

use crate::{
    Inner, Membership, RoomError, Rooms,
    append::{Act, Author, append},
    event::{
        build::Proposal,
        content::{canonical, text},
    },
    tables::TRANSACTIONS,
};

/// An event that a client wants to send (Matrix specification, Client-Server API, PUT send and PUT state).
#[derive(Clone, Debug)]
pub struct Draft {
    /// Type.
    pub event_type: String,
    /// State key; `None` for an event that is not state.
    pub state_key: Option<String>,
    /// Content.
    pub content: Box<RawValue>,
    /// The client's transaction id: the same device, room, type and id is the same event, however often it is sent.
    pub txn_id: Option<OwnedTransactionId>,
}

/// What a member event states.
#[derive(Clone, Debug)]
pub(crate) struct MembershipChange {
    pub(crate) membership: Membership,
    /// Why, for people to read.
    pub(crate) reason: Option<String>,
    /// With an invitation: it is to a direct conversation.
    pub(crate) is_direct: bool,
}

impl MembershipChange {
    /// To `membership`, without more.
    pub(crate) fn to(membership: Membership) -> Self {
        Self { membership, reason: None, is_direct: false }
    }

    pub(crate) fn content(&self) -> CanonicalJsonObject {
        let mut content = CanonicalJsonObject::from([("membership".to_owned(), self.membership.name().into())]);
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
    /// Sends an event as one batch and returns its id once it is durable. State that is set to what it is, by the sender who
    /// set it, stays: the id is that of the event that set it.
    ///
    /// # Errors
    /// [`RoomError`].
    pub async fn send(&self, by: &Session, room_id: &RoomId, draft: Draft) -> Result<OwnedEventId, RoomError> {
        let act = draft.event_type.clone();
        self.say(by, room_id, draft, &act).await
    }

    /// Redacts `event_id` as one batch (Client-Server API, PUT redact) and returns the redaction's id once it is durable.
    ///
    /// # Errors
    /// [`RoomError`]; `NotFound` for an event that is not in the room, `Forbidden` for one that `by` may not redact.
    pub async fn redact(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_id: &EventId,
        reason: Option<String>,
        txn_id: OwnedTransactionId,
    ) -> Result<OwnedEventId, RoomError> {
        let mut content = CanonicalJsonObject::from([("redacts".to_owned(), event_id.as_str().into())]);
        if let Some(reason) = reason {
            content.insert("reason".to_owned(), reason.into());
        }
        let content = serde_json::value::to_raw_value(&content)
            .map_err(|error| RoomError::BadJson(format!("The reason cannot stand in an event: {error}.")))?;
        let draft = Draft { event_type: "m.room.redaction".to_owned(), state_key: None, content, txn_id: Some(txn_id) };
        // The transaction is that of the path, which names the event.
        self.say(by, room_id, draft, &format!("m.room.redaction/{event_id}")).await
    }

    /// Appends `draft`. `act` is what the request is beside its transaction id.
    async fn say(&self, by: &Session, room_id: &RoomId, draft: Draft, act: &str) -> Result<OwnedEventId, RoomError> {
        let content = canonical(&draft.content)?;
        let proposal = Proposal { event_type: draft.event_type, state_key: draft.state_key, content, unless: None };
        self.inner.check(&proposal)?;
        let room = self.inner.names.by_id(room_id).await?.ok_or_else(RoomError::not_in_room)?;
        if proposal.event_type == "m.room.canonical_alias" && proposal.state_key.is_some() {
            self.joined_room(by, room_id).await?;
            self.inner.check_canonical_alias(&room, &proposal.content).await?;
        }
        let transaction = draft.txn_id.as_ref().map(|id| id.as_str());
        if transaction.is_some_and(|id| id.len() > limits::TRANSACTION_ID_BYTES) {
            let allowed = limits::TRANSACTION_ID_BYTES;
            return Err(RoomError::InvalidParam(format!("A transaction id has at most {allowed} bytes.")));
        }
        let key = transaction.map(|id| {
            let key = TRANSACTIONS.key(by.user).u64(by.device).u64(room.short);
            key.text(act).text(id).key()
        });
        let author = Author {
            user_id: by.user_id.clone(),
            user: by.user,
            transaction: transaction.map(|id| (by.device, id.to_owned())),
        };
        append(&self.inner, &room, &Act { author, proposal, transaction: key }).await
    }

    /// Changes `target`'s membership as one batch; `Leave` of somebody else removes or unbans. Joining a room that the user is
    /// in changes nothing.
    ///
    /// # Errors
    /// [`RoomError`]; `NotFound` when the room to join, or the user to invite, does not exist.
    pub async fn set_membership(
        &self,
        by: &Session,
        room_id: &RoomId,
        target: &UserId,
        membership: Membership,
        reason: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let change = MembershipChange { reason, ..MembershipChange::to(membership) };
        let mut proposal = Proposal::state("m.room.member", target.as_str(), change.content());
        proposal.unless = (membership == Membership::Join).then_some(Membership::Join);
        self.inner.check(&proposal)?;
        let room = self.inner.names.by_id(room_id).await?;
        let room = room.ok_or_else(|| match membership {
            Membership::Join => RoomError::NotFound("There is no such room on this server.".into()),
            _ => RoomError::not_in_room(),
        })?;
        let author = Author { user_id: by.user_id.clone(), user: by.user, transaction: None };
        append(&self.inner, &room, &Act { author, proposal, transaction: None }).await
    }
}

impl Inner {
    /// What this server refuses whatever the room's state is.
    pub(crate) fn check(&self, proposal: &Proposal) -> Result<(), RoomError> {
        let content = &proposal.content;
        match (proposal.event_type.as_str(), proposal.state_key.as_deref()) {
            ("m.room.member", Some(state_key)) => self.check_member(state_key, content),
            _ => Ok(()),
        }
    }

    fn check_member(&self, state_key: &str, content: &CanonicalJsonObject) -> Result<(), RoomError> {
        let target = UserId::parse(state_key)
            .map_err(|_| RoomError::InvalidParam("The state key of a member event is a user id.".into()))?;
        let membership = text(content, "membership").and_then(Membership::from_name);
        let membership = membership.ok_or_else(|| RoomError::BadJson("A member event states a membership.".into()))?;
        if membership == Membership::Knock {
            return Err(RoomError::Unsupported("This server cannot knock yet.".into()));
        }
        if content.contains_key("third_party_invite") {
            return Err(RoomError::Unsupported("This server cannot invite by e-mail address or number yet.".into()));
        }
        if content.contains_key("join_authorised_via_users_server") {
            return Err(RoomError::forbidden("Only the server says who authorised a join."));
        }
        if target.server_name() != self.server_name {
            return Err(RoomError::Forbidden(format!(
                "{target} is a user of another server, and this server does not talk to others yet."
            )));
        }
        Ok(())
    }
}
