//! Bounds of profiles, of their way into rooms, and of the directory of people.

/// Bytes of a profile in canonical JSON (Matrix specification, Client-Server API, PUT profile).
pub const PROFILE_BYTES: usize = 65_536;
/// Bytes of the name of a profile field (PUT profile).
pub const PROFILE_KEY_BYTES: usize = 255;
/// Bytes of a display name: it stands in the member event of each room, and on each line of a conversation.
pub const DISPLAY_NAME_BYTES: usize = 1_024;
/// Bytes of the address of a picture: it stands in the member event of each room.
pub const AVATAR_URL_BYTES: usize = 1_024;
/// Rooms of a user that are read at once when the user's name or picture has changed.
pub const RENEWED_ROOMS_PAGE: usize = 64;
/// Rooms that are told side by side: their commits share groups, and others' messages still come between.
pub const RENEWED_ROOMS_AT_ONCE: usize = 8;
