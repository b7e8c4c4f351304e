//! Keys over a store, without HTTP.

#![expect(clippy::unwrap_used, reason = "what only tests call")]

mod claims;
mod inbox;
mod keeping;
mod support;
