//! What a gateway is told (Push Gateway API, `POST /_matrix/push/v1/notify`).

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wardstead_rooms::Event;

use super::tables::PusherRow;

/// An event for a pusher.
pub(crate) struct Told<'a> {
    pub(crate) event: &'a Event,
    pub(crate) tweaks: Map<String, Value>,
    /// Whether type, sender and content go with it: encrypted, to who asks for it, where the operator allows it.
    pub(crate) full: bool,
}

/// A pusher as its gateway is told of it.
#[derive(Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) pusher: &'a PusherRow,
    /// The pusher's, as an object.
    pub(crate) data: &'a Map<String, Value>,
}

impl To<'_> {
    /// Whether the pusher's app wants the ids alone.
    pub(crate) fn wants_ids_only(self) -> bool {
        self.data.get("format").is_some_and(|format| format == "event_id_only")
    }
}

/// An event with what is unread, or what is unread alone. Names, topics, senders and contents stay here: they are clinical text, or may be.
///
/// # Errors
/// The event's content cannot be read.
pub(crate) fn body(to: To<'_>, told: Option<Told<'_>>, unread: u64) -> Result<Bytes, serde_json::Error> {
    let To { pusher, data } = to;
    let mut device = json!({
        "app_id": pusher.app_id, "pushkey": pusher.pushkey, "pushkey_ts": pusher.set_ms / 1_000, "data": data,
    });
    let mut notification = Map::new();
    if let Some(Told { event, tweaks, full }) = told {
        notification.insert("event_id".to_owned(), event.event_id.as_str().into());
        notification.insert("room_id".to_owned(), event.room_id.as_str().into());
        notification.insert("prio".to_owned(), "high".into());
        device["tweaks"] = tweaks.into();
        if full {
            notification.insert("type".to_owned(), event.event_type.to_string().into());
            notification.insert("sender".to_owned(), event.sender.as_str().into());
            let content: Value = serde_json::from_str(event.content.get())?;
            notification.insert("content".to_owned(), content);
        }
    } else {
        notification.insert("prio".to_owned(), "low".into());
    }
    // Zero stays: apps that are told of no number keep the one that they show.
    notification.insert("counts".to_owned(), json!({ "unread": unread }));
    notification.insert("devices".to_owned(), json!([device]));
    Ok(Bytes::from(json!({ "notification": notification }).to_string()))
}
