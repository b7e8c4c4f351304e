//! How much of a room a user has not read (Client-Server API, Receiving notifications).

use std::{collections::BTreeMap, sync::Arc};

use ruma::{UserId, push::Ruleset};
use wardstead_accounts::Accounts;
use wardstead_engine::{Cell, Key, Position, ScanRange};
use wardstead_limits::pushers::BADGE_ROOMS;
use wardstead_rooms::{Membership, Rooms};
use wardstead_store::Store;

use crate::{
    Counter, PushError,
    core::Core,
    fold::{Reader, counted},
    rules,
    tables::{ASIDES, AsideRow, Count, RECOUNTED, TALLIES, TallyRow, aside_key, reader_key, tally_key, total},
};

/// Push rules and counts, for who asks. Cheap to clone.
#[derive(Clone)]
pub struct Push {
    pub(crate) core: Arc<Core>,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Push")
    }
}

/// Notifications that were not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadCount {
    /// All of them (`notification_count`).
    pub notifications: u64,
    /// Those that are highlighted (`highlight_count`).
    pub highlights: u64,
}

/// What of a room was not read, and when the user last changed that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The numbers.
    pub counts: UnreadCounts,
    /// When a receipt, a join or the rules last changed them; others speak without that.
    pub changed: Position,
}

/// What of a room was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadCounts {
    /// Of the room; of its main timeline alone where threads were asked for.
    pub room: UnreadCount,
    /// By root, of each thread with any, where threads were asked for.
    pub threads: BTreeMap<String, UnreadCount>,
}

impl From<Count> for UnreadCount {
    fn from(count: Count) -> Self {
        let at_least_none = |number: i64| u64::try_from(number).unwrap_or_default();
        Self { notifications: at_least_none(count.notify), highlights: at_least_none(count.highlight) }
    }
}

/// What three rows say of a user in a room.
struct Rows {
    tally: TallyRow,
    counted_at: Position,
    reader: Reader,
    aside: AsideRow,
    aside_at: Position,
}

impl Push {
    /// What `counter` counts.
    #[must_use]
    pub fn new(counter: &Counter) -> Self {
        Self { core: Arc::clone(counter.core()) }
    }

    /// What is counted in `store`, by whatever node.
    #[must_use]
    pub fn over(store: Store, accounts: Accounts) -> Self {
        Self { core: Arc::new(Core::new(store, accounts)) }
    }

    /// What `user` has not read in `room` as of `upto`, which the store has reached; with `threads` each thread for itself. `None`: a
    /// receipt or the rules changed it after `upto`, and the answer for that later position tells it. One read, unless threads are
    /// asked for or something happened after `upto`.
    ///
    /// # Errors
    /// The store's.
    pub async fn unread(
        &self,
        room: u64,
        user: u64,
        upto: Position,
        threads: bool,
    ) -> Result<Option<Unread>, PushError> {
        let found = self.rows(room, user).await?;
        let Rows { tally, counted_at, reader, aside, aside_at } = &found;
        if reader.changed > upto {
            return Ok(None);
        }
        let now = *counted_at <= upto && *aside_at <= upto;
        if now && !threads && tally.redactions == reader.row.redactions {
            let counts = UnreadCounts { room: grown(tally, aside, reader).into(), threads: BTreeMap::new() };
            return Ok(Some(Unread { counts, changed: reader.changed }));
        }
        let counted = counted(&self.core.store, room, reader.upto, upto.min(*counted_at)).await?;
        let unread = reader.unread(&self.core.store, &counted, upto, &[]).await?;
        let mut counts = UnreadCounts::default();
        let mut sum = Count::default();
        for (thread, pending) in unread {
            match thread {
                Some(thread) if threads => drop(counts.threads.insert(thread, pending.count.into())),
                _ => sum = sum.plus(pending.count),
            }
        }
        counts.threads.retain(|_, count| *count != UnreadCount::default());
        counts.room = sum.into();
        Ok(Some(Unread { counts, changed: reader.changed }))
    }

