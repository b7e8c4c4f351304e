//! How rooms are found by those who are not in them: the list of published rooms, summaries, space hierarchies; and how people are.
//!
//! Who sees what of a room is decided by [`Rooms::glimpse`] alone. What is shown is read from the room's state in the request that
//! shows it; a node keeps in memory only in which order the published rooms stand and what is searched ([`listing`]). Formats and
//! reasons: `docs/design/15-directory.md`.

mod entry;
mod error;
mod hierarchy;
mod listing;
mod people;
mod public_rooms;
mod published;
mod summary;

use std::sync::Arc;

use wardstead_accounts::Accounts;
use wardstead_rooms::Rooms;
use wardstead_store::Store;

pub use entry::RoomEntry;
pub use error::DirectoryError;
pub use hierarchy::{Hierarchy, HierarchyQuery, HierarchyRoom};
pub use people::{People, PeopleIndex, PeopleQuery, Person, VisiblePeople};
pub use public_rooms::{PublicRooms, PublicRoomsQuery};
pub use published::Publisher;
pub use summary::Summary;

use listing::Listing;

/// The directory of this server's rooms. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    accounts: Accounts,
    rooms: Rooms,
    people: VisiblePeople,
    listing: Listing,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Directory")
    }
}

impl Directory {
    /// The directory of `rooms` and `accounts`, which are in `store`. `people`: whom people find.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, rooms: Rooms, people: VisiblePeople) -> Self {
        Self { inner: Arc::new(Inner { store, accounts, rooms, people, listing: Listing::default() }) }
    }
}

/// Numbers of the lists whose pages have tokens: those of this crate's tables, so that no other crate has the same.
mod lists {
    pub(crate) const PUBLIC_ROOMS: u16 = 0x0c0;
    pub(crate) const HIERARCHY: u16 = 0x0c1;
}
