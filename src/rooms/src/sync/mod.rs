//! What a sync reads of rooms. Everything is keyed by position, so that an answer for position P holds nothing above P; and
//! wherever several rooms are asked for, one read serves them all.

mod audience;
mod face;
mod memberships;
mod state;
mod stripped;

pub use face::Face;
pub use memberships::{LastMoved, MembershipMove, UserRoom};
pub use state::{StateAt, Summary};
