//! The whole life of a room through two client libraries that others wrote: matrix-js-sdk and matrix-nio.
//!
//! Two people have a device in each. They take turns with everything that a room offers; after each act, both libraries are waited
//! for until they show it. At several points, and at the end, both show the same, and what they show is what the server
//! answers when it is asked; so do devices that sign in afterwards. Then two people have an encrypted conversation ([`secrets`]).

mod library;
mod secrets;
mod ward;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::{Launch, Scratch};
use serde_json::json;

use ward::{ALICE, ALICE_JS, ALICE_PY, BOB, BOB_JS, BOB_PY, Ward};

/// Messages while somebody is away: more than a sync brings.
const AWAY: usize = 30;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = Scratch::new()?;
    let result = live(folder.path()).await;
    folder.settle(result)
}

async fn live(folder: &Path) -> Result<()> {
    let launch = Launch::new(folder)?;
    let server = launch.start()?;
    let mut ward = Ward::open(&launch.address())?;
    begin(&mut ward).context("the beginning")?;
    let said = talk(&mut ward).context("the conversation")?;
    count(&mut ward).context("what is unread")?;
    furnish(&mut ward, &said).context("names, levels, marks")?;
    part(&mut ward).context("leaving and coming back")?;
    ward.settle(&launch.http()).await.context("the end")?;
    // They would complain of a server that ends.
    drop(ward);
    secrets::keep(&launch.address()).context("what is encrypted")?;
    server.stop()?;
    println!("clients: both libraries agree with each other and with the server");
    Ok(())
}

/// Names, a room, an invitation, a join.
fn begin(ward: &mut Ward) -> Result<()> {
    ward.act(ALICE_JS, "displayname", json!({ "name": "Alice Ames" }))?;
    ward.act(BOB_PY, "displayname", json!({ "name": "Bob Bell" }))?;
    let room = json!({ "name": "Ward 7", "preset": "private_chat", "invite": [ward.ids[BOB]] });
    let room = ward.act(ALICE_JS, "create", room)?;
    room.as_str().context("a room id")?.clone_into(&mut ward.room);
    ward.present.push(ALICE);
    let (alice, bob) = (ward.ids[ALICE].clone(), ward.ids[BOB].clone());
    ward.shown(ALICE, &json!({ "name": "Ward 7", "members": { &bob: { "membership": "invite" } } }))?;
    ward.shown(BOB, &json!({ "membership": "invite" }))?;
    ward.act(BOB_PY, "join", json!({}))?;
    ward.present.push(BOB);
    ward.all_shown(&json!({
        "membership": "join",
        "members": {
            alice: { "membership": "join", "displayname": "Alice Ames" },
            bob: { "membership": "join", "displayname": "Bob Bell", "level": 0 },
        },
    }))
}

/// Messages both ways, an edit, a reaction that stays and one that goes, a redaction, typing. Gives the messages.
fn talk(ward: &mut Ward) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for (number, device) in [ALICE_JS, BOB_PY, ALICE_PY, BOB_JS, ALICE_JS, BOB_JS].into_iter().enumerate() {
        ward.act(device, "typing", json!({ "typing": true }))?;
        let typing = json!({ "typing": [ward.ids[device.owner]] });
        ward.all_shown(&typing)?;
        said.push(ward.message(device, &format!("message {number}"))?);
        ward.act(device, "typing", json!({ "typing": false }))?;
        ward.all_shown(&json!({ "typing": [] }))?;
    }
    let edit = |event: &str, body: &str| {
        let relation = json!({ "rel_type": "m.replace", "event_id": event });
        json!({ "body": format!("* {body}"), "m.new_content": { "msgtype": "m.text", "body": body }, "m.relates_to": relation })
    };
    ward.message_with(ALICE_PY, edit(&said[0], "better"))?;
    ward.message_with(ALICE_JS, edit(&said[0], "best"))?;
    ward.message_with(BOB_PY, edit(&said[3], "corrected"))?;
    ward.all_shown(&json!({ "bodies": { &said[0]: "best", &said[3]: "corrected" } }))?;

    let react = |event: &str, key: &str| {
        let relation = json!({ "rel_type": "m.annotation", "event_id": event, "key": key });
        json!({ "type": "m.reaction", "content": { "m.relates_to": relation } })
    };
    ward.say(BOB_JS, "send", react(&said[2], "👍"))?;
    ward.say(ALICE_PY, "send", react(&said[2], "👍"))?;
    let gone = ward.say(ALICE_JS, "send", react(&said[2], "🎉"))?;
    ward.all_shown(&json!({ "reactions": { &said[2]: { "👍": 2, "🎉": 1 } } }))?;
    ward.say(ALICE_JS, "redact", json!({ "event": gone }))?;
    ward.say(BOB_PY, "redact", json!({ "event": said[1], "reason": "wrong room" }))?;
    ward.all_shown(&json!({ "redacted": { &said[1]: true, &gone: true } }))?;
    for owner in [ALICE, BOB] {
        let view = ward.agree(owner)?;
        ensure!(view["reactions"] == json!({ &said[2]: { "👍": 2 } }), "reactions: {}", view["reactions"]);
        ensure!(view["bodies"][&said[1]].is_null(), "a redacted message still has a body: {}", view["bodies"]);
    }
    Ok(said)
}

