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
/// Words by which one person is found. A name has a few; each is a row.
pub const PEOPLE_WORD_KEYS: usize = 32;
/// Bytes of one of them: what comes after is not looked at.
pub const PEOPLE_WORD_BYTES: usize = 64;
/// Words of a search that are looked at.
pub const PEOPLE_TERM_KEYS: usize = 8;
/// People whom a search names when the client names no number (Client-Server API, POST `user_directory/search`).
pub const PEOPLE_DEFAULT_USERS: usize = 10;
/// People whom a search names.
pub const PEOPLE_USERS: usize = 50;
/// People among whom the best are chosen. They are found in the order of their words, so those whose word is the one that was
/// searched come first.
pub const PEOPLE_RANKED_USERS: usize = 256;
/// Rows of words that are read at once.
pub const PEOPLE_PAGE_ROWS: usize = 512;
/// Rows of words that one search looks at: a few milliseconds. Only where the word that was searched begins so many names that a
/// second one would have to tell them apart it ends before it has seen all.
pub const PEOPLE_SCANNED_ROWS: usize = 4_096;
/// Rooms of whoever searches, those entered last, whose members come first.
pub const PEOPLE_RANK_ROOMS: usize = 8;
/// Rooms of one person that are looked at where people are seen only by those who could meet them.
pub const PEOPLE_MET_ROOMS: usize = 1_000;
/// People of whom that is found out side by side.
pub const PEOPLE_USERS_AT_ONCE: usize = 16;
