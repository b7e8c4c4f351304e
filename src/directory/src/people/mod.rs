//! The directory of people (Matrix specification, Client-Server API, User Directory). Formats and reasons:
//! `docs/design/19-profiles.md`.

mod index;
mod met;
mod words;

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use ruma::{OwnedUserId, UserId};
use serde::Serialize;
use wardstead_accounts::{Ignored, Session};
use wardstead_engine::{Key, KeyReader, PageLimit, ScanRange};
use wardstead_limits::profiles as limits;
use wardstead_rooms::{Membership, UserRoom};
use wardstead_store::{Found, StoreError};

use crate::{Directory, DirectoryError, error::corrupt};

pub use index::PeopleIndex;

use index::{PEOPLE_WORDS, PersonWordRow};
use words::{Fit, Term, Words};

/// Whom people find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VisiblePeople {
    /// Everybody with an account here.
    #[default]
    All,
    /// Whom they could meet: who is in a room with them, or in one that everybody may join or read.
    Met,
}

/// A search.
#[derive(Clone, Debug, Default)]
pub struct PeopleQuery {
    /// Beginnings of words of a name or a user name.
    pub term: String,
    /// People at most; `None`: [`limits::PEOPLE_DEFAULT_USERS`].
    pub limit: Option<usize>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct People {
    /// Who was found, the best first: whose whole name it is before whose words these are before whose words begin so, and among
    /// those who share a room with whoever searches before others.
    pub results: Vec<Person>,
    /// Whether there are more, or may be.
    pub limited: bool,
}

/// Somebody, by what they say of themselves to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// User id.
    pub user_id: OwnedUserId,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// Somebody whose words fit.
#[derive(Clone, Debug)]
struct Candidate {
    user: u64,
    user_id: OwnedUserId,
    fit: Fit,
    /// What people are sorted by in the end.
    whole: String,
}

impl Directory {
    /// Searches the people of this server, for `by`, who is not found, nor is whom they ignore. Two to four reads, and one for each
    /// [`limits::PEOPLE_PAGE_ROWS`] rows of words.
    ///
    /// # Errors
    /// The store's.
    pub async fn search_people(&self, by: &Session, query: &PeopleQuery) -> Result<People, DirectoryError> {
        let term = Term::of(&query.term);
        if term.lookups().is_empty() || !term.may_be_of(by.user_id.server_name()) {
            return Ok(People::default());
        }
        let limit = query.limit.unwrap_or(limits::PEOPLE_DEFAULT_USERS).min(limits::PEOPLE_USERS);
        let ignored = self.inner.accounts.ignored_by(by.user, &by.user_id).await?;
        let rooms = self.inner.rooms.user_rooms(by.user).await?;
        let rooms: Vec<UserRoom> = rooms.into_iter().filter(|room| room.membership == Membership::Join).collect();
        let (mut found, mut limited) = self.candidates(by, &term, &ignored, &rooms).await?;
        limited |= found.len() > limit;
        // Who fits worse than the last that is shown is not, whatever else they are.
        found.sort_by_key(|person| person.fit);
        if let Some(worst) = found.get(limit.saturating_sub(1)).map(|person| person.fit) {
            found.retain(|person| person.fit <= worst);
        }
        let close = self.close(&rooms, &found).await?;
        found.sort_by_cached_key(|person| {
            (person.fit, Reverse(close.contains(&person.user)), person.whole.clone(), person.user_id.clone())
        });
        found.truncate(limit);
        let users: Vec<u64> = found.iter().map(|person| person.user).collect();
        let names = self.inner.accounts.names(&users).await?;
        let results = found.into_iter().zip(names).map(|(person, names)| Person {
            user_id: person.user_id,
            display_name: names.displayname,
            avatar_url: names.avatar_url,
        });
        Ok(People { results: results.collect(), limited })
    }

    /// Whoever fits, in the order of their words; and whether there may be more.
    ///
    /// The words take turns, a page each, until one of them has no more: whoever fits has that one too. So one word that everybody has, a
    /// title, does not hide those whom the other tells apart.
    async fn candidates(
        &self,
        by: &Session,
        term: &Term,
        ignored: &Ignored,
        rooms: &[UserRoom],
    ) -> Result<(Vec<Candidate>, bool), DirectoryError> {
        let (mut found, mut seen): (Vec<Candidate>, HashSet<u64>) = (Vec::new(), HashSet::from([by.user]));
        let range = |word: &str| ScanRange::prefix(PEOPLE_WORDS.key(0).fixed(word.as_bytes()).key());
        let mut turns: VecDeque<ScanRange> = term.lookups().into_iter().map(range).collect();
        let (mut scanned, mut more) = (0, false);
        while let Some(range) = turns.pop_front() {
            let page = PageLimit::rows(limits::PEOPLE_PAGE_ROWS);
            let (rows, resume) = self.inner.store.scan(&PEOPLE_WORDS, &range, page).await?;
            scanned += rows.len();
            let mut fitting = Vec::new();
            for row in rows {
                let mut key = KeyReader::new(&row.key);
                let user = key.text().and(key.u64()).ok_or_else(|| not_a_person(&row.key))?;
                if !seen.insert(user) {
                    continue;
                }
                fitting.extend(candidate(user, row, term)?.filter(|person| !ignored.contains(&person.user_id)));
            }
            found.extend(match self.inner.people {
                VisiblePeople::All => fitting,
                VisiblePeople::Met => self.met(rooms, fitting).await?,
            });
            more = resume.is_some();
            let Some(resume) = resume else { break };
            turns.push_back(range.resumed(resume));
            if found.len() >= limits::PEOPLE_RANKED_USERS || scanned >= limits::PEOPLE_SCANNED_ROWS {
                break;
            }
        }
        more |= found.len() > limits::PEOPLE_RANKED_USERS;
        found.truncate(limits::PEOPLE_RANKED_USERS);
        Ok((found, more))
    }

    /// Those of `people` who are in one of the rooms that whoever searches entered last. At most one read.
    async fn close(&self, rooms: &[UserRoom], people: &[Candidate]) -> Result<HashSet<u64>, DirectoryError> {
        let mut rooms: Vec<&UserRoom> = rooms.iter().collect();
        rooms.sort_unstable_by_key(|room| Reverse(room.position));
        let rooms: Vec<u64> = rooms.into_iter().take(limits::PEOPLE_RANK_ROOMS).map(|room| room.room).collect();
        let users: Vec<u64> = people.iter().map(|person| person.user).collect();
        Ok(self.inner.rooms.joined_to_any(&users, &rooms).await?)
    }
}

/// The person of `row`, if they fit.
fn candidate(user: u64, row: Found<PersonWordRow>, term: &Term) -> Result<Option<Candidate>, StoreError> {
    let user_id = UserId::parse(row.row.user_id).map_err(|_| not_a_person(&row.key))?;
    let words = Words { words: row.row.words, wholes: row.row.wholes };
    let fit = term.fit(&words);
    let whole = words.wholes.into_iter().next().unwrap_or_default();
    Ok(fit.map(|fit| Candidate { user, user_id, fit, whole }))
}

fn not_a_person(key: &Key) -> StoreError {
    corrupt(key, "not a person in the index")
}
