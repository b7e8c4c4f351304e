//! Refuses a pooler that gives a session to somebody else between transactions: prepared statements, settings and LISTEN
//! would be on another session than the one that uses them.

use wardstead_engine::EngineError;

use crate::{connection::Connection, error};

/// While one session holds a transaction, another must still be on the backend that it was on before, and not on the same.
/// A pooler gives the backend that was freed last, so that the transaction takes the other session's.
///
/// # Errors
/// `Unavailable` with a sentence for the operator.
pub(crate) async fn refuse(one: &Connection, other: &Connection) -> Result<(), EngineError> {
    let failed = |error| error::unavailable(&error);
    let first = backend(one).await?;
    other.client().batch_execute("BEGIN").await.map_err(failed)?;
    let held = backend(other).await?;
    if first != one.server.backend || held != other.server.backend || held == first {
        return Err(pooled());
    }
    let again = backend(one).await?;
    other.client().batch_execute("ROLLBACK").await.map_err(failed)?;
    if again == first { Ok(()) } else { Err(pooled()) }
}

fn pooled() -> EngineError {
    let why = "the database URL leads to a pooler in transaction mode; use the database's own address, or session mode";
    EngineError::Unavailable(why.to_owned())
}

/// The server's own number of a session. Not a prepared statement: a pooler would fail it for another reason.
async fn backend(connection: &Connection) -> Result<i64, EngineError> {
    let answers = connection.client().simple_query("SELECT pg_backend_pid()").await;
    let answers = answers.map_err(|error| error::unavailable(&error))?;
    let number = answers.iter().find_map(|answer| match answer {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    number.ok_or_else(|| EngineError::Unavailable("the database did not say which backend serves".to_owned()))
}
