//! A room's members, and what each of them looks for, so that an event finds those whom it may concern without asking all.
//!
//! It follows from rows ([`MEMBERS`], [`crate::tables::CONTENTS`]) and is kept in memory under the number that the room's tally had when it
//! was read: whoever counts an event has just read that number, so what is kept is never older than the room.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use aho_corasick::AhoCorasick;
use quick_cache::Weighter;
use ruma::{OwnedUserId, RoomId, UserId, push::Ruleset};
use wardstead_accounts::Ignored;
use wardstead_engine::{Key, KeyReader, Position, ScanRange};
use wardstead_limits::push as limits;
use wardstead_store::StoreError;

use crate::{
    core::Core,
    error::corrupt,
    glob, rules,
    split::{Trigger, split},
    tables::{MEMBERS, MemberRow, NO_CLASS, TallyRow},
};

/// Somebody in the room.
pub(crate) struct Member {
    pub(crate) user_id: OwnedUserId,
    /// Display name in the room.
    pub(crate) name: Option<String>,
    pub(crate) class: u64,
    /// `None`: the rules of everybody, and ignores nobody.
    pub(crate) own: Option<Arc<Own>>,
    /// What is looked for, in lower case, and whether it has to stand for itself.
    words: Vec<(String, bool)>,
    /// Looks for something that no word tells.
    always: bool,
}

/// What only one user has.
pub(crate) struct Own {
    pub(crate) rules: Ruleset,
    pub(crate) ignored: Ignored,
    triggers: Vec<Trigger>,
}

/// Words in one automaton.
#[derive(Clone, Default)]
struct Words {
    automaton: Option<AhoCorasick>,
    /// Whose each is, and whether it has to stand for itself.
    owners: Vec<(u64, bool)>,
}

/// Users, and how they are found by what they look for.
#[derive(Default)]
struct Part {
    /// `None`: not in the room.
    members: HashMap<u64, Option<Arc<Member>>>,
    ids: HashMap<OwnedUserId, u64>,
    words: Words,
    /// Users by whom they look for, in lower case.
    senders: HashMap<String, Vec<u64>>,
    ignorers: Vec<u64>,
    always: Vec<u64>,
    /// Users by class: an event asks for all of one, and to look at each member for that is slow.
    classes: HashMap<u64, Vec<u64>>,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Index {
    names: u64,
    upto: Position,
    /// As of some time ago: it is shared by what the room's index is from change to change.
    base: Arc<Part>,
    /// Who came, went or changed since then: at most [`limits::INDEX_RECENT_USERS`], so that a join in a large room is a small thing.
    recent: Arc<Part>,
}

/// What an event has that somebody may look for.
pub(crate) struct Looked<'a> {
    pub(crate) sender: &'a UserId,
    /// Its text in lower case, where words are looked for.
    pub(crate) text: Option<&'a str>,
    pub(crate) mentioned: &'a [&'a str],
}

#[derive(Clone)]
pub(crate) struct Bytes;

impl Weighter<u64, Arc<Index>> for Bytes {
    fn weight(&self, _: &u64, index: &Arc<Index>) -> u64 {
        let of = |part: &Part| {
            let words = part.words.automaton.as_ref().map_or(0, AhoCorasick::memory_usage);
            words + 16 * part.words.owners.len() + 512 * part.members.len()
        };
        (256 + of(&index.base) + of(&index.recent)) as u64
    }
}

impl Words {
    fn new(words: &[(String, u64, bool)]) -> Result<Self, StoreError> {
        if words.is_empty() {
            return Ok(Self::default());
        }
        let owners = words.iter().map(|(_, user, alone)| (*user, *alone)).collect();
        let automaton = AhoCorasick::new(words.iter().map(|(word, ..)| word))
            .map_err(|error| wardstead_engine::EngineError::Unavailable(format!("too many words: {error}")))?;
        Ok(Self { automaton: Some(automaton), owners })
    }

    fn find(&self, text: &str, found: &mut BTreeSet<u64>) {
        let Some(automaton) = &self.automaton else { return };
        for place in automaton.find_overlapping_iter(text) {
            if let Some((user, alone)) = self.owners.get(place.pattern().as_usize())
                && (!alone || glob::stands_alone(text, place.start(), place.end()))
            {
                found.insert(*user);
            }
        }
    }
}

impl Member {
    fn new(user_id: OwnedUserId, row: MemberRow, own: Option<Arc<Own>>) -> Self {
        let (name, class, words) = (row.name, row.class, Vec::new());
        let mut member = Self { user_id, name, class, own, words, always: false };
        let words = member.looked_for();
        let own = member.own.iter().flat_map(|own| &own.triggers);
        let always = own.into_iter().any(|trigger| *trigger == Trigger::Always);
        member.always = always || class == NO_CLASS || words.iter().any(Option::is_none);
        member.words = words.into_iter().flatten().collect();
        member
    }

