//! Somebody with a client that encrypts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{Launch, User};
use matrix_sdk::config::SyncSettings;
use matrix_sdk::deserialized_responses::{DeviceLinkProblem, TimelineEvent, VerificationLevel, VerificationState};
use matrix_sdk::encryption::EncryptionSettings;
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::api::client::uiaa::{AuthData, MatrixUserIdentifier, Password, UserIdentifier};
use matrix_sdk::ruma::events::room::message::{MessageType, RoomMessageEventContent};
use matrix_sdk::ruma::events::{AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent};
use matrix_sdk::ruma::{OwnedDeviceId, OwnedEventId, RoomId, UserId};
use matrix_sdk::{Client, Room, RoomState};

/// Messages that were decrypted, by their event ids.
pub type Read = BTreeMap<OwnedEventId, String>;

const LONG_POLL: Duration = Duration::from_millis(200);

pub struct Person {
    pub client: Client,
    pub name: &'static str,
    /// What came in syncs and could be read.
    pub read: Read,
    /// What came in syncs and could not.
    pub unread: Vec<OwnedEventId>,
}

impl Person {
    /// An account with a device.
    pub async fn new(launch: &Launch, name: &'static str) -> Result<Self> {
        User::register(&launch.http(), name).await?;
        Self::sign_in(launch, name).await
    }

    /// A device more. The first makes the user's cross-signing keys.
    pub async fn sign_in(launch: &Launch, name: &'static str) -> Result<Self> {
        let settings = EncryptionSettings { auto_enable_cross_signing: true, ..EncryptionSettings::default() };
        let client =
            Client::builder().homeserver_url(launch.address()).with_encryption_settings(settings).build().await?;
        client.matrix_auth().login_username(name, User::password()).send().await.context("login")?;
        client.encryption().wait_for_e2ee_initialization_tasks().await;
        Ok(Self { client, name, read: Read::new(), unread: Vec::new() })
    }

    pub fn id(&self) -> Result<&UserId> {
        self.client.user_id().context("signed in")
    }

    fn device(&self) -> Result<OwnedDeviceId> {
        Ok(self.client.device_id().context("signed in")?.to_owned())
    }

    /// One sync.
    pub async fn sync(&mut self) -> Result<()> {
        let answer = self.client.sync_once(SyncSettings::new().timeout(LONG_POLL)).await?;
        for update in answer.rooms.joined.into_values() {
            for event in update.timeline.events {
                if event.kind.is_utd() {
                    self.unread.extend(event.event_id());
                } else {
                    self.read.extend(message(&event)?);
                }
            }
        }
        Ok(())
    }

    /// Writes `text`; the event's id.
    pub async fn send(&self, room: &Room, text: &str) -> Result<OwnedEventId> {
        Ok(room.send(RoomMessageEventContent::text_plain(text)).await?.response.event_id)
    }

    pub fn is_invited(&self, room: &RoomId) -> bool {
        self.client.get_room(room).is_some_and(|room| room.state() == RoomState::Invited)
    }

    /// Whether the user's own key has signed that of `other`.
    pub async fn has_verified(&self, other: &UserId) -> Result<bool> {
        let identity = self.client.encryption().get_user_identity(other).await?;
        Ok(identity.is_some_and(|identity| identity.is_verified()))
    }

    /// Whether the device of `other` is known, and signed by its owner whom this one has verified.
    pub async fn trusts(&self, other: &Self) -> Result<bool> {
        let device = self.client.encryption().get_device(other.id()?, &other.device()?).await?;
        Ok(device.is_some_and(|device| device.is_verified()))
    }

    pub async fn does_not_know(&self, other: &Self) -> Result<bool> {
        let device = self.client.encryption().get_device(other.id()?, &other.device()?).await?;
        Ok(device.is_none_or(|device| device.is_deleted()))
    }

    /// Secret storage and a backup of all keys; the recovery key.
    pub async fn back_up(&self) -> Result<String> {
        let key = self.client.encryption().recovery().enable().wait_for_backups_to_upload().await.context("backup")?;
        ensure!(self.client.encryption().backups().exists_on_server().await?, "there is no backup");
        Ok(key)
    }

    /// What the recovery key opens: cross-signing keys and the backup.
    pub async fn restore(&self, key: &str, room: &RoomId) -> Result<()> {
        self.client.encryption().recovery().recover(key).await.context("recover")?;
        self.client.encryption().backups().download_room_keys_for_room(room).await.context("keys of the room")?;
        Ok(())
    }

    /// All messages of `room`.
    pub async fn page_back(&self, room: &RoomId) -> Result<Read> {
        let room = self.client.get_room(room).context("joined")?;
        let (mut read, mut from) = (Read::new(), None);
        loop {
            let mut options = MessagesOptions::backward();
            options.from = from;
            let page = room.messages(options).await?;
            for event in &page.chunk {
                read.extend(message(event)?);
            }
            match page.end {
                Some(end) => from = Some(end),
                None => return Ok(read),
            }
        }
    }

    /// Removes the device of `other`, which is of the same user.
    pub async fn remove(&self, other: &Self) -> Result<()> {
        let devices = [other.device()?];
        let Err(refused) = self.client.delete_devices(&devices, None).await else {
            bail!("a device is removed without a password");
        };
        let user = UserIdentifier::Matrix(MatrixUserIdentifier::new(self.name.to_owned()));
        let mut password = Password::new(user, User::password().to_owned());
        password.session.clone_from(&refused.as_uiaa_response().context("no stages offered")?.session);
        self.client.delete_devices(&devices, Some(AuthData::Password(password))).await.context("delete_devices")?;
        Ok(())
    }
}

/// The message in `event`, which must have come encrypted, from a device that its user has signed.
fn message(event: &TimelineEvent) -> Result<Option<(OwnedEventId, String)>> {
    if event.kind.is_utd() {
        bail!("{:?} cannot be read", event.event_id());
    }
    let Ok(AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::RoomMessage(SyncMessageLikeEvent::Original(
        said,
    )))) = event.raw().deserialize()
    else {
        return Ok(None);
    };
    let MessageType::Text(text) = said.content.msgtype else { return Ok(None) };
    let how = event.encryption_info().with_context(|| format!("{} came in clear", said.event_id))?;
    // To the library, what was encrypted before the two had verified each other stays so, and a backup vouches for nobody.
    let signed = matches!(
        how.verification_state,
        VerificationState::Verified
            | VerificationState::Unverified(
                VerificationLevel::UnverifiedIdentity | VerificationLevel::None(DeviceLinkProblem::InsecureSource)
            )
    );
    ensure!(signed, "{} is {:?}", said.event_id, how.verification_state);
    Ok(Some((said.event_id, text.body)))
}
