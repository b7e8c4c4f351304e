//! The request: token, looking, waiting, looking again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use wardstead_accounts::{Accounts, Presence, PresenceState, Present, Session};
use wardstead_e2ee::{DeviceListLog, Inboxes, Keys};
use wardstead_engine::Position;
use wardstead_limits::{own_data, sync as limits};
use wardstead_push::Push;
use wardstead_rooms::{Rooms, Typing};
use wardstead_store::{Listener, Store, SyncToken, Token, Woken};

use crate::{
    SyncError,
    ephemeral::{Again, Ephemeral, Told},
    filter::{Filter, MembersWanted, SyncFilter},
    ignored::IgnoredCache,
    joined::Joined,
    key_counts::KeyCountsTold,
    lazy::Lazy,
    members::{Members, ToldMembers},
    presence::PresenceAgain,
    recent::RecentPresence,
    response::{Response, Sections, State, StateName},
    sliding::Sliding,
    to_device::Inbox,
};

/// What a client asks.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// The token of its last answer; none for an initial sync.
    pub since: Option<String>,
    /// Milliseconds to wait when there is nothing new, at most [`limits::TIMEOUT_MS`].
    pub timeout_ms: u64,
    /// All state of all joined rooms, whatever was sent before.
    pub full_state: bool,
    /// What to leave out.
    pub filter: SyncFilter,
    /// Of which moment the state of rooms is told.
    pub state: StateName,
    /// How the sync shows its user; `Offline` leaves that alone.
    pub set_presence: PresenceState,
}

/// Answers syncs. Cheap to clone.
#[derive(Clone)]
pub struct Syncer {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) typing: Typing,
    pub(crate) presence: Presence,
    pub(crate) joined: Arc<Joined>,
    pub(crate) members: Arc<ToldMembers>,
    pub(crate) ignored: Arc<IgnoredCache>,
    pub(crate) recent: Arc<RecentPresence>,
    pub(crate) inboxes: Inboxes,
    pub(crate) lists: DeviceListLog,
    pub(crate) keys: Keys,
    pub(crate) push: Push,
    pub(crate) sliding: Arc<Sliding>,
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").finish_non_exhaustive()
    }
}

/// What stays the same while a request is answered.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) by: &'a Session,
    pub(crate) filter: &'a Filter,
    pub(crate) state_name: StateName,
    /// The token that the client came with.
    pub(crate) since: Option<&'a str>,
    /// The members that the client has; `None`: it does not load them lazily.
    pub(crate) has: Option<&'a Members>,
}

impl Question<'_> {
    /// For one answer.
    pub(crate) fn lazy(&self) -> Option<Lazy> {
        self.has.map(|has| Lazy::new(Arc::clone(has)))
    }
}

/// Where a client stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// It has everything up to here.
    pub(crate) since: Position,
    /// It is given everything up to here.
    pub(crate) upto: Position,
}

