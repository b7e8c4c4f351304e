//! What clients with end-to-end encryption need of their server (Client-Server API, End-to-end encryption; Send-to-Device messaging).
//!
//! The server never sees a secret: it keeps public keys, hands them out, and carries ciphertext from device to device. What it vouches
//! for is that it hands out only what its owner signed ([`signature`]).

pub mod backup;
pub mod dehydrated;
mod error;
mod inbox;
mod keys;
mod lists;
pub mod signature;

pub use backup::{BackupKeeper, Backups};
pub use dehydrated::{Dehydrated, DehydratedKeeper};
pub use error::E2eeError;
pub use inbox::{InboxKeeper, Inboxes, Recipients, ToDeviceMessage, ToDevicePage, ToDeviceRequest};
pub use keys::{
    ClaimWanted, Claimed, CrossSigned, CrossSigningUpload, KeyCounts, KeyKeeper, KeyUpload, Keys, KeysWanted, NotKept,
    Queried, SignedKeys,
};
pub use lists::{Company, DeviceListLog, ListChange, Moved, OwnMoves};
