//! What is true of a server that was restored from a backup, wherever it keeps its data.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use harness::user::text;
use harness::{Http, Message, Reader, User, check, promised};

use crate::verify::history;
use crate::ward::Ward;

/// What is acknowledged of all writers: writer and sequence number.
pub fn everything(ward: &Ward) -> Vec<(usize, usize)> {
    ward.writers.iter().flat_map(|writer| (0..writer.sent.len()).map(|sequence| (writer.number, sequence))).collect()
}

/// Access tokens from before the restore are refused, and clients are told to keep their data (Client-Server API, Soft logout).
pub async fn refused(http: &Http, readers: &[Reader]) -> Result<()> {
    for reader in readers {
        let answer = reader.user.over(http).get("/account/whoami").await?;
        let soft = answer.body["errcode"] == "M_UNKNOWN_TOKEN" && answer.body["soft_logout"] == true;
        promised!(answer.status == 401 && soft, "an access token after the restore: {} {}", answer.status, answer.body);
    }
    Ok(())
}

/// Signs every user in again; by user id.
pub async fn sign_in(http: &Http, ward: &Ward) -> Result<BTreeMap<String, User>> {
    let mut again = BTreeMap::new();
    for reader in &ward.readers {
        let answer =
            User::login(http, &reader.user.id, User::password()).await?.ok().context("login after the restore")?;
        let mut user = reader.user.over(http);
        user.token = text(&answer, "access_token")?;
        again.insert(user.id.clone(), user);
    }
    Ok(again)
}

/// Each room has what was promised, with its event id, and of each writer nothing with a hole before it.
pub async fn all_there(ward: &Ward, promised: &[(usize, usize)], again: &BTreeMap<String, User>) -> Result<()> {
    for room in &ward.rooms {
        let writer = ward.writers.iter().find(|writer| writer.room == *room).context("a room has writers")?;
        let messages = history(&again[&writer.user.id], room).await?;
        // Messages from after the backup are missing; what is left of each writer must be a beginning of what it sent.
        let mut cut: Vec<_> = ward.writers.iter().filter(|writer| writer.room == *room).cloned().collect();
        for writer in &mut cut {
            let kept = (0..writer.sent.len()).take_while(|n| has(&messages, &writer.label(*n))).count();
            writer.sent.truncate(kept);
        }
        check::messages(&messages, &cut, room, true).context("after the restore")?;
        for (number, sequence) in promised {
            let there = cut.iter().find(|writer| writer.number == *number).is_none_or(|w| w.sent.len() > *sequence);
            promised!(there, "message {sequence} of writer {number}, acknowledged before the backup began");
        }
    }
    Ok(())
}

fn has(messages: &[Message], body: &str) -> bool {
    messages.iter().any(|message| message.body == body)
}

/// A sync token from before the backup brings what came between. One from after it, which may be beyond all that the restored
/// server has, is answered, and brings what is sent from now on.
pub async fn tokens(
    ward: &Ward,
    promised: &[(usize, usize)],
    early: &[Reader],
    again: &BTreeMap<String, User>,
) -> Result<()> {
    for reader in early {
        let mut reader = Reader { user: again[&reader.user.id].clone(), ..reader.clone() };
        reader.catch_up().await.context("from a token from before the backup")?;
        for (number, sequence) in promised {
            let writer = &ward.writers[*number];
            let follows = reader.rooms.contains_key(&writer.room);
            let label = writer.label(*sequence);
            promised!(!follows || has(reader.messages(&writer.room), &label), "{label} for {}", reader.user.id);
        }
    }
    for (number, room) in ward.rooms.iter().enumerate() {
        let writer = ward.writers.iter().find(|writer| writer.room == *room).context("a room has writers")?;
        again[&writer.user.id].must_send(room, &format!("after-{number}"), "after the restore").await?;
    }
    for reader in &ward.readers {
        let user = &again[&reader.user.id];
        let answer = user.sync(reader.since.as_deref(), 0, 10).await.context("from a token from after the backup")?;
        for (room, _) in reader.rooms.iter().filter(|(room, _)| ward.rooms.contains(room)) {
            let newest = history(user, room).await?.pop().context("a room has messages")?;
            let timeline = answer["rooms"]["join"][room]["timeline"]["events"].as_array();
            let shown =
                timeline.is_some_and(|events| events.iter().any(|event| event["event_id"] == newest.event.as_str()));
            promised!(shown, "the newest message of {room} for {}, whose token is from after the backup", user.id);
        }
    }
    Ok(())
}
