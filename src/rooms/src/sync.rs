//! For sync.
