//! Somebody with a client.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::User;
use matrix_sdk::config::SyncSettings;
use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::api::client::account::register::v3::Request as Registration;
use matrix_sdk::ruma::api::client::room::create_room::v3::Request as NewRoom;
use matrix_sdk::ruma::api::client::uiaa::{AuthData, Dummy};
use matrix_sdk::ruma::events::room::message::MessageType;
use matrix_sdk::ruma::events::{AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent};
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, RoomId, UInt};
use matrix_sdk::{Client, Room, RoomState};

/// Messages with their event ids, in order.
pub type Heard = Vec<(OwnedEventId, String)>;

const LONG_POLL: Duration = Duration::from_secs(30);
/// Between attempts while the server restarts.
const RETRY: Duration = Duration::from_millis(50);
/// Events a page, so that paging back takes several.
const PAGE: u16 = 30;

#[derive(Clone, Debug)]
pub struct Person {
    client: Client,
}

impl Person {
    async fn at(address: &str) -> Result<Self> {
        Ok(Self { client: Client::builder().homeserver_url(address).build().await? })
    }

    /// Makes an account. The first attempt is told, as the specification wants, what is asked for.
    pub async fn register(address: &str, name: &str) -> Result<Self> {
        let person = Self::at(address).await?;
        let mut request = Registration::new();
        request.username = Some(name.to_owned());
        request.password = Some(User::password().to_owned());
        let Err(refused) = person.client.matrix_auth().register(request.clone()).await else {
            bail!("registered without any authentication stage");
        };
        let info = refused.as_uiaa_response().with_context(|| format!("no stages offered: {refused}"))?;
        let mut dummy = Dummy::new();
        dummy.session.clone_from(&info.session);
        request.auth = Some(AuthData::Dummy(dummy));
        person.client.matrix_auth().register(request).await.context("register")?;
        Ok(person)
    }

    /// A new device of an account that exists.
    pub async fn sign_in(address: &str, name: &str) -> Result<Self> {
        let person = Self::at(address).await?;
        person.client.matrix_auth().login_username(name, User::password()).send().await.context("login")?;
        Ok(person)
    }

    /// Makes a room and invites `other`.
    pub async fn make_room_for(&self, other: &Self) -> Result<Room> {
        let mut request = NewRoom::new();
        request.name = Some("Ward round".to_owned());
        request.invite = vec![other.client.user_id().context("signed in")?.to_owned()];
        self.client.create_room(request).await.context("createRoom")
    }

    /// Waits for the invitation to `room`, and joins.
    pub async fn accept(&self, room: &RoomId) -> Result<Room> {
        loop {
            self.client.sync_once(SyncSettings::new().timeout(LONG_POLL)).await?;
            if let Some(invited) = self.client.get_room(room) {
                ensure!(invited.state() == RoomState::Invited, "{room} is {:?}", invited.state());
                invited.join().await.context("join")?;
                return Ok(invited);
            }
        }
    }

    /// Follows `room` until `count` messages are heard. The server may restart meanwhile.
    pub async fn listen(self, room: OwnedRoomId, count: usize) -> Result<Heard> {
        let mut heard = Heard::new();
        while heard.len() < count {
            let Ok(answer) = self.client.sync_once(SyncSettings::new().timeout(LONG_POLL)).await else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let Some(update) = answer.rooms.joined.get(&room) else { continue };
            let timeline = &update.timeline;
            if timeline.limited {
                let joined = self.client.get_room(&room).context("joined")?;
                let last = heard.last().map(|(event, _)| event.clone());
                let gap = loop {
                    match page_back_until(&joined, timeline.prev_batch.clone(), last.as_ref()).await {
                        Ok(gap) => break gap,
                        Err(_) => tokio::time::sleep(RETRY).await,
                    }
                };
                heard.extend(gap);
            }
            heard.extend(timeline.events.iter().filter_map(message));
        }
        Ok(heard)
    }
}

/// All messages of `room` before `from`, oldest first.
pub async fn page_back(room: &Room, from: Option<String>) -> Result<Heard> {
    page_back_until(room, from, None).await
}

async fn page_back_until(room: &Room, from: Option<String>, last: Option<&OwnedEventId>) -> Result<Heard> {
    let mut found = Heard::new();
    let mut from = from;
    'pages: loop {
        let mut options = MessagesOptions::backward();
        options.limit = UInt::from(PAGE);
        options.from.clone_from(&from);
        let page = room.messages(options).await?;
        for event in &page.chunk {
            if last.is_some() && event.event_id().as_ref() == last {
                break 'pages;
            }
            found.extend(message(event));
        }
        match page.end {
            Some(end) => from = Some(end),
            None => break,
        }
    }
    found.reverse();
    Ok(found)
}

fn message(event: &TimelineEvent) -> Option<(OwnedEventId, String)> {
    let Ok(AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::RoomMessage(SyncMessageLikeEvent::Original(
        said,
    )))) = event.raw().deserialize()
    else {
        return None;
    };
    match said.content.msgtype {
        MessageType::Text(text) => Some((said.event_id, text.body)),
        _ => None,
    }
}
