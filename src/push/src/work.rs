//! What one change of a room writes: all in the change's own batch.

use ruma::OwnedUserId;
use wardstead_engine::{Batch, Expect, Key, Losing, Position, PositionSlot};
use wardstead_limits::push as limits;
use wardstead_store::{Contribution, Overlay, StoreError};

use crate::{
    core::{Core, Standing},
    tables::{
        ASIDES, AsideRow, CLASSES, COUNTED, ClassRow, Counted, CountedRow, DEFAULT_CLASS, Held, MEMBERS, MemberRow,
        NO_CLASS, READERS, ReaderRow, TALLIES, TallyRow, Verdict, aside_key, class_key, counted_key, reader_key,
        rules_key, tally_key, total, total_mut,
    },
};

/// A room's tally as the batch will leave it, and the rows beside it.
pub(crate) struct Work {
    room: u64,
    pub(crate) tally: TallyRow,
    /// That was read; 0: none.
    version: u64,
    changed: bool,
    counted: CountedRow,
    readers: Vec<(u64, Option<ReaderRow>)>,
    asides: Vec<(u64, Option<AsideRow>)>,
    members: Vec<MemberRow>,
    classes: Vec<(u64, ClassRow)>,
    /// Versions of rules that this rests on.
    rules: Vec<(u64, u64)>,
}

/// Who comes into a room, or is there.
pub(crate) struct Person {
    pub(crate) user: u64,
    pub(crate) user_id: OwnedUserId,
    pub(crate) name: Option<String>,
}

impl Work {
    pub(crate) async fn load(room: u64, queued: &Overlay<'_>) -> Result<Self, StoreError> {
        let found = queued.get(&TALLIES, &tally_key(room)).await?;
        let (tally, version) = found.map(|found| (found.row, found.version)).unwrap_or_default();
        Ok(Self::on(room, tally, version))
    }