/// Unread messages, mentions, a thread, and what receipts do to them.
fn count(ward: &mut Ward) -> Result<()> {
    let bob = ward.ids[BOB].clone();
    let last = ward.message(ALICE_PY, "all that was said until here is read")?;
    ward.act(BOB_PY, "receipt", json!({ "event": last, "thread": "main" }))?;
    ward.all_shown(&json!({ "receipts": { &bob: { "main": last } } }))?;
    ward.unread(BOB, 0, 0)?;

    let root = ward.message(ALICE_JS, "one")?;
    let second = ward.message(ALICE_PY, "two")?;
    ward.message_with(ALICE_JS, json!({ "body": "Bob Bell: three", "m.mentions": { "user_ids": [bob] } }))?;
    ward.unread(BOB, 3, 1)?;
    let reply = |body: &str| {
        let relation = json!({ "rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": { "event_id": root } });
        json!({ "body": body, "m.relates_to": relation })
    };
    ward.message_with(ALICE_JS, reply("in the thread"))?;
    let in_thread = ward.message_with(ALICE_PY, reply("once more in the thread"))?;
    ward.unread(BOB, 5, 1)?;
    ward.unread_of_thread(BOB, &root, 2, 0)?;
    ward.agree(BOB)?;

    ward.act(BOB_JS, "receipt", json!({ "event": second }))?;
    ward.unread(BOB, 3, 1)?;
    ward.act(BOB_JS, "receipt", json!({ "event": in_thread }))?;
    ward.unread(BOB, 1, 1)?;
    ward.all_shown(&json!({ "receipts": { &bob: { "main": second, &root: in_thread } } }))?;
    ward.agree(BOB)?;
    ward.agree(ALICE)?;

    // A private receipt counts, and nobody else is told.
    let last = ward.message(ALICE_JS, "four")?;
    ward.act(BOB_JS, "receipt", json!({ "event": last, "private": true }))?;
    ward.unread(BOB, 0, 0)?;
    ward.message_with(BOB_PY, reply("a thread of both"))?;
    ward.agree(ALICE)?;
    let last = ward.message(ALICE_JS, "five")?;
    ward.unread(BOB, 1, 0)?;
    ward.act(BOB_PY, "receipt", json!({ "event": last, "thread": "main" }))?;
    ward.all_shown(&json!({ "receipts": { &bob: { "main": last } } }))?;
    ward.unread(BOB, 0, 0)?;
    ward.agree(BOB)?;
    ward.agree(ALICE).map(drop)
}

