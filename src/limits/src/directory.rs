//! Bounds of the room directory.

/// Rooms of one page of the list of published rooms.
pub const PUBLIC_ROOMS_PAGE: usize = 500;
/// Rooms of one page of that list when the client names no number.
pub const PUBLIC_ROOMS_DEFAULT: usize = 100;
/// Rooms in that list. Each node has the order of all of them, and what is searched, in memory.
pub const PUBLISHED_ROOMS: usize = 10_000;
/// Bytes of that memory: as many rooms with the longest names, topics, aliases and types.
pub const LISTING_BYTES: u64 = PUBLISHED_ROOMS as u64 * (2 * SEARCH_TEXT_BYTES as u64 + 1_024);
/// Bytes of a room's type by which it is found in that list.
pub const ROOM_TYPE_BYTES: usize = 255;
/// Bytes of a room's name, and of its topic, that are searched: what comes after them is found by nobody.
pub const SEARCH_TEXT_BYTES: usize = 3 * 1024;
/// Rooms of one page of a space's hierarchy.
pub const HIERARCHY_PAGE_ROOMS: usize = 100;
/// Rooms of one page of a space's hierarchy when the client names no number.
pub const HIERARCHY_DEFAULT_ROOMS: usize = 50;
/// Bytes of the contents of `m.space.child` events after which a page of a hierarchy ends: a space may have thousands.
pub const HIERARCHY_PAGE_BYTES: usize = 1024 * 1024;
/// Levels below the space that a hierarchy goes down, and the number when the client names none.
pub const HIERARCHY_STEPS: u32 = 32;
/// Rooms of one hierarchy: a later page walks through those of the earlier ones again.
pub const HIERARCHY_ROOMS: usize = 10_000;
