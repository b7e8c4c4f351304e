//! Reads: a bounded pool of connections, each read one round trip.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use deadpool::managed::{Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Row, Statement, types::ToSql};
use wardstead_engine::{Cell, EngineError, Key, Page, PageBuilder, PageLimit, Position, ScanRange, value};
use wardstead_limits::postgres as limits;

use crate::{
    PostgresOptions,
    connection::{Connection, Role},
    error,
    health::Health,
    place::{Place, Places, Segment, segments},
    sql::Sql,
    writes::{Keys, Parameter},
};

/// Makes connections for the pool.
pub(crate) struct Manager {
    options: Arc<PostgresOptions>,
    health: Health,
}

impl deadpool::managed::Manager for Manager {
    /// With the number of losses before it was made.
    type Type = Reader;
    type Error = EngineError;

    async fn create(&self) -> Result<Reader, EngineError> {
        let losses = self.health.losses();
        // Boxed: making a connection is a large future, and each read would carry it.
        let connection = Box::pin(Connection::open(&self.options, Role::Reader, None)).await?;
        Ok(Reader { connection, losses })
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<EngineError> {
        if reader.connection.is_closed() || reader.losses != self.health.losses() {
            return Err(RecycleError::message("it ended"));
        }
        Ok(())
    }
}

/// A connection of the pool.
pub(crate) struct Reader {
    connection: Connection,
    losses: u64,
}

/// How the pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that are open.
    pub open: usize,
    /// Of those, connections that nobody uses.
    pub idle: usize,
    /// The most that are opened.
    pub most: usize,
    /// Reads that wait for one.
    pub waiting: usize,
}

/// The pool.
pub(crate) struct Readers {
    pool: Pool<Manager>,
}

impl Readers {
    pub(crate) fn new(options: &Arc<PostgresOptions>, health: &Health) -> Result<Self, EngineError> {
        let manager = Manager { options: Arc::clone(options), health: health.clone() };
        let pool = Pool::builder(manager).max_size(options.connections.max(1)).build();
        Ok(Self { pool: pool.map_err(|error| EngineError::Unavailable(error.to_string()))? })
    }

    /// Calls after it are `Unavailable`.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// How it stands.
    pub(crate) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus { open: status.size, idle: status.available, most: status.max_size, waiting: status.waiting }
    }

    pub(crate) async fn position(&self) -> Result<Position, EngineError> {
        let mut reader = self.reader().await?;
        let connection = &mut reader.connection;
        let statement = connection.statement(Sql::Newest).await.map_err(|error| error::unavailable(&error))?;
        newest(connection, &statement).await
    }

    pub(crate) async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        let (places, parameters) = by_place(keys);
        let mut reader = self.reader().await?;
        let connection = &mut reader.connection;
        let rows = if places.is_empty() {
            reach(connection, at).await?;
            Vec::new()
        } else {
            let first = keys.first();
            rows_at(connection, at, Sql::Read(places), &parameters, first).await?
        };
        let stored: HashMap<&[u8], &[u8]> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let cell = |key: &Key| {
            let found = stored.get(key.as_bytes()).map(|stored| Bytes::copy_from_slice(stored));
            found.map(|stored| value::open(key, &stored)).transpose()
        };
        keys.iter().map(cell).collect()
    }

    pub(crate) async fn scan(&self, at: Position, range: &ScanRange, limit: PageLimit) -> Result<Page, EngineError> {
        let limit = limit.clamped();
        let mut page = PageBuilder::new(range, limit);
        let mut segments = segments(&range.from, &range.to);
        if range.reverse {
            segments.reverse();
        }
        let mut reader = self.reader().await?;
        let connection = &mut reader.connection;
        if segments.is_empty() {
            reach(connection, at).await?;
        }
        // One row more than the page holds tells where the next one starts.
        let mut left = limit.rows + 1;
        for segment in segments {
            let rows = segment_rows(connection, at, &segment, range, left, limit.bytes).await?;
            left = left.saturating_sub(rows.len());
            for row in &rows {
                let (key, stored): (&[u8], &[u8]) = (row.get(0), row.get(1));
                let key = Key::from_stored(Bytes::copy_from_slice(key)).ok_or_else(|| {
                    EngineError::corrupt(&range.from, format!("{key:02x?} in its range is not a key"))
                })?;
                if !page.add(key, &Bytes::copy_from_slice(stored))? {
                    return Ok(page.finish());
                }
            }
        }
        Ok(page.finish())
    }

    async fn reader(&self) -> Result<Object<Manager>, EngineError> {
        if self.pool.status().waiting >= limits::READ_QUEUE {
            return Err(EngineError::Busy("too many reads wait for a connection"));
        }
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => error::closed(),
            other => EngineError::Unavailable(other.to_string()),
        })
    }
}

