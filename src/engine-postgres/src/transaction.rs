//! The transaction of a group or a lease: what is sent, and what is decided between the two round trips.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Statement;
use wardstead_engine::{
    Cell, EngineError, Group, GroupOutcome, Key, Lease, LeaseRequest, Writer,
    lease::{self, Decision},
    plan::{self, Change},
    system::{self, EpochReason},
    value,
};

use crate::{
    connection::Connection,
    error,
    pipeline::{Request, pipeline},
    place::{Place, Places},
    read::by_place,
    sql::Sql,
    state::State,
    writes::{Parameter, Slices, Writes, forms},
};

/// What is to be done under the position lock.
#[derive(Debug)]
pub(crate) enum Job {
    Group(Group),
    Lease(LeaseRequest),
    /// Only looks, so that the epoch is raised where another server has taken over.
    Look,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Group(GroupOutcome),
    Lease(Option<Lease>),
    Looked(State),
}

/// Prepared writes.
pub(crate) type Prepared = Vec<(Statement, Vec<Parameter>)>;

/// What follows the first round trip.
pub(crate) enum Next {
    /// Nothing is written.
    Leave(Result<Answer, EngineError>),
    /// This is written; without an answer, the job is done once more afterwards.
    Commit(Prepared, Option<Answer>),
}

/// On what terms it is decided.
pub(crate) struct Terms {
    /// In place of the server's clock.
    pub(crate) now_ms: Option<u64>,
    /// Even where nothing is written, a COMMIT waits for the standby.
    pub(crate) commit_always: bool,
}

/// What the first round trip found.
pub(crate) struct Seen {
    state: State,
    /// Timeline and system identifier of the position row.
    known: (i64, i64),
    stored: HashMap<Key, Bytes>,
    change: Option<Sql>,
}

impl Seen {
    pub(crate) fn waits_for_standby(&self) -> bool {
        self.state.waits_for_standby
    }

    fn cell(&self, key: &Key) -> Result<Option<Cell>, EngineError> {
        self.stored.get(key).map(|stored| value::open(key, stored)).transpose()
    }
}

impl Job {
    fn keys(&self) -> Vec<Key> {
        let mut keys = match self {
            Self::Group(group) => plan::asserted_keys(group),
            Self::Lease(request) => vec![system::lease_key(&request.name)],
            Self::Look => vec![],
        };
        keys.push(system::epoch_key());
        keys
    }

    /// The statements that it may write with.
    fn forms(&self) -> (Vec<Sql>, Option<Sql>) {
        match self {
            Self::Group(group) => forms(group),
            Self::Lease(_) => {
                let puts = [Place::Point].into_iter().collect();
                (vec![], Some(Sql::Change { deletes: Places::default(), puts }))
            }
            Self::Look => (vec![], None),
        }
    }
}

/// The first round trip. Statements that this connection has not used before are prepared ahead of it, while no lock is held.
///
/// # Errors
/// `Unavailable`; the transaction may be open.
pub(crate) async fn look(connection: &mut Connection, job: &Job) -> Result<Seen, EngineError> {
    let failed = |error| error::unavailable(&error);
    let (places, parameters) = by_place(&job.keys());
    let (ranges, change) = job.forms();
    for sql in ranges.into_iter().chain(change) {
        connection.statement(sql).await.map_err(failed)?;
    }
    let lock = connection.statement(Sql::Lock).await.map_err(failed)?;
    let read = connection.statement(Sql::ReadForGroup(places)).await.map_err(failed)?;

    let slices: Vec<Slices<'_>> = parameters.iter().map(Parameter::slices).collect();
    let slices: Vec<_> = slices.iter().map(Slices::as_sql).collect();
    let client = connection.client();
    let begin: Request<'_, _> = Box::pin(async {
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await.map(|()| vec![])
    });
    let answers =
        pipeline(vec![begin, Box::pin(client.query(&lock, &[])), Box::pin(client.query(&read, &slices))]).await;
    // The first failure is the cause of those after it.
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let known = answers.get(1).and_then(|rows| rows.first()).map(|row| (row.get(0), row.get(1)));
    let known = known.ok_or_else(|| EngineError::Unavailable("the position row is missing".to_owned()))?;

    let mut state = None;
    let mut stored = HashMap::new();
    for row in answers.get(2).into_iter().flatten() {
        let (key, found): (&[u8], &[u8]) = (row.get(0), row.get(1));
        match Key::from_stored(Bytes::copy_from_slice(key)) {
            Some(key) => drop(stored.insert(key, Bytes::copy_from_slice(found))),
            None => state = Some(State::read(found)?),
        }
    }
    let state = state.ok_or_else(|| EngineError::Unavailable("the database's state is missing".to_owned()))?;
    Ok(Seen { state, known, stored, change })
}

