//! The bus over LISTEN and NOTIFY, on a connection of its own: a NOTIFY within a group would have all commits of the
//! installation wait for each other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_postgres::Notification;
use wardstead_engine::{Bus, BusError, BusMessage, EngineError, Topic, bus};
use wardstead_limits::{
    engine::{BUS_BACKLOG_MESSAGES, BUS_PAYLOAD_BYTES},
    postgres as limits,
};

use crate::{
    PostgresOptions,
    connection::{Connection, Role},
    error,
};

/// Whatever the bus carries fits: a letter, then base64, four characters for three bytes.
const _: () = assert!(BUS_PAYLOAD_BYTES.div_ceil(3) * 4 < limits::NOTIFY_PAYLOAD_BYTES);

const CHANNEL: &str = "wardstead";

/// A message on its way to the server, and who waits for that.
type Outgoing = (String, oneshot::Sender<Result<(), BusError>>);

/// The bus. While its connection is lost, messages are dropped, each with an error; it connects again by itself.
#[derive(Debug)]
pub struct PostgresBus {
    heard: Arc<broadcast::Sender<BusMessage>>,
    outbox: mpsc::Sender<Outgoing>,
    task: AbortHandle,
}

impl PostgresBus {
    /// Connects and listens.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached.
    pub async fn open(options: &PostgresOptions) -> Result<Self, EngineError> {
        let heard = Arc::new(broadcast::Sender::new(BUS_BACKLOG_MESSAGES));
        let (outbox, outgoing) = mpsc::channel(limits::NOTIFY_QUEUE_MESSAGES);
        let line = Line::open(options).await?;
        let task = tokio::spawn(run(options.clone(), line, outgoing, Arc::clone(&heard))).abort_handle();
        Ok(Self { heard, outbox, task })
    }

    /// Ends the connection. Messages after it are dropped with an error.
    pub async fn close(&self) {
        self.task.abort();
        self.outbox.closed().await;
    }
}

impl Drop for PostgresBus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, message: BusMessage) -> Result<(), BusError> {
        bus::check(&message)?;
        let (tell, told) = oneshot::channel();
        let refused = |why: &str| BusError::Unavailable(why.to_owned());
        self.outbox
            .try_send((encode(&message), tell))
            .map_err(|_| refused("too many messages wait, or it is closed"))?;
        match timeout(Duration::from_millis(limits::NOTIFY_MS), told).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(refused("the connection was lost")),
            Err(_) => Err(refused("the database did not take it in time")),
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.heard.subscribe()
    }
}

fn encode(message: &BusMessage) -> String {
    let mut text = String::from(message.topic.letter());
    BASE64.encode_string(&message.payload, &mut text);
    text
}

/// `None` for what no node of ours sends.
fn decode(text: &str) -> Option<BusMessage> {
    let topic = Topic::of_letter(text.chars().next()?)?;
    let payload = BASE64.decode(text.get(1..)?).ok()?;
    Some(BusMessage { topic, payload: payload.into() })
}

/// A connection that listens.
struct Line {
    connection: Connection,
    notifications: mpsc::Receiver<Notification>,
}

impl Line {
    async fn open(options: &PostgresOptions) -> Result<Self, EngineError> {
        let (sender, notifications) = mpsc::channel(BUS_BACKLOG_MESSAGES);
        let connection = Connection::open(options, Role::Bus, Some(sender)).await?;
        let listening = connection.client().batch_execute("LISTEN wardstead");
        match timeout(Duration::from_millis(limits::CONNECT_MS), listening).await {
            Ok(listened) => listened.map_err(|error| error::unavailable(&error))?,
            Err(_) => return Err(EngineError::Unavailable("the database does not answer".to_owned())),
        }
        Ok(Self { connection, notifications })
    }