/// The tables of `keys`, and what to ask each for.
pub(crate) fn by_place(keys: &[Key]) -> (Places, Vec<Parameter>) {
    let mut of_place = Place::ALL.map(|place| (place, Keys::new(place)));
    for key in keys {
        // A key that no row can have is not asked for.
        of_place[Place::of(key) as usize].1.add(key);
    }
    let wanted = of_place.into_iter().filter(|(_, keys)| !keys.is_empty());
    let (places, parameters): (Vec<Place>, Vec<Parameter>) =
        wanted.map(|(place, keys)| (place, keys.parameter())).unzip();
    (places.into_iter().collect(), parameters)
}

async fn segment_rows(
    connection: &mut Connection,
    at: Position,
    segment: &Segment,
    range: &ScanRange,
    rows: usize,
    bytes: usize,
) -> Result<Vec<Row>, EngineError> {
    let place = segment.place();
    let by_bytes = rows > limits::PLAIN_PAGE_ROWS && place != Place::Journal;
    let sql = Sql::Page { place, reverse: range.reverse, by_bytes };
    let most = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let (rows, bytes) = (most(rows), most(bytes));
    let statement = connection.statement(sql).await.map_err(|error| error::unavailable(&error))?;
    let mut parameters: Vec<&(dyn ToSql + Sync)> = match segment {
        Segment::Keys(_, from, to) => vec![from, to, &rows],
        Segment::Positions(from, to) => vec![from, to, &rows],
    };
    if by_bytes {
        parameters.push(&bytes);
    }
    floored(connection, at, &statement, &parameters, Some(&range.from)).await
}

async fn rows_at(
    connection: &mut Connection,
    at: Position,
    sql: Sql,
    parameters: &[Parameter],
    first: Option<&Key>,
) -> Result<Vec<Row>, EngineError> {
    let statement = connection.statement(sql).await.map_err(|error| error::unavailable(&error))?;
    let slices: Vec<_> = parameters.iter().map(Parameter::slices).collect();
    let parameters: Vec<_> = slices.iter().map(crate::writes::Slices::as_sql).collect();
    floored(connection, at, &statement, &parameters, first).await
}

/// The rows as of `at` or later. What a server has once shown to be visible stays so as long as the connection does; only a
/// floor above that costs a look, which is sent ahead in the same round trip.
async fn floored(
    connection: &mut Connection,
    at: Position,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
    first: Option<&Key>,
) -> Result<Vec<Row>, EngineError> {
    let mut waited_ms = 0;
    loop {
        let look = if at.0 > connection.seen {
            Some(connection.statement(Sql::Newest).await.map_err(|error| error::unavailable(&error))?)
        } else {
            None
        };
        let client = connection.client();
        let looking = async {
            match &look {
                Some(look) => client.query_one(look, &[]).await.map(|row| Some(row.get::<_, i64>(0))),
                None => Ok(None),
            }
        };
        // In this order: `join` starts its futures one after the other, and what is sent first is answered first.
        let (newest, rows) = futures::join!(looking, client.query(statement, parameters));
        let newest = newest.map_err(|error| error::unavailable(&error))?;
        let rows = rows.map_err(|error| error::reading(&error, first))?;
        connection.seen = connection.seen.max(newest.map_or(0, i64::cast_unsigned));
        if at.0 <= connection.seen {
            return Ok(rows);
        }
        waited_ms = wait_for(at, connection.seen, waited_ms).await?;
    }
}

/// Waits until `at` is visible.
async fn reach(connection: &mut Connection, at: Position) -> Result<(), EngineError> {
    let mut waited_ms = 0;
    while at.0 > connection.seen {
        let statement = connection.statement(Sql::Newest).await.map_err(|error| error::unavailable(&error))?;
        newest(connection, &statement).await?;
        if at.0 > connection.seen {
            waited_ms = wait_for(at, connection.seen, waited_ms).await?;
        }
    }
    Ok(())
}

async fn wait_for(at: Position, seen: u64, waited_ms: u64) -> Result<u64, EngineError> {
    if waited_ms >= limits::FLOOR_WAIT_MS {
        return Err(EngineError::floor(at, Position(seen)));
    }
    sleep(Duration::from_millis(limits::FLOOR_POLL_MS)).await;
    Ok(waited_ms + limits::FLOOR_POLL_MS)
}

async fn newest(connection: &mut Connection, statement: &Statement) -> Result<Position, EngineError> {
    let row = connection.client().query_one(statement, &[]).await.map_err(|error| error::unavailable(&error))?;
    let newest = row.get::<_, i64>(0).cast_unsigned();
    connection.seen = connection.seen.max(newest);
    Ok(Position(newest))
}

/// A read within the time that the server gives it, and a little for the way.
pub(crate) async fn bounded<T>(read: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    match timeout(Duration::from_millis(limits::READ_MS + limits::CONNECT_MS), read).await {
        Ok(result) => result,
        Err(_) => Err(EngineError::Unavailable("the database did not answer a read in time".to_owned())),
    }
}
