//! The changes of a group as statements.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio_postgres::types::ToSql;
use wardstead_engine::{EngineError, Group, Key, Write, plan::Change};
use wardstead_limits::postgres as limits;

use crate::{
    place::{Place, Places, Segment, position_of, segments},
    sql::Sql,
};

/// What a group comes to: ranges that go first, then each row once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    ranges: Vec<(Key, Key)>,
    /// `None`: deleted.
    rows: BTreeMap<Key, Option<Bytes>>,
}

impl Writes {
    /// Changes in order. The last one of a row counts; a range takes the rows before it along, so that afterwards all ranges
    /// can go before all rows.
    pub(crate) fn of(changes: Vec<Change>) -> Self {
        let mut writes = Self::default();
        for change in changes {
            match change {
                Change::Put(key, stored) => drop(writes.rows.insert(key, Some(stored))),
                Change::Delete(key) => drop(writes.rows.insert(key, None)),
                Change::DeleteRange(from, to) => {
                    if from < to {
                        let covered: Vec<Key> = writes.rows.range(&from..&to).map(|(key, _)| key.clone()).collect();
                        for key in covered {
                            writes.rows.remove(&key);
                        }
                        writes.ranges.push((from, to));
                    }
                }
            }
        }
        writes
    }

    /// The statements, in order. Those that change rows are of the one form `change`, so that they were prepared before the
    /// position row was locked.
    ///
    /// # Errors
    /// `Unavailable` for a journal row that the table cannot hold.
    pub(crate) fn statements(&self, change: Option<Sql>) -> Result<Vec<(Sql, Vec<Parameter>)>, EngineError> {
        let mut statements = self.range_statements();
        let Some(Sql::Change { deletes, puts }) = change else { return Ok(statements) };
        let mut part = Part::default();
        for (key, stored) in &self.rows {
            let bytes = key.as_bytes().len() + stored.as_ref().map_or(0, Bytes::len);
            if part.rows == limits::STATEMENT_ROWS || (part.rows > 0 && part.bytes + bytes > limits::STATEMENT_BYTES) {
                statements.push((Sql::Change { deletes, puts }, std::mem::take(&mut part).parameters(deletes, puts)));
            }
            part.add(key, stored.as_ref(), bytes)?;
        }
        if part.rows > 0 {
            statements.push((Sql::Change { deletes, puts }, part.parameters(deletes, puts)));
        }
        Ok(statements)
    }

    fn range_statements(&self) -> Vec<(Sql, Vec<Parameter>)> {
        let parts: Vec<Segment> = self.ranges.iter().flat_map(|(from, to)| segments(from, to)).collect();
        let of_place = |place: Place| {
            let (mut first, mut past) = (Keys::new(place), Keys::new(place));
            for part in parts.iter().filter(|part| part.place() == place) {
                match part {
                    Segment::Keys(_, from, to) => {
                        first.bytes.push(from.clone().into());
                        past.bytes.push(to.clone().into());
                    }
                    Segment::Positions(from, to) => {
                        first.positions.push(*from);
                        past.positions.push(*to);
                    }
                }
            }
            (!first.is_empty()).then(|| (Sql::DeleteRanges(place), vec![first.parameter(), past.parameter()]))
        };
        Place::ALL.into_iter().filter_map(of_place).collect()
    }
}

/// The statements that the writes of `group` can need: known before it is decided which of its batches win.
pub(crate) fn forms(group: &Group) -> (Vec<Sql>, Option<Sql>) {
    let (mut ranges, mut deletes, mut puts) = (Places::default(), Places::default(), Places::default());
    for batch in &group.batches {
        if !batch.journal.is_empty() {
            puts.add(Place::Journal);
        }
        for write in &batch.writes {
            match write {
                Write::Put { key, .. } => puts.add(Place::of(key.key())),
                Write::Delete(key) => deletes.add(Place::of(key)),
                Write::DeleteRange { from, to } => {
                    for segment in segments(from, to) {
                        ranges.add(segment.place());
                    }
                }
            }
        }
    }
    let change = (!deletes.is_empty() || !puts.is_empty()).then_some(Sql::Change { deletes, puts });
    (ranges.iter().map(Sql::DeleteRanges).collect(), change)
}

/// A parameter of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Bytes(Vec<Bytes>),
    Positions(Vec<i64>),
    Number(i64),
}

impl Parameter {
    /// As the driver takes it.
    pub(crate) fn slices(&self) -> Slices<'_> {
        match self {
            Self::Bytes(values) => Slices::Bytes(values.iter().map(|value| &value[..]).collect()),
            Self::Positions(positions) => Slices::Positions(positions),
            Self::Number(number) => Slices::Number(number),
        }
    }
}

/// A parameter, borrowed.
#[derive(Debug)]
pub(crate) enum Slices<'a> {
    Bytes(Vec<&'a [u8]>),
    Positions(&'a Vec<i64>),
    Number(&'a i64),
}

impl Slices<'_> {
    pub(crate) fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Bytes(values) => values,
            Self::Positions(positions) => *positions,
            Self::Number(number) => *number,
        }
    }
}

/// Keys of one table.
#[derive(Debug)]
pub(crate) struct Keys {
    place: Place,
    pub(crate) bytes: Vec<Bytes>,
    pub(crate) positions: Vec<i64>,
}

impl Keys {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, bytes: Vec::new(), positions: Vec::new() }
    }

    /// Adds a key of this table; `false`: the table can have no such row.
    pub(crate) fn add(&mut self, key: &Key) -> bool {
        if self.place != Place::Journal {
            self.bytes.push(key.to_bytes());
            return true;
        }
        let position = position_of(key);
        self.positions.extend(position);
        position.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.positions.is_empty()
    }

    pub(crate) fn parameter(self) -> Parameter {
        if self.place == Place::Journal { Parameter::Positions(self.positions) } else { Parameter::Bytes(self.bytes) }
    }
}

/// Rows of one statement.
#[derive(Debug, Default)]
struct Part {
    rows: usize,
    bytes: usize,
    deletes: BTreeMap<Place, Keys>,
    puts: BTreeMap<Place, (Keys, Vec<Bytes>)>,
}

impl Part {
    fn add(&mut self, key: &Key, stored: Option<&Bytes>, bytes: usize) -> Result<(), EngineError> {
        let place = Place::of(key);
        self.rows += 1;
        self.bytes += bytes;
        let Some(stored) = stored else {
            self.deletes.entry(place).or_insert_with(|| Keys::new(place)).add(key);
            return Ok(());
        };
        let (keys, values) = self.puts.entry(place).or_insert_with(|| (Keys::new(place), Vec::new()));
        if !keys.add(key) {
            return Err(EngineError::Unavailable(format!("{key:?} cannot stand in the journal")));
        }
        values.push(stored.clone());
        Ok(())
    }

    fn parameters(mut self, deletes: Places, puts: Places) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for place in deletes.iter() {
            parameters.push(self.deletes.remove(&place).unwrap_or_else(|| Keys::new(place)).parameter());
        }
        for place in puts.iter() {
            let (keys, values) = self.puts.remove(&place).unwrap_or_else(|| (Keys::new(place), Vec::new()));
            parameters.extend([keys.parameter(), Parameter::Bytes(values)]);
        }
        parameters
    }
}
