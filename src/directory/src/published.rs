//! Which rooms are published, and who says so.

use async_trait::async_trait;
use ruma::RoomId;
use serde::{Deserialize, Serialize};
use wardstead_accounts::Session;
use wardstead_engine::{AccessPattern, Batch, JournalEntry, Key};
use wardstead_limits::directory::PUBLISHED_ROOMS;
use wardstead_rooms::{Act, AdministrativeAct, Membership, Room, RoomChange};
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError, Table, kind, row};

use crate::{Directory, DirectoryError};

/// The published rooms by short id, in scope 0.
pub(crate) const PUBLISHED: Table<PublishedRow> =
    Table::new(AccessPattern::Scan, 0x0c0, "published_rooms", "directory");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishedRow {
    /// Who published it.
    pub(crate) by: String,
    pub(crate) at_ms: u64,
}
row!(PublishedRow, 1);

pub(crate) fn published_key(room: u64) -> Key {
    PUBLISHED.key(0).u64(room).key()
}

/// In the room's scope, so that every node's listing looks at the room again.
fn news(room: u64) -> JournalEntry {
    JournalEntry { kind: kind::ROOM_PUBLISHED, scope: room, key: Vec::new().into() }
}

const UNKNOWN: DirectoryError = DirectoryError::NotFound("There is no such room on this server, or you are not in it.");

impl Directory {
    /// Whether `room_id` is in the list of published rooms.
    ///
    /// # Errors
    /// `NotFound` where this server knows no such room.
    pub async fn is_published(&self, room_id: &RoomId) -> Result<bool, DirectoryError> {
        let room = self.inner.rooms.room(room_id).await?.ok_or(UNKNOWN)?;
        Ok(self.inner.store.get(&PUBLISHED, &published_key(room.short)).await?.is_some())
    }

    /// Puts `room_id` into the list of published rooms, or takes it out. Whoever is in the room and may send
    /// `m.room.canonical_alias` there may, and who administers the server.
    ///
    /// # Errors
    /// `NotFound` for rooms that `by` is not in, and those that do not exist; `Forbidden`; `Full`.
    pub async fn set_published(&self, by: &Session, room_id: &RoomId, published: bool) -> Result<(), DirectoryError> {
        let room = self.inner.rooms.room(room_id).await?.ok_or(UNKNOWN)?;
        if !by.admin {
            self.check_power(by, &room).await?;
        }
        let store = &self.inner.store;
        let there = store.get(&PUBLISHED, &published_key(room.short)).await?.is_some();
        if there == published {
            return Ok(());
        }
        let mut batch = Batch::new();
        if published {
            self.check_room_in_list().await?;
            let row = PublishedRow { by: by.user_id.as_str().to_owned(), at_ms: store.clock().now_ms() };
            PUBLISHED.put(&mut batch, published_key(room.short), &row);
        } else {
            batch.delete(published_key(room.short));
        }
        let act = AdministrativeAct {
            room_id: room.room_id.clone(),
            by: by.user_id.clone(),
            act: Act::Directory,
            target: if published { "public" } else { "private" }.to_owned(),
            reason: None,
        };
        self.inner.rooms.contribute_act(&mut batch, news(room.short), act).await?;
        store.commit(batch).await?;
        Ok(())
    }

    /// Lists `to` in the place of `from`, where that is published, as when a room is upgraded. Does not ask who may.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replace(&self, from: &RoomId, to: &RoomId) -> Result<(), DirectoryError> {
        let from = self.inner.rooms.room(from).await?.ok_or(UNKNOWN)?;
        let to = self.inner.rooms.room(to).await?.ok_or(UNKNOWN)?;
        let Some(found) = self.inner.store.get(&PUBLISHED, &published_key(from.short)).await? else { return Ok(()) };
        let mut batch = Batch::new();
        batch.delete(published_key(from.short));
        PUBLISHED.put(&mut batch, published_key(to.short), &found.row);
        batch.journal(news(from.short));
        batch.journal(news(to.short));
        self.inner.store.commit(batch).await?;
        Ok(())
    }

    async fn check_power(&self, by: &Session, room: &Room) -> Result<(), DirectoryError> {
        let standing = self.inner.rooms.user_rooms_among(by.user, &[room.short]).await?;
        if standing.first().map(|row| row.membership) != Some(Membership::Join) {
            return Err(UNKNOWN);
        }
        if self.inner.rooms.may_set_canonical_alias(by, room).await? {
            return Ok(());
        }
        Err(DirectoryError::Forbidden("Your power in this room is not enough to say whether it is published."))
    }

    /// Whether one more room can be published.
    ///
    /// # Errors
    /// `Full`.
    pub async fn check_room_in_list(&self) -> Result<(), DirectoryError> {
        if self.listed().await?.len() < PUBLISHED_ROOMS {
            return Ok(());
        }
        Err(DirectoryError::Full("The list of published rooms is full."))
    }
}

/// Publishes new rooms that are to be public, in the batch that makes them. Wired by the binary into the rooms' commits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Publisher;

#[async_trait]
impl CommitContributor<RoomChange> for Publisher {
    async fn prepare(&self, change: &RoomChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let RoomChange::Created(created) = change else { return Ok(Contribution::nothing()) };
        if !created.public {
            return Ok(Contribution::nothing());
        }
        let (room, at_ms) = (created.room, queued.store().clock().now_ms());
        let row = PublishedRow { by: created.by.as_str().to_owned(), at_ms };
        // The room's own events are news enough.
        Ok(Contribution::new(move |batch, _| PUBLISHED.put(batch, published_key(room), &row)))
    }
}
