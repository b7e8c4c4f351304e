//! What a commit of a room tells those who take part in it, and which of it are acts of administration.

use std::sync::Arc;

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedUserId, events::TimelineEventType, push::PushConditionPowerLevelsCtx,
    room_version_rules::AuthorizationRules,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use wardstead_engine::Position;

use crate::{Event, Membership, event::content, power};

/// A change that a [`wardstead_store::CommitContributor`] follows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RoomChange {
    /// An event took its place in the timeline.
    Event(Box<EventAppended>),
    /// A room was made. Told once, after the events that it was made of.
    Created(RoomCreated),
    /// An act of administration that is no event: an alias was removed, say.
    Act(AdministrativeAct),
    /// A resolution of several states made users of this server something else than they were, or closed the room to guests.
    Resolved(StateResolved),
    /// Receipts moved on. It is no commit of the room's chain: nothing is queued before it.
    Read(ReceiptMoved),
}

/// An event with what follows from it.
#[derive(Clone, Debug)]
pub struct EventAppended {
    /// Short id of the room.
    pub room: u64,
    /// The event.
    pub event: Arc<Event>,
    /// The state event that it took the place of.
    pub replaced: Option<Arc<Event>>,
    /// Of a member event about a local user that followed the current state. Where states are resolved the event does not
    /// decide alone: what comes of it is told as [`RoomChange::Resolved`].
    pub membership: Option<MembershipChanged>,
    /// What it is for the audit.
    pub act: Option<AdministrativeAct>,
    /// Short id of the sender; `None`: no account here.
    pub sender: Option<u64>,
    /// Users in the room after it, those of other servers too.
    pub joined: u32,
    /// Root of the thread that it belongs to (Client-Server API, Threaded read receipts); `None`: the main timeline.
    pub thread: Option<OwnedEventId>,
    /// Who has which power after it.
    pub power: PowerSource,
    /// Position of the live event that it redacts, where it is what redacted that.
    pub redacts: Option<Position>,
    /// That event, as it was before, if it is state.
    pub taken_back: Option<Arc<Event>>,
    /// Whether it came redacted: the redaction was here first.
    pub redacted: bool,
}

/// What the power levels of a room follow from. They are worked out by who needs them.
#[derive(Clone, Debug)]
pub struct PowerSource {
    pub(crate) create: Option<Arc<Event>>,
    pub(crate) levels: Option<Arc<Event>>,
    pub(crate) rules: AuthorizationRules,
}

impl PowerSource {
    /// Who may notify everybody; `None` where the levels cannot be read, which gives nobody any power.
    #[must_use]
    pub fn notifications(&self) -> Option<PushConditionPowerLevelsCtx> {
        let levels = power::levels(self.create.as_deref()?, self.levels.as_deref(), &self.rules)?;
        Some(levels.into())
    }
}

/// Receipts that stand at later events than before, by one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptMoved {
    /// Short id of the room.
    pub room: u64,
    /// Short id of the user.
    pub user: u64,
    /// Of each, its thread (`main` or the event id of the root; `None`: unthreaded) and the position of its event, zero for one that is
    /// not live.
    pub marks: Vec<(Option<String>, Position)>,
}

/// Members after a resolution of states (Room versions, State resolution). Told before the event that it came with, if it came with one.
#[derive(Clone, Debug)]
pub struct StateResolved {
    /// Short id of the room.
    pub room: u64,
    /// Its id.
    pub room_id: OwnedRoomId,
    /// Local users whose membership is another. Whose member event is gone altogether counts as having left.
    pub members: Vec<MembershipChanged>,
    /// Their member events, in the same order; `None`: there is none any more.
    pub events: Vec<Option<Arc<Event>>>,
    /// Whether the room let guests in before it and does not any more.
    pub closed_to_guests: bool,
}

/// A local user's membership changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChanged {
    /// Short id of the user.
    pub user: u64,
    /// What the user was before; `None`: nothing ever.
    pub previous: Option<Membership>,
    /// What the user is now.
    pub now: Membership,
}

/// A new room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCreated {
    /// Short id.
    pub room: u64,
    /// Room id.
    pub room_id: OwnedRoomId,
    /// Who made it.
    pub by: OwnedUserId,
    /// Whether it is to be published in the room directory (`visibility` of createRoom).
    pub public: bool,
}

/// Who did what to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministrativeAct {
    /// Where.
    pub room_id: OwnedRoomId,
    /// Who acted.
    pub by: OwnedUserId,
    /// What was done.
    pub act: Act,
    /// To whom or what: a user, an event, an alias, a room; empty where it is the room itself.
    pub target: String,
    /// Why, in the words of who acted.
    pub reason: Option<String>,
}

