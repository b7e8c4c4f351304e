//! A user's rules and whom the user ignores: as they are now, and as they were while rooms still count by them.
//!
//! A change writes new content under a new number, what is valid now, and a row of [`CHANGES`]: one commit. The rooms follow one by
//! one ([`crate::switch`]); each says by which number it counts, so that it counts by the rules of before or by the new ones, on
//! every node, and never by something of both.

use async_trait::async_trait;
use bytes::Bytes;
use ruma::{OwnedUserId, UserId, push::Ruleset};
use serde::de::DeserializeOwned;
use wardstead_accounts::{AccountChange, Ignored};
use wardstead_engine::{Batch, EngineError, Key, KeyReader, Position, PositionSlot, ScanRange};
use wardstead_limits::push as limits;
use wardstead_store::{CommitContributor, Contribution, Envelope, Overlay, Store, StoreError};

use crate::{
    defaults::default_rules,
    error::corrupt,
    tables::{CHANGES, CONTENTS, ChangeRow, ContentRow, Held, RULES, RulesRow, content_key, rules_key},
    work::expect,
};

/// What is valid now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) row: RulesRow,
    /// 0: nothing was ever changed.
    pub(crate) version: u64,
    /// When the rules themselves last changed; zero: never.
    pub(crate) changed: Position,
}

/// What a user has of their own.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) rules: Ruleset,
    pub(crate) ignored: Ignored,
}

/// What changes.
pub(crate) enum Part {
    /// The rules, as JSON; `None`: to those of everybody.
    Rules(Option<Vec<u8>>),
    Ignored(Vec<OwnedUserId>),
}

pub(crate) async fn head(store: &Store, user: u64) -> Result<Head, StoreError> {
    let Some(found) = store.get(&RULES, &rules_key(user)).await? else { return Ok(Head::default()) };
    let changed = found.positions.get(1).copied().unwrap_or_default();
    Ok(Head { row: found.row, version: found.version, changed })
}

/// The rules number `number`; `None`: no room counts by them any more.
async fn rules(store: &Store, user: u64, user_id: &UserId, number: u64) -> Result<Option<Ruleset>, StoreError> {
    if number == 0 {
        return Ok(Some(default_rules(user_id)));
    }
    let mut rules: Option<Ruleset> = content(store, user, number).await?;
    // Whoever changed a rule has those that the server got since then, too.
    if let Some(rules) = &mut rules {
        rules.update_with_server_default(default_rules(user_id));
    }
    Ok(rules)
}

async fn ignored(store: &Store, user: u64, number: u64) -> Result<Option<Ignored>, StoreError> {
    if number == 0 {
        return Ok(Some(Ignored::default()));
    }
    let users = content::<Vec<OwnedUserId>>(store, user, number).await?;
    Ok(users.map(|users| users.into_iter().collect()))
}

async fn content<T: DeserializeOwned>(store: &Store, user: u64, number: u64) -> Result<Option<T>, StoreError> {
    let key = content_key(user, number);
    let Some(found) = store.get(&CONTENTS, &key).await? else { return Ok(None) };
    let unreadable = || corrupt(&key, "neither push rules nor users");
    let content = Envelope::decode(&Bytes::from(found.row.content)).map_err(|_| unreadable())?;
    serde_json::from_slice(&content.0).map(Some).map_err(|_| unreadable())
}

/// What `user` has under `held`; `None`: no room counts by it any more.
pub(crate) async fn held(store: &Store, user: u64, user_id: &UserId, held: Held) -> Result<Option<Own>, StoreError> {
    let Some(rules) = rules(store, user, user_id, held.rules).await? else { return Ok(None) };
    let ignored = ignored(store, user, held.ignored).await?;
    Ok(ignored.map(|ignored| Own { rules, ignored }))
}

