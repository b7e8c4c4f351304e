//! Bounds of device keys, key backups and messages to devices.