/// An act of administration: what somebody with power does to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Act {
    /// A member was removed.
    Kick,
    /// A user was banned.
    Ban,
    /// A ban was lifted.
    Unban,
    /// Somebody else's invitation was taken back, or a knock refused.
    TurnAway,
    /// Who may do what changed.
    PowerLevels,
    /// Who may come in, or see the past, changed.
    Access,
    /// Which servers may take part changed.
    ServerAcl,
    /// The room was closed in favour of another.
    Upgrade,
    /// Somebody else's event was redacted.
    Redact,
    /// An alias was removed.
    RemoveAlias,
    /// The room was taken out of the directory, or put in.
    Directory,
}

impl Act {
    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kick => "room.kick",
            Self::Ban => "room.ban",
            Self::Unban => "room.unban",
            Self::TurnAway => "room.turn_away",
            Self::PowerLevels => "room.power_levels",
            Self::Access => "room.access",
            Self::ServerAcl => "room.server_acl",
            Self::Upgrade => "room.upgrade",
            Self::Redact => "room.redact",
            Self::RemoveAlias => "room.alias.remove",
            Self::Directory => "room.directory",
        }
    }
}

impl RoomChange {
    /// What it is for the audit, if it is an act of administration.
    #[must_use]
    pub fn act(&self) -> Option<&AdministrativeAct> {
        match self {
            Self::Event(appended) => appended.act.as_ref(),
            Self::Created(_) | Self::Resolved(_) | Self::Read(_) => None,
            Self::Act(act) => Some(act),
        }
    }
}

/// The act that `event` is. `replaced` is the state event that it takes the place of, `redacted` what a redaction is about.
pub(crate) fn act_of(event: &Event, replaced: Option<&Event>, redacted: Option<&Event>) -> Option<AdministrativeAct> {
    let state_key = event.state_key.as_deref();
    let (act, target) = match (&event.event_type, state_key) {
        (TimelineEventType::RoomMember, Some(target)) if event.sender != target => {
            (member_act(replaced, content::membership(event)?)?, target.to_owned())
        }
        // What a room is made with is nobody's act against others.
        (TimelineEventType::RoomPowerLevels, Some("")) if replaced.is_some() => (Act::PowerLevels, String::new()),
        (TimelineEventType::RoomJoinRules | TimelineEventType::RoomHistoryVisibility, Some(""))
            if replaced.is_some() =>
        {
            (Act::Access, event.event_type.to_string())
        }
        (TimelineEventType::RoomServerAcl, Some("")) => (Act::ServerAcl, String::new()),
        (TimelineEventType::RoomTombstone, Some("")) => {
            (Act::Upgrade, field(&event.content, |content| content.replacement_room).unwrap_or_default())
        }
        (TimelineEventType::RoomRedaction, None) => {
            let redacted = redacted.filter(|redacted| redacted.sender != event.sender)?;
            (Act::Redact, redacted.event_id.as_str().to_owned())
        }
        _ => return None,
    };
    let reason = field(&event.content, |content| content.reason);
    Some(AdministrativeAct { room_id: event.room_id.clone(), by: event.sender.clone(), act, target, reason })
}

fn member_act(replaced: Option<&Event>, now: Membership) -> Option<Act> {
    match (replaced.and_then(content::membership), now) {
        (Some(Membership::Ban), Membership::Leave) => Some(Act::Unban),
        (Some(Membership::Invite | Membership::Knock), Membership::Leave) => Some(Act::TurnAway),
        (_, Membership::Leave) => Some(Act::Kick),
        (_, Membership::Ban) => Some(Act::Ban),
        (_, Membership::Join | Membership::Invite | Membership::Knock) => None,
    }
}

/// The event that a redaction names, inside or outside its content.
pub(crate) fn redacts(event: &Event) -> Option<OwnedEventId> {
    if event.event_type != TimelineEventType::RoomRedaction {
        return None;
    }
    let outside = event.redacts.clone();
    outside.or_else(|| EventId::parse(field(&event.content, |content| content.redacts)?).ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(deserialize_with = "text")]
    reason: Option<String>,
    #[serde(deserialize_with = "text")]
    redacts: Option<String>,
    #[serde(deserialize_with = "text")]
    replacement_room: Option<String>,
}

/// A field that is no text counts as missing.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

fn field(content: &RawValue, of: impl FnOnce(Fields) -> Option<String>) -> Option<String> {
    serde_json::from_str::<Fields>(content.get()).ok().and_then(of)
}