    /// On a tally that was read before.
    pub(crate) fn on(room: u64, tally: TallyRow, version: u64) -> Self {
        Self {
            room,
            tally,
            version,
            changed: false,
            counted: CountedRow::default(),
            readers: Vec::new(),
            asides: Vec::new(),
            members: Vec::new(),
            classes: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Whether the event is something to somebody, where `others` beside its sender are in the room, or is to whom it invites.
    pub(crate) fn tells(&self, others: bool) -> bool {
        self.counted.event.is_some() && others || self.counted.invited.is_some()
    }

    /// Counts an event.
    pub(crate) async fn add(&mut self, counted: Counted, queued: &Overlay<'_>) -> Result<(), StoreError> {
        self.sum_up(&counted, 1, queued).await?;
        self.counted.event = Some(counted);
        Ok(())
    }

    /// Notes what an event is to the user whom it invites.
    pub(crate) fn invite(&mut self, user: u64, counted: Counted) {
        self.counted.invited = Some((user, counted));
    }

    /// Takes the event at `position` back, if it was counted.
    pub(crate) async fn take_back(&mut self, position: Position, queued: &Overlay<'_>) -> Result<(), StoreError> {
        let key = counted_key(self.room).position(position).key();
        let found = queued.store().get(&COUNTED, &key).await?;
        let Some(counted) = found.and_then(|found| found.row.event) else { return Ok(()) };
        self.sum_up(&counted, -1, queued).await?;
        self.tally.redactions += 1;
        self.counted.redacted = Some((position.0, counted));
        Ok(())
    }

    async fn sum_up(&mut self, counted: &Counted, sign: i64, queued: &Overlay<'_>) -> Result<(), StoreError> {
        self.changed = true;
        let is_kept = |class: u64| class == DEFAULT_CLASS || self.tally.classes.iter().any(|(kept, _)| *kept == class);
        let classes: Vec<_> = counted.classes.iter().copied().filter(|(class, _)| is_kept(*class)).collect();
        for (class, verdict) in &classes {
            total_mut(&mut self.tally.totals, *class).add(verdict.outcome, sign);
        }
        let sender =
            (counted.sender != 0 && !counted.classes.is_empty()).then_some((counted.sender, Verdict::default()));
        let kept: Vec<u64> = self.tally.classes.iter().map(|(class, _)| *class).collect();
        for (user, verdict) in sender.into_iter().chain(counted.users.iter().copied()) {
            let mut aside = self.take_aside(user, queued).await?;
            aside.own.add(verdict.outcome, sign);
            aside.instead.retain(|(class, _)| *class == DEFAULT_CLASS || kept.contains(class));
            for (class, verdict) in &classes {
                total_mut(&mut aside.instead, *class).add(verdict.outcome, sign);
            }
            self.put_aside(user, aside);
        }
        Ok(())
    }

    /// Takes a user's row out, to change it or to drop it.
    async fn take_aside(&mut self, user: u64, queued: &Overlay<'_>) -> Result<AsideRow, StoreError> {
        if let Some(at) = self.tally.asides.iter().position(|(of, _)| *of == user) {
            return Ok(self.tally.asides.remove(at).1);
        }
        if let Some((_, aside)) = self.asides.iter().rev().find(|(of, _)| *of == user) {
            return Ok(aside.clone().unwrap_or_default());
        }
        if !self.tally.spilled {
            return Ok(AsideRow::default());
        }
        Ok(queued.get(&ASIDES, &aside_key(self.room, user)).await?.map(|found| found.row).unwrap_or_default())
    }

    fn put_aside(&mut self, user: u64, aside: AsideRow) {
        self.tally.asides.insert(0, (user, aside));
        if self.tally.asides.len() > limits::ROOM_ASIDE_ENTRIES
            && let Some((user, aside)) = self.tally.asides.pop()
        {
            self.tally.spilled = true;
            self.asides.push((user, Some(aside)));
        }
    }

    /// `person` comes into the room: what was said before, this event included, is as good as read.
    pub(crate) async fn enter(
        &mut self,
        person: Person,
        standing: Standing,
        queued: &Overlay<'_>,
    ) -> Result<(), StoreError> {
        let aside = self.take_aside(person.user, queued).await?;
        let class = self.enter_class(standing.class, standing.rules);
        let base = total(&self.tally.totals, class).plus(aside.beyond(class));
        if aside != AsideRow::default() {
            self.put_aside(person.user, aside);
        }
        let (held, redactions) = (standing.held, self.tally.redactions);
        let reader = ReaderRow { class, held, base, redactions, ..ReaderRow::default() };
        self.tally.watched += u32::from(held.is_own());
        self.rules.push((person.user, standing.version));
        self.readers.push((person.user, Some(reader)));
        self.tell(person, class, held, true);
        Ok(())
    }

    /// `person` leaves the room.
    pub(crate) async fn leave(&mut self, person: Person, queued: &Overlay<'_>) -> Result<(), StoreError> {
        let reader = self.reader(person.user, queued).await?;
        self.leave_class(reader.class);
        self.tally.watched = self.tally.watched.saturating_sub(u32::from(reader.held.is_own()));
        self.take_aside(person.user, queued).await?;
        if self.tally.spilled {
            self.asides.push((person.user, None));
        }
        self.readers.push((person.user, None));
        self.tell(person, reader.class, reader.held, false);
        Ok(())
    }

    /// `person`, who is in the room, has another name.
    pub(crate) async fn rename(&mut self, person: Person, queued: &Overlay<'_>) -> Result<(), StoreError> {
        let reader = self.reader(person.user, queued).await?;
        self.tell(person, reader.class, reader.held, true);
        Ok(())
    }

    async fn reader(&self, user: u64, queued: &Overlay<'_>) -> Result<ReaderRow, StoreError> {
        Ok(queued.get(&READERS, &reader_key(self.room, user)).await?.map(|found| found.row).unwrap_or_default())
    }

    pub(crate) fn tell(&mut self, person: Person, class: u64, held: Held, joined: bool) {
        self.changed = true;
        self.tally.names = 0;
        let Person { user, user_id, name } = person;
        self.members.push(MemberRow { user, user_id: user_id.as_str().to_owned(), name, class, held, joined });
    }

    /// One more member of `class`; where there are too many classes, of none.
    pub(crate) fn enter_class(&mut self, class: u64, rules: ClassRow) -> u64 {
        if class == DEFAULT_CLASS || class == NO_CLASS {
            return class;
        }
        let full = self.tally.classes.len() >= limits::ROOM_CLASS_ENTRIES;
        match self.tally.classes.iter_mut().find(|(kept, _)| *kept == class) {
            Some((_, members)) => *members += 1,
            None if full => return NO_CLASS,
            None => {
                self.tally.classes.push((class, 1));
                self.classes.push((class, rules));
            }
        }
        class
    }

    /// One member less of `class`. A class without members is counted no more.
    pub(crate) fn leave_class(&mut self, class: u64) {
        if let Some((_, members)) = self.tally.classes.iter_mut().find(|(kept, _)| *kept == class) {
            *members = members.saturating_sub(1);
        }
        self.tally.classes.retain(|(_, members)| *members > 0);
        let kept = &self.tally.classes;
        let is_kept = |class: u64| class == DEFAULT_CLASS || kept.iter().any(|(kept, _)| *kept == class);
        self.tally.totals.retain(|(class, _)| is_kept(*class));
    }

    /// Adds it all to the batch. That nobody else changed the room's tally is asserted even where nothing is written: the event was
    /// judged by who is in the room, with which rules.
    pub(crate) fn finish(self, core: &Core) -> Contribution {
        let (version, names) = (core.version(), core.version());
        Contribution::new(move |batch, entry| self.put(batch, entry, version, names))
    }

    pub(crate) fn put(mut self, batch: &mut Batch, entry: usize, version: u64, names: u64) {
        let (room, at) = (self.room, [PositionSlot::Entry(entry)]);
        expect(batch, tally_key(room), self.version);
        for (user, version) in &self.rules {
            expect(batch, rules_key(*user), *version);
        }
        if self.counted != CountedRow::default() {
            COUNTED.put(batch, counted_key(room).slot(entry).template(), &self.counted);
        }
        if !self.changed {
            return;
        }
        if self.tally.names == 0 {
            self.tally.names = names;
        }
        TALLIES.put_with(batch, tally_key(room), version, &at, &self.tally);
        for (user, reader) in &self.readers {
            let key = reader_key(room, *user);
            match reader {
                Some(reader) => {
                    let never = PositionSlot::Known(Position::ZERO);
                    READERS.put_with(batch, key, version, &[at[0], at[0], never], reader);
                }
                None => drop(batch.delete(key)),
            }
        }
        for (user, aside) in &self.asides {
            let key = aside_key(room, *user);
            match aside {
                Some(aside) => ASIDES.put_with(batch, key, 0, &at, aside),
                None => drop(batch.delete(key)),
            }
        }
        for member in &self.members {
            let key = MEMBERS.key(room).slot(entry).u64(member.user);
            MEMBERS.put(batch, key.template(), member);
        }
        for (class, rules) in &self.classes {
            CLASSES.put(batch, class_key(*class), rules);
        }
    }
}

/// Asserts what was read, once a batch: what a batch writes itself is not asserted.
pub(crate) fn expect(batch: &mut Batch, key: Key, version: u64) {
    if !batch.assertions.iter().any(|assertion| assertion.key == key) {
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        batch.expect(key, expect, Losing::Rebuild);
    }
}
