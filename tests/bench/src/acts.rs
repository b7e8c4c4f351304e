//! CPU of small acts: receipts, typing, signing up and in.

use anyhow::{Context, Result, ensure};
use harness::client::encode;
use harness::process::cpu_ns;
use harness::{Http, Launch, User};
use serde_json::json;
use tokio::task::JoinSet;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// People who act side by side, each in a room of its own.
const PEOPLE: usize = 10;
/// Acts of each in one run.
const EACH: u64 = 200;
/// Accounts made, and logins, of one run.
const SIGN_INS: u64 = 100;

const US: f64 = 1_000.0;

/// Receipts and typing with nobody listening.
pub async fn small(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let users = crowd::register(&launch.http(), "person", PEOPLE).await?;
    let rooms = crowd::own_rooms(&users).await?;
    let (mut receipts, mut typing) = (Runs::default(), Runs::default());
    // The first run warms up.
    for run in 0..=RUNS {
        let mut events = Vec::new();
        for (user, room) in users.iter().zip(&rooms) {
            let mut said = Vec::new();
            for number in 0..EACH {
                said.push(user.must_send(room, &format!("{run}-{number}"), crowd::TEXT).await?);
            }
            events.push(said);
        }
        let acts = EACH * PEOPLE as u64;
        let before = cpu_ns(server.pid())?;
        side_by_side(&users, &rooms, events, |user, room, event, _| async move {
            let path = format!("/rooms/{}/receipt/m.read/{}", encode(&room), encode(&event));
            user.post(&path, &json!({})).await?.ok().context("receipt").map(drop)
        })
        .await?;
        let between = cpu_ns(server.pid())?;
        let numbers = vec![vec![String::new(); usize::try_from(EACH)?]; PEOPLE];
        side_by_side(&users, &rooms, numbers, |user, room, _, number| async move {
            let path = format!("/rooms/{}/typing/{}", encode(&room), encode(&user.id));
            let body = json!({ "typing": number % 2 == 0, "timeout": 20_000 });
            user.put(&path, &body).await?.ok().context("typing").map(drop)
        })
        .await?;
        if run > 0 {
            receipts.add(per(between - before, acts, US));
            typing.add(per(cpu_ns(server.pid())? - between, acts, US));
        }
    }
    table.add("CPU a receipt, 10 people in 10 rooms, no listeners", &receipts, "µs", Some(100.0));
    table.add("CPU a change of typing, the same", &typing, "µs", Some(50.0));
    sign_in(&launch.http(), server.pid(), table).await?;
    server.stop()
}

/// Each user does `act` with each of its things, one after another.
async fn side_by_side<F, A>(users: &[User], rooms: &[String], things: Vec<Vec<String>>, act: F) -> Result<()>
where
    F: Fn(User, String, String, usize) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<()>> + Send,
{
    let mut people = JoinSet::new();
    for ((user, room), things) in users.iter().cloned().zip(rooms.iter().cloned()).zip(things) {
        let act = act.clone();
        people.spawn(async move {
            for (number, thing) in things.into_iter().enumerate() {
                act(user.clone(), room.clone(), thing, number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(person) = people.join_next().await {
        person??;
    }
    Ok(())
}

/// Accounts and logins, one after another. In development a hash of a password is the cheapest there is, so that what is left is all
/// the rest.
async fn sign_in(http: &Http, pid: u32, table: &mut Table) -> Result<()> {
    let (mut made, mut logins) = (Runs::default(), Runs::default());
    for run in 0..=RUNS {
        let before = cpu_ns(pid)?;
        for number in 0..SIGN_INS {
            User::register(http, &format!("new-{run}-{number}")).await?;
        }
        let between = cpu_ns(pid)?;
        for number in 0..SIGN_INS {
            let answer = User::login(http, &format!("new-{run}-{number}"), User::password()).await?;
            ensure!(answer.status == 200, "{answer:?}");
        }
        if run > 0 {
            made.add(per(between - before, SIGN_INS, US));
            logins.add(per(cpu_ns(pid)? - between, SIGN_INS, US));
        }
    }
    table.add("CPU an account, with the cheapest hash of a password", &made, "µs", Some(1_000.0));
    table.add("CPU a login, the same", &logins, "µs", Some(1_000.0));
    Ok(())
}
