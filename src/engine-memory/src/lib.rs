//! engine-memory
