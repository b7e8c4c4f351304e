//! What users do with their rules: add, place, change, switch off, remove (Client-Server API, Push Rules: API).
//!
//! Each is one change of what is valid ([`Push::change_rules`]), made again when another device was quicker: what that one changed stays.

use ruma::{
    OwnedRoomId, OwnedUserId, UserId,
    push::{
        Action, ConditionalPushRule, NewPushRule, PatternedPushRule, RemovePushRuleError, RuleKind, Ruleset,
        SimplePushRule,
    },
};
use wardstead_rooms::Rooms;

use crate::{Push, PushError};

/// Where a rule is put among those of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Just above the user's own rule with this id.
    pub before: Option<String>,
    /// Just below that one, where `before` is not given.
    pub after: Option<String>,
}

impl Push {
    /// Adds `rule` to those of `user`, or puts it in the place of the one with its id, which stays switched on or off as it is. A new
    /// one without a place comes before all others of its kind that are the user's own. Returns as [`Self::set_rules`].
    ///
    /// # Errors
    /// `BadRule`, `NoSuchNeighbour`, and as [`Self::change_rules`].
    pub async fn put_rule(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        rule: &NewPushRule,
        place: &Place,
    ) -> Result<(), PushError> {
        let rule_id = rule.rule_id();
        if rule_id.is_empty() || rule_id.starts_with('.') {
            return Err(PushError::BadRule("Ids that begin with a dot are those of the server's rules."));
        }
        if rule_id.contains(['/', '\\']) {
            return Err(PushError::BadRule("There are no slashes and backslashes in the id of a rule."));
        }
        self.edit(rooms, user, user_id, |rules| insert(rules, rule.clone(), place)).await
    }

    /// Removes a rule of `user`.
    ///
    /// # Errors
    /// `NoSuchRule`; `BadRule` for one of the server; and as [`Self::change_rules`].
    pub async fn remove_rule(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        kind: &RuleKind,
        rule_id: &str,
    ) -> Result<(), PushError> {
        let removed = |rules: &mut Ruleset| match rules.remove(kind.clone(), rule_id) {
            Ok(()) => Ok(()),
            Err(RemovePushRuleError::ServerDefault) => {
                Err(PushError::BadRule("A rule of the server can be switched off, not removed."))
            }
            Err(_) => Err(PushError::NoSuchRule),
        };
        self.edit(rooms, user, user_id, removed).await
    }

    /// Switches a rule of `user`, or of the server, on or off.
    ///
    /// # Errors
    /// `NoSuchRule`, and as [`Self::change_rules`].
    pub async fn enable_rule(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        (kind, rule_id): (&RuleKind, &str),
        enabled: bool,
    ) -> Result<(), PushError> {
        let switched =
            |rules: &mut Ruleset| rules.set_enabled(kind.clone(), rule_id, enabled).map_err(|_| PushError::NoSuchRule);
        self.edit(rooms, user, user_id, switched).await
    }

    /// Gives a rule of `user`, or of the server, other actions. They are kept and told as they are given; those that nobody knows do
    /// nothing.
    ///
    /// # Errors
    /// `NoSuchRule`, and as [`Self::change_rules`].
    pub async fn set_rule_actions(
        &self,
        rooms: &Rooms,
        user: u64,
        user_id: &UserId,
        (kind, rule_id): (&RuleKind, &str),
        actions: &[Action],
    ) -> Result<(), PushError> {
        let changed = |rules: &mut Ruleset| {
            rules.set_actions(kind.clone(), rule_id, actions.to_vec()).map_err(|_| PushError::NoSuchRule)
        };
        self.edit(rooms, user, user_id, changed).await
    }

    /// Has rooms follow, too. Where they do not at once the queue has them.
    async fn edit<F>(&self, rooms: &Rooms, user: u64, user_id: &UserId, change: F) -> Result<(), PushError>
    where
        F: Fn(&mut Ruleset) -> Result<(), PushError> + Send + Sync,
    {
        self.change_rules(user, user_id, change).await?;
        self.follow(rooms, user, user_id).await;
        Ok(())
    }
}

/// Puts `rule` in its place.
pub(crate) fn insert(rules: &mut Ruleset, rule: NewPushRule, at: &Place) -> Result<(), PushError> {
    match rule {
        // The master rule stays above all.
        NewPushRule::Override(rule) => put(&mut rules.override_, rule.into(), 1, at),
        NewPushRule::Content(rule) => put(&mut rules.content, rule.into(), 0, at),
        NewPushRule::Room(rule) => put(&mut rules.room, rule.into(), 0, at),
        NewPushRule::Sender(rule) => put(&mut rules.sender, rule.into(), 0, at),
        NewPushRule::Underride(rule) => put(&mut rules.underride, rule.into(), 0, at),
        _ => Err(PushError::BadRule("There is no such kind of rules.")),
    }
}

