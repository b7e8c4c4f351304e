//! The cases that every engine runs.