impl Syncer {
    /// Answers from `store`, `accounts`, `rooms`, and what this node knows of who is typing and who is there.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, rooms: Rooms, typing: Typing, presence: Presence) -> Self {
        let push = Push::over(store.clone(), accounts.clone());
        let (inboxes, lists) = (Inboxes::new(store.clone(), accounts.clone()), DeviceListLog::new(store.clone()));
        let keys = Keys::new(store.clone(), accounts.clone());
        let sliding = Arc::new(Sliding::new(&store));
        Self {
            store,
            accounts,
            rooms,
            typing,
            presence,
            joined: Arc::new(Joined::new()),
            members: Arc::new(ToldMembers::new()),
            ignored: Arc::new(IgnoredCache::new()),
            recent: Arc::default(),
            inboxes,
            lists,
            keys,
            push,
            sliding,
        }
    }

    /// What waits for devices.
    #[must_use]
    pub fn inboxes(&self) -> &Inboxes {
        &self.inboxes
    }

    /// The keys of devices: who changes them shares with it what is remembered of them.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who is typing.
    #[must_use]
    pub fn typing(&self) -> &Typing {
        &self.typing
    }

    /// Who is there.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The JSON of the answer. Waits up to the request's timeout for something to tell; returns at once for an initial
    /// sync, for `full_state`, and when the server shuts down.
    ///
    /// # Errors
    /// [`SyncError`]; the client may repeat the request with the same token.
    pub async fn sync(&self, by: &Session, request: SyncRequest) -> Result<Bytes, SyncError> {
        // What surrounds the wait is in places of its own, which are given back before it: thousands wait at once.
        match Box::pin(self.begin(by, request)).await? {
            Begun::Answered(answer) => Ok(answer),
            Begun::Waits(asked) => self.wait(by, asked).await,
        }
    }

    /// Answers what needs no waiting.
    async fn begin(&self, by: &Session, request: SyncRequest) -> Result<Begun, SyncError> {
        let mut filter = Filter::new(request.filter, &by.user_id);
        let since = request.since.as_deref();
        let token =
            since.map(|since| self.store.tokens().read_sync(since).map_err(|_| SyncError::Since)).transpose()?;
        // That of a sliding sync does not say that everything up to its position was sent.
        let token = token.map(|token| token.sliding.map_or(Ok(token), |_| Err(SyncError::Since))).transpose()?;
        let present = self.presence.syncing(by, request.set_presence);
        // Before the first look: what is committed from here on wakes it.
        let listener = self.store.listen(by.user);
        let upto = self.store.caught_up().await?;
        filter.ignore(Box::pin(self.ignored(by, upto)).await?);
        let own = token.filter(|token| token.user == by.user);
        let has = self.members_of(by, &filter, since.filter(|_| own.is_some()));
        if let Some(token) = own {
            let at = self.standing(by, &token, upto);
            self.acknowledge(by, at.inbox).await;
            let SyncRequest { since, timeout_ms, full_state, state, .. } = request;
            let timeout_ms = if full_state { 0 } else { timeout_ms.min(limits::TIMEOUT_MS) };
            // Nobody is told anything for a token that has expired meanwhile.
            let good_ms = by.expires_ms.map_or(u64::MAX, |ms| ms.saturating_sub(self.store.clock().now_ms()));
            let timeout = tokio::time::sleep(Duration::from_millis(timeout_ms.min(good_ms))).deadline();
            let last = timeout_ms == 0;
            let asked = Asked { since, state, has, filter, full_state, at, timeout, last, listener, _present: present };
            return Ok(Begun::Waits(Box::new(asked)));
        }
        let question = Question { by, filter: &filter, state_name: request.state, since, has: has.as_ref() };
        let mut ephemeral = Box::pin(self.ephemeral(by, Told::default(), &filter, token.is_some())).await?;
        Box::pin(self.name_present(&mut ephemeral)).await?;
        let mut sections = match token {
            // Somebody else's: what that one was sent up to there, this client was not.
            Some(token) => {
                let reach = self.reach(u64::from(token.epoch), token.position);
                Box::pin(self.gappy(&question, reach.unwrap_or_else(|true_upto| true_upto), upto)).await?
            }
            None => Box::pin(self.initial(&question, upto, Position::ZERO)).await?,
        };
        sections.to_device = Box::pin(self.to_device(by, Inbox::unread(), upto)).await?;
        sections.key_counts = Some(Box::pin(self.key_counts(by)).await?);
        self.respond(&question, upto, sections, ephemeral).map(Begun::Answered)
    }

    /// The members that the client has which comes with `since`, where it is not to be told them again.
    fn members_of(&self, by: &Session, filter: &Filter, since: Option<&str>) -> Option<Members> {
        match filter.members() {
            MembersWanted::All => None,
            MembersWanted::LazyRedundant => Some(Members::default()),
            MembersWanted::Lazy => Some(since.map(|since| self.members.known(by.device, since)).unwrap_or_default()),
        }
    }

    /// Looks, waits until there may be something to tell, and looks again.
    async fn wait(&self, by: &Session, mut asked: Box<Asked>) -> Result<Bytes, SyncError> {
        loop {
            let again = match Box::pin(self.look(by, &mut asked)).await? {
                Look::Found(answer) => return Ok(answer),
                Look::Nothing(again) => again,
            };
            match self.rest(&mut asked.listener, asked.timeout, again).await {
                Rested::Enough => {
                    // One more look: it moves the token of a client that nothing wakes, and finds what a lost wake-up was about.
                    asked.last = true;
                    if by.expires_ms.is_some() {
                        Box::pin(self.accounts.check(by)).await?;
                    }
                }
                Rested::Ended => {
                    let nothing = Ephemeral::nothing(asked.at.told);
                    // A client that is not told of its keys may take it that there are none.
                    let key_counts = Some(Box::pin(self.key_counts(by)).await?);
                    let sections = Sections { key_counts, ..Sections::default() };
                    return self.respond(&asked.question(by), asked.at.upto, sections, nothing);
                }
                Rested::News => {}
            }
            asked.at.upto = self.store.position();
            Box::pin(self.still_good(by, &mut asked.at)).await?;
        }
    }

    /// Returns when there may be something to tell. One alarm for whatever comes first, since each takes its place in memory.
    pub(crate) async fn rest(&self, listener: &mut Listener, timeout: Instant, again: Again) -> Rested {
        let mut alarm = again.typing_ms.map_or(timeout, |ms| timeout.min(self.deadline(ms)));
        let mut presence = again.presence;
        loop {
            let settled = async {
                match presence {
                    Some(PresenceAgain { settled_ms, .. }) => self.presence.settled_since(settled_ms).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // First: news that the filter hides must not keep the client waiting for ever.
                () = tokio::time::sleep_until(alarm) => {
                    return if alarm == timeout { Rested::Enough } else { Rested::News };
                }
                woken = listener.woken() => return match woken {
                    Woken::Ended => Rested::Ended,
                    Woken::News => Rested::News,
                },
                () = settled => {}
            }
            let due_ms = presence.take().map_or(0, |presence| presence.due_ms);
            if due_ms <= self.store.clock().now_ms() {
                return Rested::News;
            }
            alarm = alarm.min(self.deadline(due_ms));
        }
    }

    /// A Unix millisecond as alarms take it, at least one millisecond from now.
    pub(crate) fn deadline(&self, ms: u64) -> Instant {
        let pause = ms.saturating_sub(self.store.clock().now_ms()).max(1);
        tokio::time::sleep(Duration::from_millis(pause)).deadline()
    }

    /// Where a client stands that comes with `token`, for a first look up to `upto`.
    fn standing(&self, by: &Session, token: &SyncToken, upto: Position) -> Standing {
        let since = token.position;
        let mut at = Standing {
            epoch: u64::from(token.epoch),
            since,
            upto,
            // Of what was removed before it nobody knows any more.
            forgotten: self.is_forgotten(token).then_some(since),
            told: Told::from(*token),
            inbox: Inbox::unread(),
            good_at: since,
        };
        at.inbox = Inbox::of(token, by, self.reach_of(&at).unwrap_or_else(|true_upto| true_upto).min(upto));
        at
    }

    /// Up to where what the client was told is true.
    fn reach_of(&self, at: &Standing) -> Result<Position, Position> {
        at.forgotten.map_or_else(|| self.reach(at.epoch, at.since), Err)
    }

    /// One look for something to tell, up to `at.upto`; the next starts where it ended. `last`: there is an answer whatever it finds.
    async fn look(&self, by: &Session, asked: &mut Asked) -> Result<Look, SyncError> {
        let Standing { since, upto, told, inbox, .. } = asked.at;
        asked.filter.ignore(self.ignored(by, upto).await?);
        let question = asked.question(by);
        let Asked { filter, at, full_state, last, .. } = &*asked;
        // The epoch may end while the client waits.
        if let Err(true_upto) = self.reach_of(at) {
            let mut ephemeral = self.ephemeral(by, told, filter, true).await?;
            self.name_present(&mut ephemeral).await?;
            let mut sections = Box::pin(self.gappy(&question, true_upto, upto)).await?;
            sections.to_device = self.to_device(by, inbox.true_upto(true_upto), upto).await?;
            sections.key_counts = Some(self.key_counts(by).await?);
            return self.respond(&question, upto, sections, ephemeral).map(Look::Found);
        }
        let range = Range { since: since.min(upto), upto };
        let mut sections = Box::pin(self.incremental(&question, range, *full_state)).await?;
        sections.to_device = self.to_device(by, inbox, upto).await?;
        sections.device_lists = self.device_lists(by, range).await?;
        sections.key_counts = self.key_counts_news(by, range).await?;
        let mut ephemeral = self.ephemeral(by, told, filter, !sections.is_empty()).await?;
        ephemeral.also(self.newly_shared(by, range, &sections, filter).await?);
        if !sections.is_empty() || ephemeral.ready || *last {
            self.name_present(&mut ephemeral).await?;
            if sections.key_counts.is_none() {
                sections.key_counts = Some(self.key_counts(by).await?);
            }
            let (rooms, typing) = (&mut sections.rooms, &ephemeral.typing);
            Box::pin(self.count_typing(&question, rooms, typing, upto)).await?;
            return self.respond(&question, upto, sections, ephemeral).map(Look::Found);
        }
        let at = &mut asked.at;
        self.still_good(by, at).await?;
        // Nothing up to here concerns this user.
        (at.epoch, at.since, at.told, at.inbox) = (self.store.epoch(), upto, ephemeral.looked, inbox.looked(upto));
        Ok(Look::Nothing(ephemeral.again))
    }

    /// That the session has not ended, where its user, device or tokens may have changed up to `at.upto`.
    async fn still_good(&self, by: &Session, at: &mut Standing) -> Result<(), SyncError> {
        if self.store.user_changed(by.user, at.good_at) != Some(false) {
            self.accounts.check(by).await?;
        }
        at.good_at = at.upto;
        Ok(())
    }

    /// Whether `token` is from so long ago that what was removed since then may have been forgotten.
    fn is_forgotten(&self, token: &SyncToken) -> bool {
        let kept_ms = own_data::TOMBSTONE_MS - own_data::TOMBSTONE_MARGIN_MS;
        token.presence_s != 0 && u64::from(token.presence_s) * 1_000 + kept_ms < self.store.clock().now_ms()
    }

    fn respond(
        &self,
        question: &Question<'_>,
        upto: Position,
        sections: Sections,
        ephemeral: Ephemeral,
    ) -> Result<Bytes, SyncError> {
        let Question { by, state_name, .. } = *question;
        let token = SyncToken {
            epoch: u32::try_from(self.store.epoch()).unwrap_or(u32::MAX),
            position: upto,
            typing: ephemeral.told.typing,
            ephemeral_s: ephemeral.told.ephemeral_s,
            presence_s: ephemeral.told.answered_s,
            user: by.user,
            device: by.device,
            to_device: sections.to_device.cut,
            sliding: None,
        };
        let Sections { mut rooms, account_data, members, to_device, device_lists, key_counts } = sections;
        let key_counts = key_counts.as_deref().map(KeyCountsTold::new);
        let presence = ephemeral.add_to(&mut rooms);
        if state_name.is_after() {
            let nothing = || State::new(state_name, Vec::new());
            for room in rooms.join.values_mut() {
                room.state.get_or_insert_with(nothing);
            }
        }
        let next_batch = self.store.tokens().write(&Token::Sync(token));
        if question.filter.members() == MembersWanted::Lazy {
            self.members.told(by.device, question.since, &next_batch, members);
        }
        let answer = Response { next_batch, account_data, rooms, presence, to_device, device_lists, key_counts };
        Ok(serde_json::to_vec(&answer)?.into())
    }
}

