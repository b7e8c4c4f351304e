//! Push rules, what they make of events, and how much of a room a user has not read.
//!
//! What an event is to its room's members is found in the event's own commit ([`Counter`]): each *class* of rules is asked once, and
//! only those are looked at one by one whom the event mentions, or whose rules look for something that it has. Kept are running
//! totals; a user's count is what they grew by since the user read. Formats and reasons: `docs/design/21-counts.md`.

mod carry;
mod class;
mod core;
mod counter;
mod defaults;
mod edits;
mod error;
mod fold;
mod glob;
mod index;
mod listing;
mod notices;
mod pushers;
mod read;
mod rules;
mod split;
mod switch;
mod tables;
mod unread;
mod work;

pub use counter::Counter;
pub use defaults::default_rules;
pub use edits::Place;
pub use error::PushError;
pub use listing::{Told, ToldPage, Wanted};
pub use notices::{Notice, Notified};
pub use pushers::{Gateway, GatewayAnswer, GatewayPolicy, HttpGateway, Notifications, Pusher, PusherKeeper, Pushers};
pub use rules::RuleKeeper;
pub use unread::{Push, Unread, UnreadCount, UnreadCounts};
