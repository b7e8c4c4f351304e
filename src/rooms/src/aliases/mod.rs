//! Room aliases (Matrix specification, Client-Server API, Room aliases): names in this server's domain that lead to rooms.
//!
//! An alias is a row of its own and no event. Two rooms, or two nodes, that want the same one are decided by the engine's
//! assertion that the row is absent.

mod canonical;
mod rows;

use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Key, Losing, PageLimit, ScanRange};
use wardstead_limits::{rooms as limits, store::REBUILDS};
use wardstead_store::{Found, StoreError};

use crate::{Access, Act, AdministrativeAct, Inner, Membership, Room, RoomError, Rooms};

pub(crate) use canonical::{canonical_content, check_initial};
use rows::{ALIASES, ROOM_ALIASES, alias_key, news, parsed, redirect, remove};
pub(crate) use rows::{AliasRow, TAKEN, put};

impl Rooms {
    /// The room that `alias` leads to; `None` where it leads nowhere, and for aliases of other servers, which this one cannot ask. Tells
    /// nothing about who may see the room.
    ///
    /// # Errors
    /// The store's.
    pub async fn resolve_alias(&self, alias: &RoomAliasId) -> Result<Option<OwnedRoomId>, RoomError> {
        let Some(found) = self.inner.find_alias(alias).await? else { return Ok(None) };
        let room_id = RoomId::parse(found.row.room_id.as_str());
        room_id.map(Some).map_err(|_| RoomError::corrupt(&found.key, "not a room id"))
    }