    /// The words that it looks for; `None`: something that no word tells.
    fn looked_for(&self) -> Vec<Option<(String, bool)>> {
        let word = |pattern: &str| {
            let pattern = pattern.to_lowercase();
            let literal = glob::longest_literal(&pattern);
            (!literal.is_empty()).then(|| (literal.to_owned(), !glob::has_wildcards(&pattern)))
        };
        let named = || word(self.name.as_deref().unwrap_or(self.user_id.as_str()));
        let Some(own) = &self.own else {
            let name = self.name.as_deref().map(word);
            return std::iter::once(word(self.user_id.localpart())).chain(name).collect();
        };
        let of = |trigger: &Trigger| match trigger {
            Trigger::Word(pattern) => Some(word(pattern)),
            Trigger::Name => Some(named()),
            Trigger::Sender(_) | Trigger::Always => None,
        };
        own.triggers.iter().filter_map(of).collect()
    }
}

impl Part {
    fn new(members: HashMap<u64, Option<Arc<Member>>>) -> Result<Self, StoreError> {
        let mut part = Self::default();
        let mut words = Vec::new();
        for (user, member) in &members {
            let (user, Some(member)) = (*user, member) else { continue };
            part.ids.insert(member.user_id.clone(), user);
            part.classes.entry(member.class).or_default().push(user);
            words.extend(member.words.iter().map(|(word, alone)| (word.clone(), user, *alone)));
            for trigger in member.own.iter().flat_map(|own| &own.triggers) {
                if let Trigger::Sender(sender) = trigger {
                    part.senders.entry(sender.clone()).or_default().push(user);
                }
            }
            if member.own.as_ref().is_some_and(|own| !own.ignored.is_empty()) {
                part.ignorers.push(user);
            }
            if member.always {
                part.always.push(user);
            }
        }
        part.words = Words::new(&words)?;
        part.members = members;
        Ok(part)
    }

    fn of_class(&self, class: u64) -> &[u64] {
        self.classes.get(&class).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds whom an event may concern.
    fn concerned(&self, looked: &Looked<'_>, found: &mut BTreeSet<u64>) {
        found.extend(self.always.iter().copied());
        found.extend(looked.mentioned.iter().filter_map(|id| self.ids.get(*id)));
        if let Some(text) = looked.text {
            self.words.find(text, found);
        }
        if !self.senders.is_empty() {
            found.extend(self.senders.get(&looked.sender.as_str().to_lowercase()).into_iter().flatten());
        }
        let ignores = |user: &&u64| {
            let member = self.members.get(*user).and_then(Option::as_ref);
            member.and_then(|member| member.own.as_ref()).is_some_and(|own| own.ignored.contains(looked.sender))
        };
        found.extend(self.ignorers.iter().filter(ignores));
    }
}

impl Index {
    pub(crate) fn member(&self, user: u64) -> Option<&Arc<Member>> {
        self.recent.members.get(&user).or_else(|| self.base.members.get(&user))?.as_ref()
    }

    /// The members of `class`.
    pub(crate) fn of_class(&self, class: u64) -> impl Iterator<Item = u64> {
        let recent = &self.recent.members;
        // Mostly nobody has changed lately.
        let has_changed = |user: &&u64| !recent.is_empty() && recent.contains_key(*user);
        let base = self.base.of_class(class).iter().filter(move |user| !has_changed(user));
        self.recent.of_class(class).iter().chain(base).copied()
    }

    /// Members to whom an event may be something else than to their class.
    pub(crate) fn concerned(&self, looked: &Looked<'_>) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        self.base.concerned(looked, &mut found);
        // What was so before says nothing of who has changed since then.
        found.retain(|user| !self.recent.members.contains_key(user));
        self.recent.concerned(looked, &mut found);
        found.retain(|user| self.member(*user).is_some_and(|member| member.user_id != *looked.sender));
        found
    }

    /// The same with `changes`, at most one of each user.
    fn with(&self, changes: Vec<(OwnedUserId, MemberRow, Option<Arc<Own>>)>) -> Result<Self, StoreError> {
        let mut recent = self.recent.members.clone();
        for (user_id, row, own) in changes {
            let (user, joined) = (row.user, row.joined);
            recent.insert(user, joined.then(|| Arc::new(Member::new(user_id, row, own))));
        }
        if recent.len() <= limits::INDEX_RECENT_USERS {
            return Ok(Self { recent: Arc::new(Part::new(recent)?), ..self.clone() });
        }
        let mut members = self.base.members.clone();
        members.extend(recent);
        members.retain(|_, member| member.is_some());
        Ok(Self { base: Arc::new(Part::new(members)?), recent: Arc::default(), ..self.clone() })
    }
}

impl Core {
    /// The members of `room` as of `tally`, with the changes that are `queued`.
    pub(crate) async fn index(
        &self,
        room: u64,
        room_id: &RoomId,
        tally: &TallyRow,
        queued: Vec<MemberRow>,
    ) -> Result<Arc<Index>, StoreError> {
        let before = self.indices.get(&room).unwrap_or_default();
        if before.names == tally.names && before.names != 0 {
            return Ok(before);
        }
        let from = MEMBERS.key(room).position(before.upto.next()).key();
        let range = ScanRange::new(from, MEMBERS.key(room).key().after_prefix());
        // Of each user the last.
        let (mut upto, mut rows, alone) = (before.upto, BTreeMap::new(), queued.is_empty());
        for found in self.store.scan_all(&MEMBERS, range).await? {
            let position = KeyReader::new(&found.key).position();
            upto = upto.max(position.ok_or_else(|| corrupt(&found.key, "no position in the key"))?);
            rows.insert(found.row.user, (found.key, found.row));
        }
        // What is queued has no key of its own yet.
        rows.extend(queued.into_iter().map(|row| (row.user, (MEMBERS.key(room).key(), row))));
        let mut changes = Vec::with_capacity(rows.len());
        for (key, row) in rows.into_values() {
            // Left out, somebody would never again be told that they are mentioned.
            let user_id = member_id(&key, &row)?;
            let watched = row.joined && row.held.is_own();
            let own = if watched { Some(self.own(&row, &user_id, room_id).await?) } else { None };
            changes.push((user_id, row, own));
        }
        let mut index = before.with(changes)?;
        (index.names, index.upto) = (tally.names, upto);
        let index = Arc::new(index);
        // What is only queued may never come.
        if alone {
            self.indices.insert(room, Arc::clone(&index));
        }
        Ok(index)
    }

