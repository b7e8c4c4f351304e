//! Which SQL table holds a key: one for each access pattern, and one for the journal, whose rows are keyed by position.

use wardstead_engine::{AccessPattern, Key, Position, journal, system};

/// A SQL table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Point,
    Scan,
    Append,
    Churn,
    Journal,
}

impl Place {
    pub(crate) const ALL: [Self; 5] = [Self::Point, Self::Scan, Self::Append, Self::Churn, Self::Journal];

    /// Its name, schema included.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Point => "wardstead.point",
            Self::Scan => "wardstead.scan",
            Self::Append => "wardstead.append",
            Self::Churn => "wardstead.churn",
            Self::Journal => "wardstead.journal",
        }
    }

    /// Where a row under `key` lies.
    pub(crate) fn of(key: &Key) -> Self {
        if key.table() == system::JOURNAL && key.scope() == 0 {
            return Self::Journal;
        }
        match key.table().pattern() {
            AccessPattern::Point => Self::Point,
            AccessPattern::Scan => Self::Scan,
            AccessPattern::Append => Self::Append,
            AccessPattern::Churn => Self::Churn,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Places(u8);

impl Places {
    pub(crate) fn add(&mut self, place: Place) {
        self.0 |= place.bit();
    }

    pub(crate) fn has(self, place: Place) -> bool {
        self.0 & place.bit() != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Place> {
        Place::ALL.into_iter().filter(move |place| self.has(*place))
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut set = Self::default();
        places.into_iter().for_each(|place| set.add(place));
        set
    }
}

/// The position of a journal row's key; `None` for a key that no journal row can have.
pub(crate) fn position_of(key: &Key) -> Option<i64> {
    let position = u64::from_be_bytes(key.rest().try_into().ok()?);
    i64::try_from(position).ok()
}

/// The part of a range of keys that lies in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Keys from the first to before the second.
    Keys(Place, Vec<u8>, Vec<u8>),
    /// Positions from the first to before the second.
    Positions(i64, i64),
}

impl Segment {
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Keys(place, ..) => *place,
            Self::Positions(..) => Place::Journal,
        }
    }
}

/// The parts of `from..to`, in ascending order; none when it is empty.
pub(crate) fn segments(from: &Key, to: &Key) -> Vec<Segment> {
    let journal_from = journal::key(Position::ZERO).as_bytes()[..wardstead_engine::PREFIX_BYTES].to_vec();
    let journal_to = Key::build(system::JOURNAL, 1).key().as_bytes().to_vec();
    let whole = [
        (Place::Point, vec![0x10], vec![0x20]),
        (Place::Scan, vec![0x20], vec![0x30]),
        (Place::Append, vec![0x30], journal_from.clone()),
        (Place::Journal, journal_from.clone(), journal_to.clone()),
        (Place::Append, journal_to, vec![0x40]),
        (Place::Churn, vec![0x40], vec![0x50]),
    ];
    let cut = |(place, first, past): (Place, Vec<u8>, Vec<u8>)| {
        let from = first.max(from.as_bytes().to_vec());
        let to = past.min(to.as_bytes().to_vec());
        if from >= to {
            return None;
        }
        if place != Place::Journal {
            return Some(Segment::Keys(place, from, to));
        }
        let (from, to) = (first_position(&journal_from, &from), first_position(&journal_from, &to));
        (from < to).then_some(Segment::Positions(from, to))
    };
    whole.into_iter().filter_map(cut).collect()
}

/// The smallest position whose key is not below `bound`.
fn first_position(prefix: &[u8], bound: &[u8]) -> i64 {
    let Some(rest) = bound.strip_prefix(prefix) else {
        return if bound < prefix { 0 } else { i64::MAX };
    };
    let mut bytes = [0; 8];
    let kept = rest.len().min(8);
    bytes[..kept].copy_from_slice(&rest[..kept]);
    // A longer bound is above the position's key, which is its prefix.
    let position = u64::from_be_bytes(bytes).saturating_add(u64::from(rest.len() > 8));
    i64::try_from(position).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use wardstead_engine::TableId;

    use super::*;

    fn positions(from: &Key, to: &Key) -> Vec<Segment> {
        segments(from, to).into_iter().filter(|segment| segment.place() == Place::Journal).collect()
    }

    #[test]
    fn every_pattern_has_a_table_and_the_journal_its_own() {
        let key = |pattern, scope| Key::build(TableId::new(pattern, 9), scope).u64(1).key();
        let places = AccessPattern::ALL.map(|pattern| Place::of(&key(pattern, 0)));
        assert_eq!(places, [Place::Point, Place::Scan, Place::Append, Place::Churn]);
        assert_eq!(Place::of(&journal::key(Position(7))), Place::Journal);
        assert_eq!(Place::of(&Key::build(system::JOURNAL, 1).u64(7).key()), Place::Append);
    }

    #[test]
    fn a_range_over_everything_visits_each_table_in_the_order_of_keys() {
        let from = Key::build(TableId::new(AccessPattern::Point, 0), 0).key();
        let to = Key::build(TableId::new(AccessPattern::Churn, 4_095), u64::MAX).key().after_prefix();
        let places: Vec<Place> = segments(&from, &to).iter().map(Segment::place).collect();
        let expected = [Place::Point, Place::Scan, Place::Append, Place::Journal, Place::Append, Place::Churn];
        assert_eq!(places, expected);
        assert!(segments(&to, &from).is_empty());
    }

    #[test]
    fn bounds_of_keys_become_bounds_of_positions() {
        let whole = Key::build(system::JOURNAL, 0).key();
        assert_eq!(positions(&whole, &whole.after_prefix()), [Segment::Positions(0, i64::MAX)]);
        let (five, nine) = (journal::key(Position(5)), journal::key(Position(9)));
        assert_eq!(positions(&five, &nine), [Segment::Positions(5, 9)]);
        assert_eq!(positions(&five.successor(), &nine.successor()), [Segment::Positions(6, 10)]);
        let short = Key::build(system::JOURNAL, 0).u8(1).key();
        assert_eq!(positions(&whole, &short), [Segment::Positions(0, 1 << 56)]);
        assert!(positions(&journal::key(Position(u64::MAX)), &whole.after_prefix()).is_empty());
        assert_eq!(positions(&five, &journal::key(Position(u64::MAX))), [Segment::Positions(5, i64::MAX)]);
    }
}
