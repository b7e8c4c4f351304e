//! Takes part in the commits of rooms: what an event is to whom, who comes and goes, what is read.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ruma::{
    OwnedUserId, RoomId, UserId,
    events::TimelineEventType,
    push::{PushConditionPowerLevelsCtx, PushConditionRoomCtx},
};
use serde::Deserialize;
use serde_json::{Value, json};
use wardstead_accounts::Accounts;
use wardstead_rooms::{Event, EventAppended, Membership, MembershipChanged, RoomChange, StateResolved};
use wardstead_store::{CommitContributor, Contribution, Overlay, Store, StoreError};

use crate::{
    class::Asked,
    core::Core,
    error::of_accounts,
    index::{Looked, Member},
    pushers,
    read::{Read, read_keys},
    rules,
    split::{evaluate, flattened},
    tables::{Counted, DEFAULT_CLASS, MEMBERS, Outcome, TallyRow, reader_key, tally_key},
    work::{Person, Work},
};

/// Counts in the commits of rooms. Wired by the binary; cheap to clone.
#[derive(Clone)]
pub struct Counter {
    core: Arc<Core>,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

/// An event as it is judged.
struct Judged<'a> {
    appended: &'a EventAppended,
    /// As conditions see it.
    event: Value,
    /// Its text in lower case, in which words are looked for.
    body: Option<String>,
    has_mentions: bool,
}

#[async_trait]
impl CommitContributor<RoomChange> for Counter {
    async fn prepare(&self, change: &RoomChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        match change {
            RoomChange::Event(appended) => self.event(appended, queued).await,
            RoomChange::Resolved(resolved) => self.resolved(resolved, queued).await,
            RoomChange::Read(moved) => self.core.read(moved).await,
            _ => Ok(Contribution::nothing()),
        }
    }
}

impl Counter {
    /// Counts what happens in rooms of `store`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts) -> Self {
        Self { core: Arc::new(Core::new(store, accounts)) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How often a class of rules was asked about an event since the start, and how often the rules of one member alone were.
    #[must_use]
    pub fn evaluations(&self) -> (u64, u64) {
        self.core.evaluations()
    }

    /// Name, bytes and bound in bytes of what it remembers, for the metrics (promise P6).
    #[must_use]
    pub fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        vec![("push_members", self.core.indices.weight(), self.core.indices.capacity())]
    }

    async fn event(&self, appended: &EventAppended, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let (mut work, spoken) = self.load(appended, queued).await?;
        if !appended.redacted
            && let Some(counted) = self.judge(appended, &work.tally, queued).await?
        {
            work.add(counted, queued).await?;
        }
        if let Some((user, counted)) = self.invited(appended).await? {
            work.invite(user, counted);
        }
        if let Some(position) = appended.redacts {
            work.take_back(position, queued).await?;
        }
        if let Some(change) = appended.membership {
            let (event, before) = (Some(&*appended.event), appended.replaced.as_deref());
            self.member(&mut work, change, event, before, &appended.event.room_id, queued).await?;
        }
        // A message to oneself is told to nobody; whoever comes in later has not missed it.
        let is_alone = appended.event.state_key.is_none() && appended.joined <= 1;
        let tells = work.tells(!is_alone);
        let counts = work.finish(&self.core);
        let Some(read) = spoken else { return Ok(counts.and(pushers::queued(appended, tells, None))) };
        let thread = appended.thread.as_ref().map(|root| root.as_str());
        let spoke = self.core.spoke(&read, thread).await?;
        let reader = appended.sender.filter(|_| !spoke.is_nothing());
        Ok(counts.and(spoke).and(pushers::queued(appended, tells, reader)))
    }

    /// The room's counts, and what the sender has read, where that may have changed: one read of the engine.
    async fn load(&self, appended: &EventAppended, queued: &Overlay<'_>) -> Result<(Work, Option<Read>), StoreError> {
        let room = appended.room;
        let speaker = appended.sender.filter(|_| speaks(&appended.event));
        // A message of theirs is being committed: what came since then nobody has read yet.
        let Some(user) = speaker.filter(|user| !queued.is_queued(&reader_key(room, *user))) else {
            return Ok((Work::load(room, queued).await?, None));
        };
        let cells = self.core.store.cells(&read_keys(room, user)).await?;
        let read = match self.core.assemble(room, user, &cells).await? {
            Some(read) => read,
            None => self.core.look(room, user).await?,
        };
        let work = if queued.is_queued(&tally_key(room)) {
            Work::load(room, queued).await?
        } else {
            Work::on(room, read.tally.clone(), read.tally_version)
        };
        Ok((work, Some(read)))
    }