/// What all kinds of rules have.
trait Rule {
    fn id(&self) -> &str;
    fn is_default(&self) -> bool;
    fn stay(&mut self, before: &Self);
}

macro_rules! rules {
    ($($rule:ty),+) => {
        $(impl Rule for $rule {
            fn id(&self) -> &str {
                self.rule_id.as_ref()
            }

            fn is_default(&self) -> bool {
                self.default
            }

            fn stay(&mut self, before: &Self) {
                self.enabled = before.enabled;
            }
        })+
    };
}

rules!(ConditionalPushRule, PatternedPushRule, SimplePushRule<OwnedRoomId>, SimplePushRule<OwnedUserId>);

/// `highest`: how many of the kind stand above all that users add.
fn put<S, T>(set: &mut S, mut rule: T, highest: usize, place: &Place) -> Result<(), PushError>
where
    S: Default + IntoIterator<Item = T> + FromIterator<T>,
    T: Rule,
{
    let mut all: Vec<T> = std::mem::take(set).into_iter().collect();
    let stood = all.iter().position(|other| other.id() == rule.id());
    if let Some(stood) = stood {
        rule.stay(&all.remove(stood));
    }
    let find = |all: &[T], id: &String| {
        let found = all.iter().position(|other| other.id() == id && !other.is_default());
        found.ok_or(PushError::NoSuchNeighbour)
    };
    let [before, after] = [&place.before, &place.after].map(|id| id.as_ref().map(|id| find(&all, id)).transpose());
    let (before, after) = (before?, after?.map(|at| at + 1));
    let at = before.or(after).or(stood).unwrap_or(highest.min(all.len()));
    all.insert(at, rule);
    *set = all.into_iter().collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use ruma::{
        push::{NewConditionalPushRule, NewPatternedPushRule},
        user_id,
    };

    use super::*;
    use crate::defaults::default_rules;

    fn word(id: &str) -> NewPushRule {
        NewPushRule::Content(NewPatternedPushRule::new(id.to_owned(), id.to_owned(), vec![Action::Notify]))
    }

    fn at(before: Option<&str>, after: Option<&str>) -> Place {
        Place { before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    fn ids(rules: &Ruleset) -> Vec<&str> {
        rules.content.iter().map(|rule| rule.rule_id.as_str()).collect()
    }

    #[test]
    fn a_rule_is_put_where_it_is_wanted() {
        let mut rules = default_rules(user_id!("@anna:x"));
        let last = ".m.rule.contains_user_name";
        for id in ["c", "b", "a"] {
            insert(&mut rules, word(id), &Place::default()).unwrap();
        }
        assert_eq!(ids(&rules), ["a", "b", "c", last], "the newest is the most important");
        insert(&mut rules, word("a"), &at(Some("c"), None)).unwrap();
        assert_eq!(ids(&rules), ["b", "a", "c", last]);
        insert(&mut rules, word("c"), &at(None, Some("b"))).unwrap();
        assert_eq!(ids(&rules), ["b", "c", "a", last]);
        insert(&mut rules, word("b"), &at(None, Some("a"))).unwrap();
        assert_eq!(ids(&rules), ["c", "a", "b", last]);
        insert(&mut rules, word("b"), &at(Some("c"), Some("a"))).unwrap();
        assert_eq!(ids(&rules), ["b", "c", "a", last], "`before` decides where both are given");
        insert(&mut rules, word("c"), &Place::default()).unwrap();
        assert_eq!(ids(&rules), ["b", "c", "a", last], "changed, it stays");
        for place in [at(Some("x"), None), at(None, Some("x")), at(Some(last), None), at(Some("d"), None)] {
            let refused = insert(&mut rules.clone(), word("d"), &place);
            assert!(matches!(refused, Err(PushError::NoSuchNeighbour)), "{place:?} {refused:?}");
        }
    }

    #[test]
    fn a_changed_rule_stays_switched_off_and_nothing_stands_above_the_master_rule() {
        let mut rules = default_rules(user_id!("@anna:x"));
        let rule = || NewPushRule::Override(NewConditionalPushRule::new("quiet".to_owned(), vec![], vec![]));
        insert(&mut rules, rule(), &Place::default()).unwrap();
        rules.set_enabled(RuleKind::Override, "quiet", false).unwrap();
        insert(&mut rules, rule(), &Place::default()).unwrap();
        let first: Vec<_> = rules.override_.iter().take(2).map(|rule| (rule.rule_id.as_str(), rule.enabled)).collect();
        assert_eq!(first, [(".m.rule.master", false), ("quiet", false)]);
    }
}
