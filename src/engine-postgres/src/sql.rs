//! The statements. Each is prepared once a connection.

use std::fmt::Write as _;

use tokio_postgres::types::Type;

use crate::place::{Place, Places};

/// The first ten bytes of a journal row's key, as a literal.
const JOURNAL_PREFIX: &str = r"'\x30010000000000000000'::bytea";

/// A statement, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sql {
    /// Locks the position row and reads it: timeline, system identifier.
    Lock,
    /// What a group must know besides its rows, as one row with an empty key ([`crate::state::State`]), and the rows under
    /// the given keys.
    ReadForGroup(Places),
    /// The rows under the given keys.
    Read(Places),
    /// The newest position.
    Newest,
    /// A page of a table.
    Page {
        place: Place,
        reverse: bool,
        /// Cut by bytes as well.
        by_bytes: bool,
    },
    /// Deletes ranges of a table.
    DeleteRanges(Place),
    /// Deletes rows of some tables and puts rows into some.
    Change { deletes: Places, puts: Places },
    /// The position row follows the server.
    SetServer,
}

impl Sql {
    /// Its text.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Lock => "SELECT timeline, system_identifier FROM wardstead.position WHERE id FOR UPDATE".to_owned(),
            Self::ReadForGroup(places) => format!("{STATE} UNION ALL {}", read(places)),
            Self::Read(places) => read(places),
            Self::Newest => "SELECT coalesce(max(position), 0) FROM wardstead.journal".to_owned(),
            Self::Page { place, reverse, by_bytes } => page(place, reverse, by_bytes),
            Self::DeleteRanges(place) => delete_ranges(place),
            Self::Change { deletes, puts } => change(deletes, puts),
            Self::SetServer => {
                "UPDATE wardstead.position SET timeline = $1, system_identifier = $2 WHERE id".to_owned()
            }
        }
    }

    /// Types of its parameters.
    pub(crate) fn types(self) -> Vec<Type> {
        let keys = |place| if place == Place::Journal { Type::INT8_ARRAY } else { Type::BYTEA_ARRAY };
        let bound = |place| if place == Place::Journal { Type::INT8 } else { Type::BYTEA };
        match self {
            Self::Lock | Self::Newest => vec![],
            Self::ReadForGroup(places) | Self::Read(places) => places.iter().map(keys).collect(),
            Self::Page { place, by_bytes, .. } => {
                let mut types = vec![bound(place), bound(place), Type::INT8];
                types.extend(by_bytes.then_some(Type::INT8));
                types
            }
            Self::DeleteRanges(place) => vec![keys(place), keys(place)],
            Self::Change { deletes, puts } => {
                let deletes = deletes.iter().map(keys);
                deletes.chain(puts.iter().flat_map(|place| [keys(place), Type::BYTEA_ARRAY])).collect()
            }
            Self::SetServer => vec![Type::INT8, Type::INT8],
        }
    }
}

/// Newest position, time, timeline, and whether COMMITs wait for a standby, in the order in which `State::read` takes
/// them apart. Functions that a plain user may call; the timeline is that of the log being written, which is right from the
/// moment of a promotion, as the control file is not.
const STATE: &str = "SELECT ''::bytea AS k, \
    int8send(coalesce((SELECT max(position) FROM wardstead.journal), 0)) \
    || int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) \
    || decode(substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), 'hex') \
    || CASE WHEN current_setting('synchronous_standby_names') = '' THEN '\\x00'::bytea ELSE '\\x01'::bytea END AS v";

fn read(places: Places) -> String {
    let select = |(place, number): (Place, usize)| match place {
        Place::Journal => {
            format!(
                "SELECT {JOURNAL_PREFIX} || int8send(position) AS k, v FROM {} WHERE position = ANY(${number})",
                place.table()
            )
        }
        _ => format!("SELECT k, v FROM {} WHERE k = ANY(${number})", place.table()),
    };
    places.iter().zip(1..).map(select).collect::<Vec<_>>().join(" UNION ALL ")
}

fn page(place: Place, reverse: bool, by_bytes: bool) -> String {
    let table = place.table();
    let order = if reverse { "DESC" } else { "ASC" };
    let (column, key) = match place {
        Place::Journal => ("position", format!("{JOURNAL_PREFIX} || int8send(position)")),
        _ => ("k", "k".to_owned()),
    };
    let range = format!("FROM {table} WHERE {column} >= $1 AND {column} < $2 ORDER BY {column} {order} LIMIT $3");
    if !by_bytes {
        return format!("SELECT {key} AS k, v {range}");
    }
    // A row is sent when the rows before the one before it are below the bound: the first row that is over it is always
    // sent, and tells where the next page starts.
    format!(
        "SELECT k, v FROM (SELECT {key} AS k, v, sum(octet_length(v) + {key_bytes}) OVER (ORDER BY {column} {order} \
         ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before {range}) page WHERE before IS NULL OR before < $4",
        key_bytes = if place == Place::Journal { "18" } else { "octet_length(k)" },
    )
}

fn delete_ranges(place: Place) -> String {
    let (table, column) = (place.table(), if place == Place::Journal { "position" } else { "k" });
    format!(
        "DELETE FROM {table} USING unnest($1, $2) AS r(first, past) WHERE {column} >= r.first AND {column} < r.past"
    )
}

/// One statement for all tables: they see one snapshot, so no row may be touched twice.
fn change(deletes: Places, puts: Places) -> String {
    let mut parts = Vec::new();
    let mut number = 0;
    for place in deletes.iter() {
        number += 1;
        let column = if place == Place::Journal { "position" } else { "k" };
        parts.push(format!("d{number} AS (DELETE FROM {} WHERE {column} = ANY(${number}))", place.table()));
    }
    for place in puts.iter() {
        let (keys, values) = (number + 1, number + 2);
        number = values;
        let mut part = format!("p{keys} AS (INSERT INTO {} ", place.table());
        // A position is given once: a second row for it must fail, not replace the first.
        let rest = match place {
            Place::Journal => format!("(position, v) SELECT * FROM unnest(${keys}, ${values})"),
            _ => {
                format!("(k, v) SELECT * FROM unnest(${keys}, ${values}) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v")
            }
        };
        // Writing to a string does not fail.
        let _ = write!(part, "{rest})");
        parts.push(part);
    }
    format!("WITH {} SELECT 1", parts.join(", "))
}