/// The room's name and topic, power levels, names of people, tags, the mark of what is read.
fn furnish(ward: &mut Ward, said: &[String]) -> Result<()> {
    let (alice, bob) = (ward.ids[ALICE].clone(), ward.ids[BOB].clone());
    ward.say(ALICE_PY, "state", json!({ "type": "m.room.name", "content": { "name": "Ward 7 West" } }))?;
    // All that a room is made with stays; in rooms whose creator stands above all, nobody may name the creator there.
    let mut levels = json!({
        "ban": 50, "kick": 50, "invite": 0, "redact": 50, "state_default": 50, "events_default": 0, "users_default": 0,
        "users": { &bob: 60 }, "events": { "m.room.power_levels": 100, "m.room.topic": 60 },
    });
    let view = ward.agree(ALICE)?;
    let creator_above_all = view["members"][&alice]["level"].as_u64().is_none_or(|level| level > 100);
    if !creator_above_all {
        levels["users"][&alice] = json!(100);
    }
    ward.say(ALICE_JS, "state", json!({ "type": "m.room.power_levels", "content": levels }))?;
    ward.all_shown(&json!({ "members": { &bob: { "level": 60 } } }))?;
    ward.say(BOB_PY, "state", json!({ "type": "m.room.topic", "content": { "topic": "Round at eight" } }))?;
    ward.say(BOB_JS, "state", json!({ "type": "org.example.bed", "key": "12", "content": { "free": true } }))?;
    ward.act(BOB_JS, "displayname", json!({ "name": "Robert Bell" }))?;
    ward.all_shown(&json!({
        "name": "Ward 7 West", "topic": "Round at eight", "members": { &bob: { "displayname": "Robert Bell" } },
    }))?;
    ward.act(ALICE_JS, "tag", json!({ "tag": "m.favourite", "order": 0.5 }))?;
    ward.shown(ALICE, &json!({ "tags": { "m.favourite": { "order": 0.5 } } }))?;
    ward.act(ALICE_PY, "fully_read", json!({ "event": said[4] }))?;
    ward.shown(ALICE, &json!({ "fully_read": said[4] }))?;
    ward.act(BOB_JS, "fully_read", json!({ "event": said[5] }))?;
    ward.shown(BOB, &json!({ "fully_read": said[5] }))?;
    ward.agree(ALICE)?;
    ward.agree(BOB).map(drop)
}

/// Kicked and invited again, with a gap meanwhile; banned and pardoned; left, forgotten, back again.
fn part(ward: &mut Ward) -> Result<()> {
    let bob = ward.ids[BOB].clone();
    let out = json!({ "membership": "leave" });

    ward.act(ALICE_PY, "kick", json!({ "user": bob, "reason": "to be invited again" }))?;
    gone(ward, &out)?;
    for number in 0..AWAY {
        ward.message(if number % 2 == 0 { ALICE_JS } else { ALICE_PY }, &format!("while Bob is away {number}"))?;
    }
    back(ward)?;
    ward.message(BOB_PY, "what did I miss?")?;
    for owner in [ALICE, BOB] {
        ward.agree(owner)?;
    }

    ward.act(ALICE_JS, "ban", json!({ "user": bob, "reason": "to be pardoned" }))?;
    gone(ward, &out)?;
    ward.act(ALICE_PY, "unban", json!({ "user": bob }))?;
    back(ward)?;

    ward.act(BOB_JS, "leave", json!({}))?;
    gone(ward, &out)?;
    ward.act(BOB_JS, "forget", json!({}))?;
    ward.message(ALICE_PY, "gone and forgotten")?;
    back(ward)?;

    let last = ward.message(ALICE_PY, "welcome back")?;
    ward.act(BOB_PY, "receipt", json!({ "event": last, "thread": "main" }))?;
    ward.all_shown(&json!({ "receipts": { &bob: { "main": last } } }))?;
    ward.unread(BOB, 0, 0)?;
    let read = ward.message(BOB_JS, "and thank you")?;
    ward.act(ALICE_JS, "receipt", json!({ "event": read }))?;
    ward.message(BOB_PY, "one")?;
    ward.message(BOB_JS, "two")?;
    // And Bob's reply in the thread, which she has not opened: the library's receipt is of the main timeline alone.
    ward.unread(ALICE, 3, 0)
}

/// Bob is out, and everybody knows.
fn gone(ward: &mut Ward, out: &serde_json::Value) -> Result<()> {
    ward.present = vec![ALICE];
    ward.shown(BOB, out)
}

/// Bob is invited and joins.
fn back(ward: &mut Ward) -> Result<()> {
    let bob = ward.ids[BOB].clone();
    ward.act(ALICE_JS, "invite", json!({ "user": bob }))?;
    ward.shown(BOB, &json!({ "membership": "invite" }))?;
    ward.act(BOB_PY, "join", json!({}))?;
    ward.present = vec![ALICE, BOB];
    ward.all_shown(&json!({ "membership": "join", "members": { bob: { "membership": "join" } } }))
}
