//! How much of a room a user has not read (Client-Server API, Receiving notifications).

use std::{collections::BTreeMap, sync::Arc};

use ruma::{UserId, push::Ruleset};
use wardstead_accounts::Accounts;
use wardstead_engine::{Key, Position, ScanRange};
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
        for (thread, count) in unread {
            match thread {
                Some(thread) if threads => drop(counts.threads.insert(thread, count.into())),
                _ => sum = sum.plus(count),
            }
        }
        counts.threads.retain(|_, count| *count != UnreadCount::default());
        counts.room = sum.into();
        Ok(Some(Unread { counts, changed: reader.changed }))
    }

    async fn rows(&self, room: u64, user: u64) -> Result<Rows, PushError> {
        let keys: [Key; 3] = [tally_key(room), reader_key(room, user), aside_key(room, user)];
        let mut cells = self.core.store.cells(&keys).await?.into_iter();
        let (tally, reader, aside) = (cells.next().flatten(), cells.next().flatten(), cells.next().flatten());
        let counted_at = tally.as_ref().map(wardstead_engine::Cell::position).unwrap_or_default();
        let tally = tally.map(|cell| TALLIES.decode(&keys[0], &cell)).transpose()?.unwrap_or_default();
        let reader = Reader::of(room, user, reader.as_ref())?;
        if let Some((_, aside)) = tally.asides.iter().find(|(of, _)| *of == user) {
            let aside = aside.clone();
            return Ok(Rows { tally, counted_at, reader, aside, aside_at: Position::ZERO });
        }
        let aside_at = aside.as_ref().map(wardstead_engine::Cell::position).unwrap_or_default();
        let aside = aside.map(|cell| ASIDES.decode(&keys[2], &cell)).transpose()?.unwrap_or_default();
        Ok(Rows { tally, counted_at, reader, aside, aside_at })
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

/// What was unread when the row was written, and what the totals grew by since then.
fn grown(tally: &TallyRow, aside: &AsideRow, reader: &Reader) -> Count {
    let row = &reader.row;
    let now = total(&tally.totals, row.class).plus(aside.beyond(row.class));
    row.unread.iter().fold(now.minus(row.base), |sum, (_, count)| sum.plus(*count))
}
