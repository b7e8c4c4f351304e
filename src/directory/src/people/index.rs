//! The index of people, written in the commits that make an account, change its name, and end it. It holds the words of names outside
//! of any envelope: who works here is what it is for, and it holds nothing else. Room-specific names are not in it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wardstead_accounts::AccountChange;
use wardstead_engine::{AccessPattern, Batch, Key};
use wardstead_store::{CommitContributor, Contribution, Overlay, StoreError, Table, row};

use super::words::Words;

/// By which words a person is in the index: `user`.
pub(super) const PEOPLE: Table<PersonRow> = Table::new(AccessPattern::Point, 0x0c4, "people", "directory");
/// The people by their words: `0 | word | user`.
pub(super) const PEOPLE_WORDS: Table<PersonWordRow> =
    Table::new(AccessPattern::Scan, 0x0c5, "people_words", "directory");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PersonRow {
    pub(super) words: Vec<String>,
}
row!(PersonRow, 1);

/// All that a search has to know to choose, so that it reads no second row for each person that it finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PersonWordRow {
    pub(super) user_id: String,
    pub(super) words: Vec<String>,
    pub(super) wholes: Vec<String>,
}
row!(PersonWordRow, 1);

fn word_key(word: &str, user: u64) -> Key {
    PEOPLE_WORDS.key(0).text(word).u64(user).key()
}

/// Keeps the index. Wired by the binary into the accounts' commits.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeopleIndex;

#[async_trait]
impl CommitContributor<AccountChange> for PeopleIndex {
    async fn prepare(&self, change: &AccountChange, queued: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let (user, now) = match change {
            AccountChange::Created(created) => (created.user, Some((&created.user_id, created.displayname.as_deref()))),
            AccountChange::ProfileChanged(changed) if changed.field == "displayname" => {
                (changed.user, Some((&changed.user_id, changed.displayname.as_deref())))
            }
            AccountChange::Deactivated(deactivated) => (deactivated.user, None),
            _ => return Ok(Contribution::nothing()),
        };
        let before = match change {
            AccountChange::Created(_) => None,
            // Nobody else changes this account in the meantime: the commit asserts that.
            _ => queued.get(&PEOPLE, &PEOPLE.key(user).key()).await?,
        };
        let before = before.map(|found| found.row.words).unwrap_or_default();
        let now = now.map(|(user_id, name)| (user_id.as_str().to_owned(), Words::of(user_id, name)));
        Ok(Contribution::new(move |batch, _| write(batch, user, &before, now)))
    }
}

fn write(batch: &mut Batch, user: u64, before: &[String], now: Option<(String, Words)>) {
    let person = PEOPLE.key(user).key();
    let stays = |word: &String| now.as_ref().is_some_and(|(_, now)| now.words.contains(word));
    for word in before.iter().filter(|word| !stays(word)) {
        batch.delete(word_key(word, user));
    }
    let Some((user_id, Words { words, wholes })) = now else {
        batch.delete(person);
        return;
    };
    PEOPLE.put(batch, person, &PersonRow { words: words.clone() });
    let keys: Vec<Key> = words.iter().map(|word| word_key(word, user)).collect();
    let row = PersonWordRow { user_id, words, wholes };
    for key in keys {
        PEOPLE_WORDS.put(batch, key, &row);
    }
}