/// What is valid now.
pub(crate) async fn current(store: &Store, user: u64, user_id: &UserId) -> Result<(Head, Own), StoreError> {
    for _ in 0..limits::READ_TRIES {
        let head = head(store, user).await?;
        if let Some(own) = held(store, user, user_id, head.row.held).await? {
            return Ok((head, own));
        }
    }
    Err(StoreError::Engine(EngineError::Busy("push rules change too fast")))
}

/// The rules that are valid now.
pub(crate) async fn current_rules(store: &Store, user: u64, user_id: &UserId) -> Result<(Head, Ruleset), StoreError> {
    for _ in 0..limits::READ_TRIES {
        let head = head(store, user).await?;
        if let Some(rules) = rules(store, user, user_id, head.row.held.rules).await? {
            return Ok((head, rules));
        }
    }
    Err(StoreError::Engine(EngineError::Busy("push rules change too fast")))
}

/// Adds to `batch` that `part` is valid from its journal entry number `entry` on, and that rooms are to follow. The batch loses when
/// something else is valid than `before`.
pub(crate) fn change(batch: &mut Batch, entry: usize, user: u64, before: &Head, part: Part, version: u64) {
    let (mut row, mut changed) = (before.row, PositionSlot::Known(before.changed));
    let mut put = |content: Option<Vec<u8>>| {
        let Some(content) = content else { return 0 };
        row.last += 1;
        let stored = ContentRow { content: Envelope::plain(content).encode().to_vec() };
        CONTENTS.put(batch, content_key(user, row.last), &stored);
        row.last
    };
    match part {
        Part::Rules(rules) => {
            let number = put(rules);
            row.held.rules = number;
            changed = PositionSlot::Entry(entry);
        }
        Part::Ignored(users) => {
            let list: serde_json::Value = users.iter().map(|user| user.as_str()).collect();
            let number = put((!users.is_empty()).then(|| list.to_string().into_bytes()));
            row.held.ignored = number;
        }
    }
    expect(batch, rules_key(user), before.version);
    RULES.put_with(batch, rules_key(user), version, &[PositionSlot::Entry(entry), changed], &row);
    CHANGES.push(batch, user, entry, &ChangeRow);
}

/// Where content lies that was valid before `head`.
pub(crate) async fn outdated(store: &Store, user: u64, head: &Head) -> Result<Vec<Key>, StoreError> {
    let RulesRow { held, last } = head.row;
    let is_outdated = |key: &Key| {
        let number = KeyReader::new(key).u64();
        number.is_some_and(|number| number <= last && number != held.rules && number != held.ignored)
    };
    let found = store.scan_all(&CONTENTS, ScanRange::scope(CONTENTS.id(), user)).await?;
    Ok(found.into_iter().map(|found| found.key).filter(is_outdated).collect())
}

/// Takes part in the commits of accounts: whom a user ignores, and the end of an account. Wired by the binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleKeeper;

#[async_trait]
impl CommitContributor<AccountChange> for RuleKeeper {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        match change {
            AccountChange::IgnoredChanged(changed) => {
                let (user, users) = (changed.user, changed.ignored.clone());
                let before = head(queued.store(), user).await?;
                if users.is_empty() && before.row.held.ignored == 0 {
                    return Ok(Contribution::nothing());
                }
                let version = version(queued.store());
                Ok(Contribution::new(move |batch, entry| {
                    self::change(batch, entry, user, &before, Part::Ignored(users), version);
                }))
            }
            AccountChange::Deactivated(gone) => {
                let user = gone.user;
                Ok(Contribution::new(move |batch, _| {
                    let contents = CONTENTS.key(user).key();
                    batch.delete(rules_key(user));
                    batch.delete_range(contents.clone(), contents.after_prefix());
                }))
            }
            _ => Ok(Contribution::nothing()),
        }
    }
}

/// A new version of a row that is asserted.
pub(crate) fn version(store: &Store) -> u64 {
    (store.rng().next_u64() >> 1).max(1)
}
