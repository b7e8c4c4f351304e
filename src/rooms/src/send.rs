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
        let proposal = Proposal { event_type: draft.event_type, state_key: draft.state_key, content, guard: None };
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
            guest: by.guest,
            transaction: transaction.map(|id| (by.device, id.to_owned())),
        };
        append(&self.inner, &room, &Act { author, proposal, transaction: key }).await
    }
}

impl Inner {
    /// What this server refuses whatever the room's state is.
    pub(crate) fn check(&self, proposal: &Proposal) -> Result<(), RoomError> {
        let content = &proposal.content;
        match (proposal.event_type.as_str(), proposal.state_key.as_deref()) {
            ("m.room.member", Some(state_key)) => self.check_member(state_key, content),
            ("m.room.create", _) => Err(RoomError::InvalidParam("A room is made once, and not by an event.".into())),
            _ => Ok(()),
        }
    }

    fn check_member(&self, state_key: &str, content: &CanonicalJsonObject) -> Result<(), RoomError> {
        let target = UserId::parse(state_key)
            .map_err(|_| RoomError::InvalidParam("The state key of a member event is a user id.".into()))?;
        if text(content, "membership").and_then(Membership::from_name).is_none() {
            return Err(RoomError::BadJson("A member event states a membership.".into()));
        }
        if target.server_name() != self.server_name {
            return Err(RoomError::Forbidden(format!(
                "{target} is a user of another server, and this server does not talk to others yet."
            )));
        }
        Ok(())
    }
}