    async fn resolved(&self, resolved: &StateResolved, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let mut work = Work::load(resolved.room, queued).await?;
        for (change, event) in resolved.members.iter().zip(&resolved.events) {
            self.member(&mut work, *change, event.as_deref(), None, &resolved.room_id, queued).await?;
        }
        Ok(work.finish(&self.core))
    }

    /// What the event is to whom; `None`: nothing to anybody.
    async fn judge(
        &self,
        appended: &EventAppended,
        tally: &TallyRow,
        queued: &Overlay<'_>,
    ) -> Result<Option<Counted>, StoreError> {
        let judged = Judged::new(appended);
        let power = OnceLock::new();
        let power = || power.get_or_init(|| appended.power.notifications().map(Arc::new)).clone();
        let asked = Asked {
            event: &judged.event,
            sender: &appended.event.sender,
            body: judged.body.as_deref(),
            has_mentions: judged.has_mentions,
            joined: appended.joined,
            power: &power,
        };
        let mut counted = Counted::default();
        let kept = tally.classes.iter().map(|(class, _)| *class);
        for id in std::iter::once(DEFAULT_CLASS).chain(kept) {
            let Some(class) = self.core.class(id, queued).await? else { continue };
            let (outcome, actions) = class.outcome(&asked);
            if outcome != Outcome::Silent {
                let verdict = counted.verdict(outcome, actions);
                counted.classes.push((id, verdict));
            }
        }
        self.users(&judged, tally, &mut counted, &power, queued).await?;
        if counted.classes.is_empty() && counted.users.is_empty() {
            return Ok(None);
        }
        counted.thread = appended.thread.as_ref().map(|root| root.as_str().to_owned());
        counted.sender = appended.sender.unwrap_or_default();
        Ok(Some(counted))
    }

    /// What the event is to the local user whom it invites, and who does not count in the room: the user's own rules are asked, as
    /// they are now. `None`: it invites nobody here, or notifies nobody.
    async fn invited(&self, appended: &EventAppended) -> Result<Option<(u64, Counted)>, StoreError> {
        let Some(user) =
            appended.membership.filter(|change| change.now == Membership::Invite).map(|change| change.user)
        else {
            return Ok(None);
        };
        let user_id = self.user_id(user, Some(&appended.event)).await?;
        let (_, own) = rules::current(&self.core.store, user, &user_id).await?;
        if appended.event.sender == user_id || own.ignored.contains(&appended.event.sender) {
            return Ok(None);
        }
        let (room_id, joined) = (appended.event.room_id.clone(), appended.joined.into());
        let context = PushConditionRoomCtx::new(room_id, joined, user_id.clone(), user_id.as_str().to_owned());
        let power = appended.power.notifications();
        let context = power.into_iter().fold(context, PushConditionRoomCtx::with_power_levels);
        let (outcome, actions) = evaluate(&own.rules, &flattened(&Judged::new(appended).event), &context).await;
        if outcome == Outcome::Silent {
            return Ok(None);
        }
        let mut counted = Counted { sender: appended.sender.unwrap_or_default(), ..Counted::default() };
        let verdict = counted.verdict(outcome, &actions);
        counted.users.push((user, verdict));
        Ok(Some((user, counted)))
    }

    /// Adds the members to whom the event is something else than to their class.
    async fn users(
        &self,
        judged: &Judged<'_>,
        tally: &TallyRow,
        counted: &mut Counted,
        power: &(dyn Fn() -> Option<Arc<PushConditionPowerLevelsCtx>> + Send + Sync),
        queued: &Overlay<'_>,
    ) -> Result<(), StoreError> {
        let appended = judged.appended;
        let text = judged.body.as_deref().filter(|_| !judged.has_mentions || tally.watched > 0);
        let mentioned = mentioned(&judged.event);
        if text.is_none() && tally.watched == 0 && mentioned.is_empty() {
            self.core.count_evaluated(1 + tally.classes.len(), 0);
            return Ok(());
        }
        let members = queued.queued(&MEMBERS, appended.room)?;
        let index = self.core.index(appended.room, &appended.event.room_id, tally, members).await?;
        let looked = Looked { sender: &appended.event.sender, text, mentioned: &mentioned };
        let (mut flat, mut asked) = (None, 0);
        for user in index.concerned(&looked) {
            let Some(member) = index.member(user) else { continue };
            let ignores = member.own.as_ref().is_some_and(|own| own.ignored.contains(&appended.event.sender));
            let (outcome, actions) = if ignores {
                Default::default()
            } else {
                asked += 1;
                let flat = flat.get_or_insert_with(|| flattened(&judged.event));
                let context = context(member, appended, power());
                match &member.own {
                    Some(own) => evaluate(&own.rules, flat, &context).await,
                    None => evaluate(&crate::default_rules(&member.user_id), flat, &context).await,
                }
            };
            let verdict = counted.verdict(outcome, &actions);
            let of_class = counted.classes.iter().find(|(class, _)| *class == member.class);
            if verdict != of_class.map(|(_, verdict)| *verdict).unwrap_or_default() {
                counted.users.push((user, verdict));
            }
        }
        self.core.count_evaluated(1 + tally.classes.len(), asked);
        Ok(())
    }

