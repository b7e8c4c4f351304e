//! Sync over the memory engine, through the public functions; answers are looked at as a client looks at them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what only tests call")]

mod crowd;
mod device_lists;
mod epochs;
mod faults;
mod filters;
mod gaps;
mod histories;
mod initial;
mod lazy;
mod memberships;
mod merged;
mod nodes;
mod own_data;
mod position;
mod presence;
mod reads;
mod receipts;
mod sliding;
mod state;
mod state_after;
mod support;
mod to_device;
mod tokens;
mod typing;
mod waiting;
