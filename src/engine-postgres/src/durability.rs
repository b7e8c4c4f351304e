//! Whether a COMMIT reaches what it must, as the server says.

use wardstead_engine::EngineError;

use crate::{Durability, connection::Connection, error};

/// Said in each group that finds it so, and by the monitor.
pub(crate) const NO_STANDBY_NAMES: &str = "synchronous_standby_names is empty, so PostgreSQL waits for no standby; \
    set it, or choose durability \"primary\"";

const ASK: &str = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, \
    current_setting('synchronous_standby_names'), current_setting('fsync'), current_setting('full_page_writes'), \
    count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), count(pid), count(pid) FILTER (WHERE sync_state IS NULL) \
    FROM pg_stat_replication";

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) timeline: u32,
    standby_names: String,
    fsync: bool,
    pub(crate) full_page_writes: bool,
    synchronous: i64,
    standbys: i64,
    hidden: i64,
}

impl Found {
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn ask(connection: &Connection) -> Result<Self, EngineError> {
        let row = connection.client().query_one(ASK, &[]).await.map_err(|error| error::unavailable(&error))?;
        Ok(Self {
            timeline: u32::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
            standby_names: row.get(1),
            fsync: row.get::<_, &str>(2) == "on",
            full_page_writes: row.get::<_, &str>(3) == "on",
            synchronous: row.get(4),
            standbys: row.get(5),
            hidden: row.get(6),
        })
    }

    /// Why a COMMIT is not as durable as `wanted`; a sentence for the operator.
    pub(crate) fn problem(&self, wanted: Durability) -> Option<String> {
        if !self.fsync {
            return Some("fsync is off, so a power failure loses what was acknowledged; turn it on".to_owned());
        }
        if wanted == Durability::Primary {
            return None;
        }
        if self.standby_names.is_empty() {
            return Some(NO_STANDBY_NAMES.to_owned());
        }
        if self.synchronous > 0 {
            return None;
        }
        if self.hidden > 0 {
            let why = "the database user may not see the state of the standbys; GRANT pg_monitor to it";
            return Some(why.to_owned());
        }
        Some(format!(
            "no standby is synchronous ({} connected, synchronous_standby_names is '{}'), so no COMMIT could end",
            self.standbys, self.standby_names
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            timeline: 1,
            standby_names: "*".to_owned(),
            fsync: true,
            full_page_writes: true,
            synchronous: 1,
            standbys: 1,
            hidden: 0,
        }
    }

    #[test]
    fn a_synchronous_standby_is_durable_and_anything_less_has_a_sentence() {
        assert_eq!(found().problem(Durability::Standby), None);
        let less: [(Found, &str); 4] = [
            (Found { standby_names: String::new(), ..found() }, "synchronous_standby_names is empty"),
            (Found { synchronous: 0, standbys: 2, ..found() }, "2 connected"),
            (Found { synchronous: 0, hidden: 1, ..found() }, "GRANT pg_monitor"),
            (Found { fsync: false, ..found() }, "fsync is off"),
        ];
        for (found, said) in less {
            let problem = found.problem(Durability::Standby).unwrap();
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn without_a_standby_the_disk_of_the_primary_must_be_written_all_the_same() {
        let alone = Found { standby_names: String::new(), synchronous: 0, standbys: 0, ..found() };
        assert_eq!(alone.problem(Durability::Primary), None);
        assert!(Found { fsync: false, ..alone }.problem(Durability::Primary).is_some());
    }
}