    /// Hands all of `batch` to the server in one transaction.
    async fn notify(&self, batch: Vec<Outgoing>) -> Result<(), String> {
        let (payloads, senders): (Vec<String>, Vec<_>) = batch.into_iter().unzip();
        let sending = async {
            let sql = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
            self.connection
                .client()
                .query_typed(
                    sql,
                    &[
                        (&CHANNEL, tokio_postgres::types::Type::TEXT),
                        (&payloads, tokio_postgres::types::Type::TEXT_ARRAY),
                    ],
                )
                .await
        };
        let result = match timeout(Duration::from_millis(limits::NOTIFY_MS), sending).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error::describe(&error)),
            Err(_) => Err("the database did not take it in time".to_owned()),
        };
        for sender in senders {
            // Who does not wait any more need not be told.
            drop(sender.send(result.clone().map_err(BusError::Unavailable)));
        }
        result
    }
}

/// Sends and hears until the bus is dropped.
async fn run(
    options: PostgresOptions,
    line: Line,
    mut outgoing: mpsc::Receiver<Outgoing>,
    heard: Arc<broadcast::Sender<BusMessage>>,
) {
    let mut open = Some(line);
    let mut pause_ms = limits::RECONNECT_LEAST_MS;
    loop {
        if let Some(line) = open.take() {
            pause_ms = limits::RECONNECT_LEAST_MS;
            let Some(why) = carry(line, &mut outgoing, &heard).await else { return };
            tracing::warn!(why, "the bus lost its connection");
        }
        let connecting = async {
            sleep(Duration::from_millis(pause_ms)).await;
            Line::open(&options).await
        };
        let Some(connected) = refuse_until(connecting, &mut outgoing).await else { return };
        match connected {
            Ok(line) => {
                tracing::info!("the bus is connected again");
                open = Some(line);
            }
            Err(error) => tracing::debug!(%error, "the bus does not connect"),
        }
        pause_ms = (pause_ms * 2).min(limits::RECONNECT_MOST_MS);
    }
}

/// Carries messages both ways; returns why it ended, `None` when the bus was dropped.
async fn carry(
    mut line: Line,
    outgoing: &mut mpsc::Receiver<Outgoing>,
    heard: &broadcast::Sender<BusMessage>,
) -> Option<String> {
    loop {
        tokio::select! {
            notification = line.notifications.recv() => {
                let Some(notification) = notification else { return Some("it was closed".to_owned()) };
                if let Some(message) = decode(notification.payload()).filter(|_| notification.channel() == CHANNEL) {
                    // Without a receiver nobody is there to be told.
                    drop(heard.send(message));
                } else {
                    tracing::debug!("a notification that is no message of ours");
                }
            }
            message = outgoing.recv() => {
                let mut batch = vec![message?];
                while let Ok(message) = outgoing.try_recv() {
                    batch.push(message);
                }
                if let Err(why) = line.notify(batch).await {
                    return Some(why);
                }
            }
        }
    }
}

/// Runs `connecting`, and drops with an error what is to be sent meanwhile. `None` when the bus was dropped.
async fn refuse_until<T>(connecting: impl Future<Output = T>, outgoing: &mut mpsc::Receiver<Outgoing>) -> Option<T> {
    tokio::pin!(connecting);
    loop {
        tokio::select! {
            connected = &mut connecting => return Some(connected),
            message = outgoing.recv() => {
                let (_, tell) = message?;
                drop(tell.send(Err(BusError::Unavailable("the connection is lost".to_owned()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wardstead_limits::engine::BUS_PAYLOAD_BYTES;

    use super::*;

    #[test]
    fn the_longest_message_fits_a_notification_and_reads_back() {
        for topic in Topic::ALL {
            let message = BusMessage { topic, payload: vec![255; BUS_PAYLOAD_BYTES].into() };
            let text = encode(&message);
            assert!(text.len() <= limits::NOTIFY_PAYLOAD_BYTES, "{} bytes", text.len());
            assert_eq!(decode(&text), Some(message));
        }
        for foreign in ["", "c", "x", "é", "tno base64", "xAAAA"] {
            assert_eq!(decode(foreign).is_some(), foreign == "c", "{foreign}");
        }
    }
}
