//! How often people may do what costs others something, unless configured. The reasons behind the numbers, and for whom there is no limit,
//! are in `docs/design/18-rate-limits.md`: a whole hospital may stand behind one address, and a message that somebody waits for is never
//! held up.

use crate::Rate;

/// Sign-ins from an address. A shift of 600 people begins at once, and 20 a second is about what two cores can compare passwords.
pub const LOGIN_OF_ADDRESS: Rate = Rate::per_second(20, 600);
/// Registrations from an address, looking for a free name included: a lecture hall full of new staff.
pub const REGISTRATION_OF_ADDRESS: Rate = Rate::per_second(5, 300);
/// Changes that an account confirms with its password: each costs a comparison.
pub const PASSWORD_OF_ACCOUNT: Rate = Rate::per_minute(20, 20);
/// The same from an address; as many as sign in.
pub const PASSWORD_OF_ADDRESS: Rate = Rate::per_second(20, 600);
/// Events of an account. No person writes ten a second, or finds a hundred waiting in a client that was out of reach.
pub const SEND_OF_ACCOUNT: Rate = Rate::per_second(10, 100);
/// Joins of an account: all rooms of a new colleague at once.
pub const JOIN_OF_ACCOUNT: Rate = Rate::per_second(5, 100);
/// People that an account invites: a whole ward at once.
pub const INVITE_OF_ACCOUNT: Rate = Rate::per_second(5, 200);
/// Rooms that an account makes or upgrades.
pub const CREATE_OF_ACCOUNT: Rate = Rate::per_second(1, 30);
/// Searches of an account, one a letter typed.
pub const SEARCH_OF_ACCOUNT: Rate = Rate::per_second(10, 60);
/// Tokens for other devices and services that an account asks for.
pub const TOKEN_OF_ACCOUNT: Rate = Rate::per_second(2, 30);
/// Refreshes of a device. A client asks once in the life of an access token, and a few times more where answers do not reach it.
pub const REFRESH_OF_DEVICE: Rate = Rate::per_minute(10, 60);
/// Files that an account uploads, ids for those that come later included: an album at once.
pub const UPLOAD_OF_ACCOUNT: Rate = Rate::per_second(2, 100);

/// Wrong passwords for one account from one address, or on one device. Ten slips in a row are rare, and the next try is half a minute away;
/// a stranger tries 2,890 a day.
pub const FAILED_OF_PAIR: Rate = Rate::per_minute(2, 10);
/// Wrong passwords for one account from all addresses from which it has not signed in lately.
pub const FAILED_OF_ACCOUNT: Rate = Rate::per_minute(1, 50);
/// Wrong passwords from one address for accounts that have not signed in from there lately.
pub const FAILED_OF_ADDRESS: Rate = Rate::per_second(1, 300);