    /// Makes `alias` lead to `room_id`. Whoever is in the room may; the alias is then theirs to remove.
    ///
    /// # Errors
    /// `InvalidParam` for an alias of another server; `AliasTaken`; `Forbidden` for those who are not in the room;
    /// `TooLarge` when the room has [`limits::ROOM_ALIAS_ENTRIES`].
    pub async fn add_alias(&self, by: &Session, alias: &RoomAliasId, room_id: &RoomId) -> Result<(), RoomError> {
        self.inner.own_alias(alias)?;
        let room = self.joined_room(by, room_id).await?;
        let range = ScanRange::scope(ROOM_ALIASES.id(), room.short);
        let most = limits::ROOM_ALIAS_ENTRIES;
        let (there, _) = self.inner.store.scan(&ROOM_ALIASES, &range, PageLimit::rows(most)).await?;
        if there.len() >= most {
            return Err(RoomError::TooLarge(format!("A room has at most {most} aliases.")));
        }
        let store = &self.inner.store;
        let mut batch = Batch::new();
        let (at_ms, version) = (store.clock().now_ms(), store.next_id().await?);
        put(&mut batch, alias, &room, by.user_id.as_str(), at_ms, version);
        match store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(StoreError::Lost(Losing::Fail(_))) => Err(RoomError::AliasTaken(alias.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes `alias` lead nowhere, and takes it out of the room's `m.room.canonical_alias`, as far as `by` may. Who set the alias may, who
    /// may send `m.room.canonical_alias`, and who administers the server.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`.
    pub async fn remove_alias(&self, by: &Session, alias: &RoomAliasId) -> Result<(), RoomError> {
        let missing = || RoomError::NotFound(format!("There is no alias {alias} on this server."));
        let found = self.inner.find_alias(alias).await?.ok_or_else(missing)?;
        let room = self.inner.names.by_short(&[found.row.room]).await?.pop().ok_or_else(missing)?;
        let may_set = self.may_set_canonical_alias(by, &room).await?;
        if !may_set && !by.admin && found.row.by != by.user_id.as_str() {
            return Err(RoomError::forbidden("You may not remove this alias: somebody else set it."));
        }
        // First: whoever asks again, because the answer was lost, still finds the alias and goes on from there.
        if may_set {
            self.leave_out(by, &room, alias).await?;
        }
        let mut batch = Batch::new();
        remove(&mut batch, alias, &found);
        let act = AdministrativeAct {
            room_id: room.room_id.clone(),
            by: by.user_id.clone(),
            act: Act::RemoveAlias,
            target: alias.as_str().to_owned(),
            reason: None,
        };
        self.contribute_act(&mut batch, news(room.short, alias.as_str()), act).await?;
        match self.inner.store.commit(batch).await {
            Ok(_) => Ok(()),
            // Somebody else removed it meanwhile.
            Err(StoreError::Lost(_)) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the aliases of `from` lead to `to`, as when a room is upgraded: all of them in one commit. Does not ask who may.
    ///
    /// # Errors
    /// `NotFound`; `Busy` when they are being changed all the time.
    pub async fn move_aliases(&self, from: &RoomId, to: &RoomId) -> Result<(), RoomError> {
        let missing = || RoomError::NotFound("There is no such room on this server.".into());
        let from = self.inner.names.by_id(from).await?.ok_or_else(missing)?;
        let to = self.inner.names.by_id(to).await?.ok_or_else(missing)?;
        let store = &self.inner.store;
        for _ in 0..=REBUILDS {
            let aliases = self.inner.aliases_of(from.short).await?;
            let keys: Vec<Key> = aliases.iter().map(|alias| alias_key(alias)).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let versions = store.next_ids(keys.len()).await?;
            let mut batch = Batch::new();
            let found = store.get_many(&ALIASES, &keys).await?;
            for ((alias, found), version) in aliases.iter().zip(found).zip(versions) {
                // One that leads elsewhere by now is not this room's to give.
                if let Some(found) = found.filter(|found| found.row.room == from.short) {
                    redirect(&mut batch, alias, &found, &to, version);
                }
            }
            match store.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Lost(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RoomError::Busy("its aliases are being changed"))
    }

    /// The aliases that lead to a room, for those who are in it; for everybody where everybody may read the room.
    ///
    /// # Errors
    /// As [`Self::access`]; `Forbidden` for those who left.
    pub async fn aliases(&self, by: &Session, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        let access = self.access(by, room_id).await?;
        if access.reach != crate::Reach::Now {
            return Err(RoomError::not_in_room());
        }
        self.inner.aliases_of(access.room.short).await
    }

    /// The room, if `by` is in it.
    pub(crate) async fn joined_room(&self, by: &Session, room_id: &RoomId) -> Result<std::sync::Arc<Room>, RoomError> {
        match self.access(by, room_id).await? {
            Access { room, membership: Some(Membership::Join), .. } => Ok(room),
            _ => Err(RoomError::not_in_room()),
        }
    }
}

impl Inner {
    pub(crate) async fn find_alias(&self, alias: &RoomAliasId) -> Result<Option<Found<AliasRow>>, RoomError> {
        if alias.as_str().len() > limits::IDENTIFIER_BYTES || *alias.server_name() != *self.server_name {
            return Ok(None);
        }
        Ok(self.store.get(&ALIASES, &alias_key(alias)).await?)
    }

    /// The aliases that lead to `room`, in their order.
    pub(crate) async fn aliases_of(&self, room: u64) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        let rows = self.store.scan_all(&ROOM_ALIASES, ScanRange::scope(ROOM_ALIASES.id(), room)).await?;
        rows.iter().map(parsed).collect()
    }

    /// Whether this server may give `alias` away.
    ///
    /// # Errors
    /// `InvalidParam`.
    pub(crate) fn own_alias(&self, alias: &RoomAliasId) -> Result<(), RoomError> {
        if *alias.server_name() != *self.server_name {
            let ours = &self.server_name;
            return Err(RoomError::InvalidParam(format!("An alias of this server ends in :{ours}.")));
        }
        if alias.alias().is_empty() {
            return Err(RoomError::InvalidParam("There is nothing between the # and the : of this alias.".into()));
        }
        Ok(())
    }

    /// The alias with the local part `name` (Client-Server API, POST createRoom, `room_alias_name`).
    pub(crate) fn alias_named(&self, name: &str) -> Result<OwnedRoomAliasId, RoomError> {
        // A colon would end the local part before the server's name.
        let alias = if name.contains(':') { None } else { Some(format!("#{name}:{}", self.server_name)) };
        let alias = alias.and_then(|alias| RoomAliasId::parse(alias).ok());
        let alias =
            alias.ok_or_else(|| RoomError::InvalidParam("room_alias_name is no local part of an alias.".into()))?;
        self.own_alias(&alias)?;
        Ok(alias)
    }
}
