//! The database stands still, then goes away: requests are put off and say so, readiness tells it, and all recovers by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::{Http, Load, Nodes, User, Writer, check, client};
use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::ward::all;
use crate::{Size, verify};

const WRITERS: usize = 8;
/// Acknowledged sends before each loss.
const SENDS: u32 = 40;
/// What is still not as it must be after this is a fault on any machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Promised: a request is put off within this.
const PUT_OFF: Duration = Duration::from_secs(2);
/// Promised: all is well again within this of the database's return.
const RECOVERY: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

pub async fn run(folder: &Path, size: Size) -> Result<()> {
    let mut nodes = Nodes::start(folder, 2, false)?;
    let founder = User::register(nodes.http(), "founder").await?;
    let room = founder.create_room("public_chat", &[]).await?;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let user = User::register(&nodes.http().own_turn(number), &format!("writer-{number}")).await?;
        user.join(&room).await?;
        writers.push(Writer::new(number, user, &room));
    }
    for node in 0..2 {
        ready(&nodes.launches[node].observer()?, true).await.context("before anything happened")?;
    }
    for (what, how) in [("stands still", Loss::Freeze), ("goes away", Loss::Crash)] {
        let load = Load::default();
        let mut sending = JoinSet::new();
        let count = writers.first().map_or(0, |writer| writer.sent.len()) + 30;
        for mut writer in writers.drain(..) {
            let load = load.clone();
            sending.spawn(async move {
                writer.send_until(count, &load).await?;
                anyhow::Ok(writer)
            });
        }
        load.acknowledged(SENDS).await?;
        happens(&mut nodes, how, &founder, &room, size).await.with_context(|| format!("the database {what}"))?;
        writers = all(sending).await.with_context(|| format!("the database {what}"))?;
        let history = verify::history(&founder, &room).await?;
        check::messages(&history, &writers, &room, true).with_context(|| format!("after the database {what}"))?;
        println!("lost: the database {what}: {} messages are there", history.len());
    }
    nodes.stop()
}

#[derive(Clone, Copy, Debug)]
enum Loss {
    Freeze,
    Crash,
}

/// The loss, what the nodes say of it, the return, what they say of that.
async fn happens(nodes: &mut Nodes, how: Loss, user: &User, room: &str, size: Size) -> Result<()> {
    match how {
        Loss::Freeze => nodes.postgres.freeze()?,
        Loss::Crash => nodes.postgres.crash()?,
    }
    let mut slowest = Duration::ZERO;
    for node in 0..2 {
        let user = user.over(&nodes.only(node));
        for request in Request::ALL {
            slowest = slowest.max(put_off(&user, request, room).await.with_context(|| format!("{request:?}"))?);
        }
    }
    let mut red = Duration::ZERO;
    for node in 0..2 {
        red = red.max(ready(&nodes.launches[node].observer()?, false).await?);
    }
    match how {
        Loss::Freeze => nodes.postgres.thaw()?,
        Loss::Crash => nodes.postgres.start_again()?,
    }
    let returned = Instant::now();
    for node in 0..2 {
        let user = user.over(&nodes.only(node));
        for request in Request::ALL {
            answered(&user, request, room).await.with_context(|| format!("{request:?}"))?;
        }
        ready(&nodes.launches[node].observer()?, true).await?;
    }
    let recovery = returned.elapsed();
    println!(
        "lost: put off after at most {} ms, readiness red {} ms later at most, all well {} ms after the return",
        slowest.as_millis(),
        red.as_millis(),
        recovery.as_millis()
    );
    ensure!(!size.whole || slowest <= PUT_OFF, "a request waited {} ms for its 503", slowest.as_millis());
    ensure!(!size.whole || recovery <= RECOVERY, "recovery took {} ms", recovery.as_millis());
    Ok(())
}

/// What clients ask for.
#[derive(Clone, Copy, Debug)]
enum Request {
    Send,
    Sync,
    Whoami,
    State,
}

impl Request {
    const ALL: [Self; 4] = [Self::Send, Self::Sync, Self::Whoami, Self::State];

    async fn ask(self, user: &User, room: &str) -> Result<harness::Answer> {
        let room = client::encode(room);
        match self {
            Self::Send => {
                // A type that the writers do not use. One transaction id, so that it happens at most once.
                let path = format!("/rooms/{room}/send/org.example.probe/probe");
                user.once(Method::PUT, &path, Some(&json!({}))).await
            }
            Self::Sync => user.once(Method::GET, "/sync?timeout=0", None).await,
            Self::Whoami => user.once(Method::GET, "/account/whoami", None).await,
            Self::State => user.once(Method::GET, &format!("/rooms/{room}/state"), None).await,
        }
    }
}

/// The request is answered 503 `M_UNKNOWN` with `Retry-After`; how long that took.
async fn put_off(user: &User, request: Request, room: &str) -> Result<Duration> {
    let began = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, request.ask(user, room)).await.context("no answer")??;
    let took = began.elapsed();
    ensure!(answer.status == 503, "answered {} {} without a database", answer.status, answer.body);
    ensure!(answer.body["errcode"] == "M_UNKNOWN", "503 with {}", answer.body);
    let after = answer.retry_after.context("503 without Retry-After")?;
    ensure!(after.parse::<u32>().is_ok(), "Retry-After: {after}");
    Ok(took)
}

/// The request is answered 200 within a minute; nothing but 503 comes before that.
async fn answered(user: &User, request: Request, room: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let answer = request.ask(user, room).await?;
        match answer.status {
            200 => return Ok(()),
            503 => tokio::time::sleep(LOOK).await,
            status => bail!("answered {status} {}", answer.body),
        }
    }
    bail!("still put off a minute after the database returned")
}

/// Waits until the node says that it is ready, or not; how long that took. It lives all the time.
async fn ready(observer: &Http, wanted: bool) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let (alive, _) = observer.text("/health/live").await?;
        ensure!(alive == 200, "/health/live says {alive}");
        let (status, text) = observer.text("/health/ready").await?;
        ensure!(matches!(status, 200 | 503), "/health/ready says {status} {text}");
        if (status == 200) == wanted {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "/health/ready still says {status} {text}");
        tokio::time::sleep(LOOK).await;
    }
}
