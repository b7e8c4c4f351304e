//! The HTTP interfaces, in process, over the memory engine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what only tests call")]

mod notifications;
mod paths;
mod server;

mod account;
mod account_data;
mod aliases;
mod bad_input;
mod dehydrated;
mod departures;
mod device_lists;
mod devices;
mod directory;
mod discovery;
mod e2ee_keys;
mod ephemeral;
mod erasure;
mod errors;
mod faults;
mod filters;
mod garbage;
mod guests;
mod headers;
mod interactive;
mod invitations;
mod keys;
mod limits;
mod log;
mod lost;
mod media;
mod membership;
mod mutated;
mod profiles;
mod push_rules;
mod pushers;
mod reading;
mod receipts;
mod refresh;
mod room_keys;
mod rooms;
mod session;
mod sliding_sync;
mod sync;
mod to_device;
mod unread;
mod visibility;
