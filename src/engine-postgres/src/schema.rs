//! The tables. Made where they are missing; several nodes may start at once.

use wardstead_engine::EngineError;

use crate::{connection::Connection, error};

/// The form of the tables. Another one is refused.
const FORMAT: i32 = 1;

/// An advisory lock is a number that those who take it have agreed on: "wardstea".
const MAKE: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(8602831404412593505);
CREATE SCHEMA IF NOT EXISTS wardstead;
-- Cells that are overwritten: room in each page keeps the new version beside the old one, and no index learns of it.
CREATE TABLE IF NOT EXISTS wardstead.point (k bytea PRIMARY KEY, v bytea NOT NULL)
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE IF NOT EXISTS wardstead.scan (k bytea PRIMARY KEY, v bytea NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE IF NOT EXISTS wardstead.append (k bytea PRIMARY KEY, v bytea NOT NULL);
-- Rows that live briefly: dead ones must go before scans have to step over many.
CREATE TABLE IF NOT EXISTS wardstead.churn (k bytea PRIMARY KEY, v bytea NOT NULL)
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TABLE IF NOT EXISTS wardstead.journal (position bigint PRIMARY KEY, v bytea NOT NULL);
-- The one row that every group locks. Locking leaves no dead row behind; the newest position is that of the journal.
CREATE TABLE IF NOT EXISTS wardstead.position (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    format integer NOT NULL,
    timeline bigint NOT NULL,
    system_identifier bigint NOT NULL);
INSERT INTO wardstead.position (format, timeline, system_identifier)
    SELECT 1, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, system_identifier
    FROM pg_control_system() ON CONFLICT (id) DO NOTHING;
COMMIT";

/// Makes what is missing and checks the form.
///
/// # Errors
/// `Unavailable`: the user may not make tables, or the tables are of another form.
pub(crate) async fn prepare(connection: &Connection) -> Result<(), EngineError> {
    let client = connection.client();
    let failed = |error| error::unavailable(&error);
    // A user that may not make tables can still serve once they are there.
    let there = client.query_one("SELECT to_regclass('wardstead.position') IS NOT NULL", &[]).await.map_err(failed)?;
    if !there.get::<_, bool>(0) {
        client.batch_execute(MAKE).await.map_err(failed)?;
    }
    let format = client.query_opt("SELECT format FROM wardstead.position", &[]).await.map_err(failed)?;
    match format.map(|row| row.get::<_, i32>(0)) {
        Some(FORMAT) => Ok(()),
        Some(other) => {
            Err(EngineError::Unavailable(format!("the tables have form {other}, this server knows {FORMAT}")))
        }
        None => Err(EngineError::Unavailable("the position row is missing".to_owned())),
    }
}
