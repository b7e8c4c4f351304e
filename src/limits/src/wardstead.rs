//! Bounds of the binary: the database's pool, health, metrics.

/// Connections for reading that a node has to its database, unless configured.
pub const DATABASE_CONNECTIONS: usize = 8;
/// The most that can be configured: PostgreSQL has a process for each.
pub const DATABASE_CONNECTIONS_MOST: usize = 256;
