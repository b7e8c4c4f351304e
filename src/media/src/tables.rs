//! Rows of files. Nobody else reads or writes them.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::{Envelope, Queue, Table, Timers};

use crate::{
    About,
    objects::{Object, ObjectName},
    thumbnail::{Asked, Fit},
};

/// The installation's own key. Written once.
pub(crate) const KEYRING: Table<KeyringRow> = Table::new(AccessPattern::Point, 0x0d0, "media_keyring", "media");
/// Files by their ids: `0 | media id`. Versioned: whatever changes a file asserts its row.
pub(crate) const MEDIA: Table<MediaRow> = Table::new(AccessPattern::Point, 0x0d1, "media", "media");
/// What files have in them: `0 | SHA-256`. Versioned.
pub(crate) const CONTENTS: Table<ContentRow> = Table::new(AccessPattern::Point, 0x0d2, "media_contents", "media");
/// How much there is: `user`, or 0 for the server. Versioned.
pub(crate) const TOTALS: Table<TotalRow> = Table::new(AccessPattern::Point, 0x0d3, "media_totals", "media");
/// Files of a user: `user | short id`.
pub(crate) const OF_USERS: Table<OfUserRow> = Table::new(AccessPattern::Scan, 0x0d4, "media_of_users", "media");
/// Thumbnails: `short id of the file | width | height | fit | animated`.
pub(crate) const THUMBNAILS: Table<ThumbnailRow> = Table::new(AccessPattern::Scan, 0x0d5, "media_thumbnails", "media");
/// What is looked after later: uploads that never ended, ids that were never filled.
pub(crate) static TIMERS: Timers<TimerRow> =
    Timers::new(Table::new(AccessPattern::Churn, 0x0d6, "media_timers", "media"));
/// Objects that nothing names any more and that are to be removed: its lane is a fresh short id.
pub(crate) static LEFT: Queue<LeftRow> =
    Queue::new(Table::new(AccessPattern::Churn, 0x0d7, "media_left_objects", "media"));

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyringRow {
    pub own: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MediaRow {
    /// Short id of the file.
    pub media: u64,
    /// Short id of who uploads it.
    pub owner: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    pub state: State,
    /// Whether it is readable without a token, as files were before version 1.11 of the specification.
    pub open: bool,
    /// Whether nobody may read it.
    pub locked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// It is uploaded later; the short id is that of the timer that ends it.
    Awaited { expires_ms: u64, timer: u64 },
    /// It is there.
    Stored {
        /// SHA-256 of it: under that is its content.
        hash: [u8; 32],
        bytes: u64,
        /// [`About`] in a content envelope.
        about: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentRow {
    pub object: Object,
    /// Files with this content, at least one.
    pub files: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TotalRow {
    /// Of a user: of all files. Of the server: of all objects but thumbnails, before encryption.
    pub bytes: u64,
    pub files: u64,
    /// Ids that wait for their files.
    pub awaited: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfUserRow {
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThumbnailRow {
    pub object: Object,
    pub content_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TimerRow {
    /// The object is removed, which no row names.
    Orphan(ObjectName),
    /// The id ends that was never filled.
    Awaited(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftRow {
    pub name: ObjectName,
}

wardstead_store::row!(KeyringRow, 1);
wardstead_store::row!(MediaRow, 1);
wardstead_store::row!(ContentRow, 1);
wardstead_store::row!(TotalRow, 1);
wardstead_store::row!(OfUserRow, 1);
wardstead_store::row!(ThumbnailRow, 1);
wardstead_store::row!(TimerRow, 1);
wardstead_store::row!(LeftRow, 1);

pub(crate) fn keyring_key() -> Key {
    KEYRING.key(0).key()
}

pub(crate) fn media_key(id: &str) -> Key {
    MEDIA.key(0).text(id).key()
}

pub(crate) fn content_key(hash: &[u8; 32]) -> Key {
    CONTENTS.key(0).fixed(hash).key()
}

pub(crate) fn total_key(user: u64) -> Key {
    TOTALS.key(user).key()
}

pub(crate) fn of_user_key(user: u64, media: u64) -> Key {
    OF_USERS.key(user).u64(media).key()
}

pub(crate) fn thumbnail_key(media: u64, asked: Asked) -> Key {
    let fit = match asked.fit {
        Fit::Scale => 0,
        Fit::Crop => 1,
    };
    let key = THUMBNAILS.key(media).u32(asked.width).u32(asked.height);
    key.u8(fit).u8(u8::from(asked.animated)).key()
}

impl About {
    /// As it lies in a row.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let name = self.name.as_deref().unwrap_or_default();
        Envelope::plain([self.content_type.as_str(), "\n", name].concat()).encode().to_vec()
    }

    /// `None`: it is no such thing.
    pub(crate) fn of_stored(stored: &[u8]) -> Option<Self> {
        let Envelope(content) = Envelope::decode(&stored.to_vec().into()).ok()?;
        // A content type has no line break.
        let (content_type, name) = std::str::from_utf8(&content).ok()?.split_once('\n')?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Some(Self { content_type: content_type.to_owned(), name })
    }
}
