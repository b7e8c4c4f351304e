//! Who was in a room together with a user, worked out backwards from who is in it now.

use std::collections::BTreeSet;

use wardstead_e2ee::Moved;
use wardstead_engine::Position;

/// A room as it was at an earlier position.
pub(crate) struct Past<'a> {
    /// Who was in it.
    members: BTreeSet<u64>,
    /// When.
    at: Position,
    /// The moves of the user whose company is asked for, in their order.
    own: &'a [Moved],
}

impl<'a> Past<'a> {
    /// The room as it is, with `members` in it.
    pub(crate) fn new(members: BTreeSet<u64>, own: &'a [Moved]) -> Self {
        Self { members, at: Position(u64::MAX), own }
    }

    /// Who was in it.
    pub(crate) fn members(&self) -> &BTreeSet<u64> {
        &self.members
    }

    /// Whether it was so at `mark`, if the move before was at `before`.
    pub(crate) fn passes(&self, mark: Position, before: Position) -> bool {
        before <= mark && mark < self.at
    }

    /// Goes back to before `moved`.
    pub(crate) fn undo(&mut self, moved: &Moved) {
        if moved.here {
            self.members.remove(&moved.user)
        } else {
            self.members.insert(moved.user)
        };
        self.at = moved.position;
    }

    /// Whether the user was in the room at `position`.
    pub(crate) fn was_inside(&self, position: Position) -> bool {
        match self.own.iter().rfind(|moved| moved.position <= position) {
            Some(moved) => moved.here,
            None => self.own.first().is_some_and(|first| !first.here),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(position: u64, user: u64, here: bool) -> Moved {
        Moved { position: Position(position), user, room: 1, here }
    }

    /// User 9 was there from the start, left at 20, came back at 30 and left again at 40. 1 was there all the time, 2 left at 10, 3 left at 25
    /// while 9 was away, 4 came at 35, 5 came at 50.
    #[test]
    fn who_was_there_together() {
        let own = [moved(20, 9, false), moved(30, 9, true), moved(40, 9, false)];
        let others = [moved(10, 2, false), moved(25, 3, false), moved(35, 4, true), moved(50, 5, true)];
        let mut moves: Vec<Moved> = own.iter().chain(&others).copied().collect();
        moves.sort_by_key(|moved| moved.position);
        let left = [Position(20), Position(40)];
        let mut past = Past::new([1, 4, 5].into(), &own);
        let mut company = BTreeSet::new();
        for moved in moves.iter().rev() {
            if left.iter().any(|left| past.passes(*left, moved.position)) {
                company.extend(past.members());
            }
            if !moved.here && past.was_inside(moved.position) {
                company.insert(moved.user);
            }
            past.undo(moved);
        }
        assert_eq!(past.members().iter().copied().collect::<Vec<_>>(), [1, 2, 3, 9]);
        company.remove(&9);
        assert_eq!(company.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        let inside = [5, 20, 25, 30, 35, 40, 50].map(|at| past.was_inside(Position(at)));
        assert_eq!(inside, [true, false, false, true, true, false, false]);
    }
}