/// What to write for `job`, and what to answer once it is durable.
///
/// # Errors
/// Those of the job's method; nothing is written then.
pub(crate) async fn decide(
    connection: &mut Connection,
    job: &Job,
    seen: Seen,
    terms: &Terms,
) -> Result<Next, EngineError> {
    let now_ms = terms.now_ms.unwrap_or(seen.state.now_ms);
    if seen.known != (i64::from(seen.state.timeline), connection.server.system_identifier) {
        return raise_epoch(connection, &seen, now_ms).await;
    }
    match job {
        Job::Look => Ok(Next::Leave(Ok(Answer::Looked(seen.state)))),
        Job::Group(group) => {
            plan::check_epoch(group, seen.cell(&system::epoch_key())?.map(|cell| cell.version))?;
            let mut versions = HashMap::new();
            for key in plan::asserted_keys(group) {
                if let Some(cell) = seen.cell(&key)? {
                    versions.insert(key, cell.version);
                }
            }
            let plan = plan::plan(group, seen.state.newest, versions);
            // Who commits an empty group wants to know that what came before it is through, on the standby too.
            let commit = terms.commit_always || group.batches.is_empty() || !plan.changes.is_empty();
            let answer = Answer::Group(plan.outcome);
            if !commit {
                return Ok(Next::Leave(Ok(answer)));
            }
            Ok(Next::Commit(prepare(connection, plan.changes, seen.change).await?, Some(answer)))
        }
        Job::Lease(request) => {
            let key = system::lease_key(&request.name);
            match lease::decide(&key, seen.cell(&key)?.as_ref(), request, now_ms)? {
                Decision::Refuse => Ok(Next::Leave(Ok(Answer::Lease(None)))),
                Decision::Write(lease, payload) => {
                    let stored = value::seal(&key, lease.fencing, &[], &payload);
                    let writes = prepare(connection, vec![Change::Put(key, stored)], seen.change).await?;
                    Ok(Next::Commit(writes, Some(Answer::Lease(Some(lease)))))
                }
            }
        }
    }
}

async fn prepare(
    connection: &mut Connection,
    changes: Vec<Change>,
    change: Option<Sql>,
) -> Result<Prepared, EngineError> {
    let mut prepared = Vec::new();
    for (sql, parameters) in Writes::of(changes).statements(change)? {
        let statement = connection.statement(sql).await.map_err(|error| error::unavailable(&error))?;
        prepared.push((statement, parameters));
    }
    Ok(prepared)
}

/// Another server has taken over, or the data lies on another one: it may lack what the former acknowledged.
async fn raise_epoch(connection: &mut Connection, seen: &Seen, now_ms: u64) -> Result<Next, EngineError> {
    let key = system::epoch_key();
    let cell = seen.cell(&key)?;
    let batch = system::raise_epoch(cell.as_ref(), seen.state.newest, EpochReason::Failover, now_ms)?;
    // Nobody looks this writer up: whoever finds the outcome unknown looks again.
    let writer = Writer { incarnation: 0, group: 0 };
    let group = Group { epoch: cell.as_ref().map_or(0, |cell| cell.version), writer, batches: vec![batch.into()] };
    let plan = plan::plan(&group, seen.state.newest, cell.map(|cell| (key, cell.version)));
    let (_, change) = forms(&group);
    let mut prepared = prepare(connection, plan.changes, change).await?;
    let set = connection.statement(Sql::SetServer).await.map_err(|error| error::unavailable(&error))?;
    let timeline = i64::from(seen.state.timeline);
    let server = [timeline, connection.server.system_identifier].map(Parameter::Number);
    prepared.push((set, server.into()));
    tracing::warn!(
        timeline,
        newest = seen.state.newest.0,
        "another database server has taken over: a new epoch begins"
    );
    Ok(Next::Commit(prepared, None))
}

/// The second round trip: the writes and COMMIT. The connection is given back for the next group, or to be dropped once
/// nothing is to be waited for.
///
/// Errors: `Unavailable` when the server refused a write, and has thus rolled all back; `Unknown` when it did not answer
/// all, or answered COMMIT with a warning, which says that a standby may not have it.
pub(crate) async fn commit(connection: Connection, writes: Prepared) -> (Connection, Result<(), EngineError>) {
    drop(connection.take_warning());
    let result = send(&connection, &writes).await;
    let result = match (result, connection.take_warning()) {
        (Ok(()), Some(warning)) => Err(EngineError::Unknown(format!("COMMIT was answered with a warning: {warning}"))),
        (result, _) => result,
    };
    (connection, result)
}

async fn send(connection: &Connection, writes: &Prepared) -> Result<(), EngineError> {
    let client = connection.client();
    let mut requests: Vec<Request<'_, ()>> = Vec::new();
    for (statement, parameters) in writes {
        requests.push(Box::pin(async move {
            let slices: Vec<Slices<'_>> = parameters.iter().map(Parameter::slices).collect();
            let slices: Vec<_> = slices.iter().map(Slices::as_sql).collect();
            client.execute(statement, &slices).await.map(drop)
        }));
    }
    requests.push(Box::pin(client.batch_execute("COMMIT")));
    let mut answers = pipeline(requests).await;
    let committed = answers.pop();
    for answer in answers {
        match answer {
            Ok(()) => {}
            // The server has seen the failure before COMMIT, which it then takes for a ROLLBACK.
            Err(failure) if failure.as_db_error().is_some() => return Err(error::unavailable(&failure)),
            Err(failure) => return Err(EngineError::Unknown(error::describe(&failure))),
        }
    }
    match committed {
        Some(Ok(())) => Ok(()),
        Some(Err(failure)) => Err(EngineError::Unknown(error::describe(&failure))),
        None => Err(EngineError::Unknown("COMMIT was not sent".to_owned())),
    }
}
