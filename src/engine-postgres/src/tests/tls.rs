//! Encryption to the database.