    /// All that `user` has not read now, in all rooms that the user is in. Two reads, unless the user is in very many rooms, or
    /// something was redacted after it had been read.
    ///
    /// # Errors
    /// The store's.
    pub async fn unread_everywhere(&self, rooms: &Rooms, user: u64) -> Result<u64, PushError> {
        let joined = rooms.user_rooms(user).await?.into_iter().filter(|room| room.membership == Membership::Join);
        let joined: Vec<u64> = joined.map(|room| room.room).collect();
        let mut sum = 0;
        for rooms in joined.chunks(BADGE_ROOMS) {
            let keys: Vec<Key> = rooms.iter().flat_map(|room| count_keys(*room, user)).collect();
            let cells = self.core.store.cells(&keys).await?;
            for (room, cells) in rooms.iter().zip(cells.chunks(3)) {
                let Rows { tally, reader, aside, .. } = Rows::of(*room, user, cells)?;
                let count = if tally.redactions == reader.row.redactions {
                    grown(&tally, &aside, &reader).into()
                } else {
                    let unread = self.unread(*room, user, Position(u64::MAX), false).await?;
                    unread.map(|unread| unread.counts.room).unwrap_or_default()
                };
                sum += count.notifications;
            }
        }
        Ok(sum)
    }

    async fn rows(&self, room: u64, user: u64) -> Result<Rows, PushError> {
        Rows::of(room, user, &self.core.store.cells(&count_keys(room, user)).await?)
    }

    /// The push rules of `user`, and when they last changed; zero: never.
    ///
    /// # Errors
    /// The store's.
    pub async fn rules(&self, user: u64, user_id: &UserId) -> Result<(Ruleset, Position), PushError> {
        let (head, rules) = rules::current_rules(&self.core.store, user, user_id).await?;
        Ok((rules, head.changed))
    }

    /// When the push rules of `user` last changed; zero: never.
    ///
    /// # Errors
    /// The store's.
    pub async fn rules_changed(&self, user: u64) -> Result<Position, PushError> {
        Ok(rules::head(&self.core.store, user).await?.changed)
    }

    /// The rooms in which the counts of `user` changed with the push rules, after `since` and up to `upto`.
    ///
    /// # Errors
    /// The store's.
    pub async fn recounted(&self, user: u64, since: Position, upto: Position) -> Result<Vec<u64>, PushError> {
        let at = |position: Position| RECOUNTED.key(user).position(position.next()).key();
        let range = ScanRange::new(at(since), at(upto));
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let found = self.core.store.scan_all(&RECOUNTED, range).await?;
        Ok(found.into_iter().map(|found| found.row.room).collect())
    }
}

/// Where the three rows stand.
fn count_keys(room: u64, user: u64) -> [Key; 3] {
    [tally_key(room), reader_key(room, user), aside_key(room, user)]
}

impl Rows {
    /// From what stands under [`count_keys`].
    fn of(room: u64, user: u64, cells: &[Option<Cell>]) -> Result<Self, PushError> {
        let keys = count_keys(room, user);
        let [tally, reader, aside] = [0, 1, 2].map(|at| cells.get(at).and_then(Option::as_ref));
        let counted_at = tally.map(Cell::position).unwrap_or_default();
        let tally = tally.map(|cell| TALLIES.decode(&keys[0], cell)).transpose()?.unwrap_or_default();
        let reader = Reader::of(room, user, reader)?;
        if let Some((_, aside)) = tally.asides.iter().find(|(of, _)| *of == user) {
            let aside = aside.clone();
            return Ok(Self { tally, counted_at, reader, aside, aside_at: Position::ZERO });
        }
        let aside_at = aside.map(Cell::position).unwrap_or_default();
        let aside = aside.map(|cell| ASIDES.decode(&keys[2], cell)).transpose()?.unwrap_or_default();
        Ok(Self { tally, counted_at, reader, aside, aside_at })
    }
}

/// What was unread when the row was written, and what the totals grew by since then.
fn grown(tally: &TallyRow, aside: &AsideRow, reader: &Reader) -> Count {
    let row = &reader.row;
    let now = total(&tally.totals, row.class).plus(aside.beyond(row.class));
    row.unread.iter().fold(now.minus(row.base), |sum, (_, pending)| sum.plus(pending.count))
}