    async fn own(&self, row: &MemberRow, user_id: &UserId, room_id: &RoomId) -> Result<Arc<Own>, StoreError> {
        let own = match rules::held(&self.store, row.user, user_id, row.held).await? {
            Some(own) => own,
            // The room counts by others since a moment ago, so what comes of this one is not committed; or the account has ended.
            None => rules::current(&self.store, row.user, user_id).await?.1,
        };
        let rules::Own { rules, ignored } = own;
        let triggers = split(&rules, user_id, room_id).triggers;
        Ok(Arc::new(Own { rules, ignored, triggers }))
    }
}

fn member_id(key: &Key, row: &MemberRow) -> Result<OwnedUserId, StoreError> {
    UserId::parse(&row.user_id).map_err(|_| corrupt(key, "not the user id of a member"))
}

#[cfg(test)]
mod tests {
    use wardstead_engine::EngineError;

    use super::*;
    use crate::tables::Held;

    fn row(user: u64, joined: bool) -> (OwnedUserId, MemberRow, Option<Arc<Own>>) {
        let (user_id, name) = (format!("@user{user}:x"), Some(format!("name{user}")));
        let id = UserId::parse(user_id.as_str()).unwrap();
        (id, MemberRow { user, user_id, name, class: 0, held: Held::default(), joined }, None)
    }

    fn found(index: &Index, text: &str, mentioned: &[&str]) -> Vec<u64> {
        let sender = UserId::parse("@somebody:x").unwrap();
        let looked = Looked { sender: &sender, text: Some(text), mentioned };
        index.concerned(&looked).into_iter().collect()
    }

    #[test]
    fn a_join_in_a_large_room_touches_only_those_who_changed() {
        let members = (0..2_000).map(|user| row(user, true)).collect();
        let large = Index::default().with(members).unwrap();
        let after = large.with(vec![row(7, false), row(3_000, true)]).unwrap();
        assert!(Arc::ptr_eq(&large.base, &after.base), "the others are not looked at");
        assert_eq!(after.recent.members.len(), 2);
        assert_eq!(found(&after, "user7, name8 and user3000", &["@user9:x"]), [8, 9, 3_000]);
        assert_eq!(found(&after, "", &["@user7:x", "@user3000:x"]), [3_000]);
        let of_class = |index: &Index| index.of_class(0).collect::<BTreeSet<u64>>();
        assert_eq!(of_class(&after), (0..2_000).filter(|user| *user != 7).chain([3_000]).collect());
        let (_, mut other, _) = row(8, true);
        other.class = 5;
        let moved = after.with(vec![(UserId::parse("@user8:x").unwrap(), other, None)]).unwrap();
        assert_eq!((moved.of_class(5).collect::<Vec<_>>(), of_class(&moved).contains(&8)), (vec![8], false));
        let back = after.with(vec![row(7, true)]).unwrap();
        assert!(of_class(&back).contains(&7));
        assert_eq!(found(&back, "name7", &["@user7:x"]), [7]);
        let many = (4_000..4_000 + limits::INDEX_RECENT_USERS as u64).map(|user| row(user, true)).collect();
        let many = back.with(many).unwrap();
        assert!(many.recent.members.is_empty(), "what is recent has a bound");
        assert_eq!(found(&many, "name7 name4001 user3000", &[]), [7, 3_000, 4_001]);
    }

    #[test]
    fn a_member_without_a_user_id_is_corrupt() {
        let of = |user_id: &str| {
            let (user_id, name) = (user_id.to_owned(), None);
            member_id(
                &MEMBERS.key(1).key(),
                &MemberRow { user: 2, user_id, name, class: 0, held: Held::default(), joined: true },
            )
        };
        assert_eq!(of("@anna:x").unwrap(), "@anna:x");
        let refused = of("anna");
        assert!(matches!(refused, Err(StoreError::Engine(EngineError::Corrupt { .. }))), "{refused:?}");
    }
}