/// What became of a request at its beginning.
enum Begun {
    Answered(Bytes),
    /// It has a token, and may have to wait.
    Waits(Box<Asked>),
}

/// A request with a token. All that is kept while it waits is here.
struct Asked {
    since: Option<String>,
    state: StateName,
    /// The members that the client has; `None`: it does not load them lazily.
    has: Option<Members>,
    /// It changes when the user ignores others than before.
    filter: Filter,
    full_state: bool,
    at: Standing,
    timeout: Instant,
    /// There is an answer to the next look, whatever it finds.
    last: bool,
    listener: Listener,
    _present: Present,
}

impl Asked {
    fn question<'a>(&'a self, by: &'a Session) -> Question<'a> {
        let Self { since, state, has, filter, .. } = self;
        Question { by, filter, state_name: *state, since: since.as_deref(), has: has.as_ref() }
    }
}

/// Why a request does not wait any longer.
pub(crate) enum Rested {
    /// There may be something to tell.
    News,
    /// It has waited as long as it may.
    Enough,
    /// It is to be answered with nothing, at once.
    Ended,
}

/// Where a request that waits stands.
#[derive(Clone, Copy)]
struct Standing {
    epoch: u64,
    /// The client has everything up to here, in that epoch.
    since: Position,
    /// Up to where it looks.
    upto: Position,
    /// The token's position, where what the client has is so old that it is not known what was removed since.
    forgotten: Option<Position>,
    told: Told,
    inbox: Inbox,
    /// The session was good up to here.
    good_at: Position,
}

/// What a look found.
enum Look {
    /// The answer.
    Found(Bytes),
    /// Nothing to tell now.
    Nothing(Again),
}