    /// A local user's membership is another, or the same in another form.
    async fn member(
        &self,
        work: &mut Work,
        change: MembershipChanged,
        event: Option<&Event>,
        before: Option<&Event>,
        room_id: &RoomId,
        queued: &Overlay<'_>,
    ) -> Result<(), StoreError> {
        let (was_in, is_in) = (change.previous == Some(Membership::Join), change.now == Membership::Join);
        let name = event.and_then(display_name);
        if !is_in && !was_in || (is_in && was_in && before.and_then(display_name) == name) {
            return Ok(());
        }
        let user_id = self.user_id(change.user, event).await?;
        let person = Person { user: change.user, user_id, name };
        if !is_in {
            return work.leave(person, queued).await;
        }
        if was_in {
            return work.rename(person, queued).await;
        }
        let standing = self.core.standing(person.user, &person.user_id, room_id).await?;
        work.enter(person, standing, queued).await
    }

    async fn user_id(&self, user: u64, event: Option<&Event>) -> Result<OwnedUserId, StoreError> {
        let stated = event.and_then(|event| event.state_key.as_deref()).and_then(|id| UserId::parse(id).ok());
        match stated {
            Some(user_id) => Ok(user_id),
            None => self.core.accounts.user_id(user).await.map_err(of_accounts),
        }
    }
}

impl<'a> Judged<'a> {
    fn new(appended: &'a EventAppended) -> Self {
        let event = &appended.event;
        // What was read as an event is JSON.
        let content: Value = serde_json::from_str(event.content.get()).unwrap_or_default();
        let has_mentions = content.get("m.mentions").is_some();
        let body = content.get("body").and_then(Value::as_str).map(str::to_lowercase);
        let mut object = json!({
            "type": event.event_type.to_string(),
            "sender": event.sender.as_str(),
            "room_id": event.room_id.as_str(),
            "event_id": event.event_id.as_str(),
            "origin_server_ts": event.origin_server_ts,
            "content": content,
        });
        if let Some(state_key) = &event.state_key {
            object["state_key"] = state_key.as_str().into();
        }
        Self { appended, event: object, body, has_mentions }
    }
}

/// Whether who sent the event has been at the timeline. State is changed elsewhere, and by the server; taking back reads nothing.
fn speaks(event: &Event) -> bool {
    event.state_key.is_none() && event.event_type != TimelineEventType::RoomRedaction
}

/// The users whom the event says that it mentions.
fn mentioned(event: &Value) -> Vec<&str> {
    let ids = event["content"]["m.mentions"]["user_ids"].as_array();
    ids.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn display_name(event: &Event) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        displayname: Option<String>,
    }
    if event.event_type != TimelineEventType::RoomMember {
        return None;
    }
    let content = serde_json::from_str::<Content>(event.content.get()).ok()?;
    content.displayname.filter(|name| !name.is_empty())
}

fn context(
    member: &Member,
    appended: &EventAppended,
    power: Option<Arc<PushConditionPowerLevelsCtx>>,
) -> PushConditionRoomCtx {
    // Who has no name is called by the whole id.
    let name = member.name.clone().unwrap_or_else(|| member.user_id.as_str().to_owned());
    let (room_id, joined) = (appended.event.room_id.clone(), appended.joined.into());
    let context = PushConditionRoomCtx::new(room_id, joined, member.user_id.clone(), name);
    match power {
        Some(power) => context.with_power_levels((*power).clone()),
        None => context,
    }
}
