//! What an answer tells beside rooms: messages to the device, keys, account data, receipts, typing.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_limits::own_data;
use wardstead_rooms::Room;
use wardstead_store::{PageToken, Token};

use super::{
    Asked,
    answer::{AccountDataTold, OfRooms, ToDeviceTold, Typing},
    lists::InView,
    request::{self, SlidingBody},
};
use crate::{
    SyncError, Syncer,
    to_device::{Inbox, ToDevice},
};

/// Tokens of the pages of messages to a device. Not those of a sync: they say nothing about rooms.
const TO_DEVICE: u16 = 0x090;

/// Which of the rooms are in the scope of an extension.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    lists: Vec<String>,
    subscribed: bool,
}

impl From<&InView> for Scope {
    fn from(view: &InView) -> Self {
        Self { lists: view.lists.clone(), subscribed: view.subscribed }
    }
}

impl Scope {
    pub(super) fn is_in(&self, extension: &request::OfRooms, room: &str) -> bool {
        let lists: Vec<&str> = self.lists.iter().map(String::as_str).collect();
        extension.is_of(room, &lists, self.subscribed)
    }
}

impl Syncer {
    /// What the device has of its messages; `None`: the extension is off.
    pub(super) fn inbox_of(&self, by: &Session, body: &SlidingBody) -> Result<Option<Inbox>, SyncError> {
        let wanted = &body.extensions.to_device;
        if !wanted.is_on() {
            return Ok(None);
        }
        let Some(since) = &wanted.since else { return Ok(Some(Inbox::unread())) };
        let Ok(Token::Page(PageToken { list: TO_DEVICE, key })) = self.store.tokens().read(since) else {
            return Err(SyncError::Since);
        };
        let number = |at: usize| {
            let bytes = key.get(8 * at..8 * at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_be_bytes).ok_or(SyncError::Since)
        };
        let (device, epoch, position) = (number(0)?, number(1)?, Position(number(2)?));
        if device != by.device {
            return Ok(Some(Inbox::unread()));
        }
        Ok(Some(Inbox::after(self.reach(epoch, position).unwrap_or_else(|true_upto| true_upto))))
    }

    /// The next page of messages.
    pub(super) async fn to_device_told(&self, by: &Session, asked: &Asked) -> Result<Option<ToDevice>, SyncError> {
        let Some(inbox) = asked.inbox else { return Ok(None) };
        let wanted = asked.body.extensions.to_device.limit.and_then(|limit| usize::try_from(limit).ok());
        let most = wanted.unwrap_or(own_data::TO_DEVICE_MESSAGES).clamp(1, own_data::TO_DEVICE_MESSAGES);
        self.to_device_page(by, inbox, asked.upto, most).await.map(Some)
    }

    /// The same as it is written, up to `upto`.
    pub(super) fn to_device_written(&self, by: &Session, section: ToDevice, upto: Position) -> ToDeviceTold {
        let position = section.cut.unwrap_or(upto);
        let key = [by.device, self.store.epoch(), position.0].into_iter().flat_map(u64::to_be_bytes).collect();
        let next_batch = self.store.tokens().write(&Token::Page(PageToken { list: TO_DEVICE, key }));
        ToDeviceTold { next_batch, events: section.events }
    }
}

/// Who types, in rooms of the extension's scope.
pub(super) fn typing_told(
    typing: Vec<(Arc<Room>, Vec<OwnedUserId>)>,
    scopes: &BTreeMap<OwnedRoomId, Scope>,
    wanted: &request::OfRooms,
) -> Option<OfRooms<Typing>> {
    let shown = |room: &Room| scopes.get(&room.room_id).is_some_and(|scope| scope.is_in(wanted, room.room_id.as_str()));
    let typing = typing.into_iter().filter(|(room, _)| shown(room));
    let rooms: BTreeMap<_, _> =
        typing.map(|(room, user_ids)| (room.room_id.clone(), Typing::Users { user_ids })).collect();
    (!rooms.is_empty()).then_some(OfRooms { rooms })
}

/// Account data of no room and of rooms.
pub(super) fn account_data_told(
    global: Vec<Box<RawValue>>,
    rooms: BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>,
) -> Option<AccountDataTold> {
    let told = AccountDataTold { global, rooms };
    (!told.global.is_empty() || !told.rooms.is_empty()).then_some(told)
}
