//! Which member events a client has, of those that are loaded lazily (Client-Server API, Lazy-loading room members).
//!
//! A hint, never a decision: what is not known to have been sent is sent. A node knows a client by the tokens that it gave: the answer whose
//! token comes back has arrived, and what it told is known from there on. A token that this node did not give last, after a restart, from
//! another node, from a client that went back, forgets everything.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use quick_cache::{Weighter, sync::Cache};
use wardstead_limits::sync as limits;

/// Member events by short id.
pub(crate) type Members = Arc<HashSet<u64>>;

#[derive(Clone, Debug, Default)]
struct Client {
    /// Hash of the token for which `has` is true; 0: of none.
    at: u64,
    has: Members,
    /// Hash of the token of the last answer to that one, and what the answer told.
    answer: Option<(u64, Arc<[u64]>)>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Client> for Bytes {
    fn weight(&self, _: &u64, client: &Client) -> u64 {
        160 + 16 * client.has.len() as u64 + 8 * client.answer.as_ref().map_or(0, |(_, told)| told.len() as u64)
    }
}

/// The clients of this node that load members lazily, by device.
pub(crate) struct ToldMembers(Cache<u64, Client, Bytes>);

impl ToldMembers {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::TOLD_MEMBERS_BYTES / 1_024).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::TOLD_MEMBERS_BYTES, Bytes))
    }

    /// Bytes, and their bound.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.0.weight(), self.0.capacity())
    }

    /// What the client on `device` has, which comes with the token `since`.
    pub(crate) fn known(&self, device: u64, since: &str) -> Members {
        let since = hash(since);
        let mut client = self.0.get(&device).unwrap_or_default();
        if client.at == since {
            return client.has;
        }
        client.has = match &client.answer {
            Some((token, told)) if *token == since && told.is_empty() => client.has,
            Some((token, told)) if *token == since && client.has.len() + told.len() <= limits::TOLD_MEMBER_EVENTS => {
                Arc::new(client.has.iter().chain(told.iter()).copied().collect())
            }
            _ => Members::default(),
        };
        (client.at, client.answer) = (since, None);
        let has = Arc::clone(&client.has);
        self.0.insert(device, client);
        has
    }

    /// The client that came with `since` (`None`: with none) is answered with `token`, and told `told`.
    pub(crate) fn told(&self, device: u64, since: Option<&str>, token: &str, told: Vec<u64>) {
        let (at, token) = (since.map_or(0, hash), hash(token));
        let mut client = match (since, self.0.get(&device)) {
            (_, Some(client)) if client.at == at => client,
            (None, _) => Client::default(),
            // Another request of the same client came in between: that one counts.
            (Some(_), _) => return,
        };
        let told = match client.answer {
            // Either of two answers with one token may be the one that arrives.
            Some((other, before)) if other == token => {
                told.into_iter().filter(|event| before.contains(event)).collect()
            }
            _ => told.into(),
        };
        client.answer = Some((token, told));
        self.0.insert(device, client);
    }
}

/// Of a token; never 0.
fn hash(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(members: &ToldMembers, since: &str) -> Vec<u64> {
        let mut known: Vec<u64> = members.known(7, since).iter().copied().collect();
        known.sort_unstable();
        known
    }

    #[test]
    fn what_arrived_is_known() {
        let members = ToldMembers::new();
        members.told(7, None, "a", vec![1, 2]);
        assert_eq!(known(&members, "a"), [1, 2]);
        members.told(7, Some("a"), "b", vec![3]);
        assert_eq!(known(&members, "a"), [1, 2], "it asks again: the answer was lost");
        members.told(7, Some("a"), "c", vec![4]);
        assert_eq!(known(&members, "c"), [1, 2, 4], "and not 3");
        members.told(7, Some("c"), "d", Vec::new());
        assert_eq!(known(&members, "d"), [1, 2, 4]);
    }

    #[test]
    fn a_token_from_elsewhere_forgets() {
        let members = ToldMembers::new();
        assert_eq!(known(&members, "a"), [0; 0]);
        members.told(7, Some("a"), "b", vec![1]);
        assert_eq!(known(&members, "elsewhere"), [0; 0]);
        assert_eq!(known(&members, "b"), [0; 0], "nor is it known again");
        members.told(7, Some("b"), "c", vec![1]);
        members.told(7, None, "d", vec![2]);
        assert_eq!(known(&members, "d"), [2], "a client that starts anew has nothing");
        assert_eq!(members.known(8, "d").len(), 0, "another device");
    }

    #[test]
    fn two_answers_with_one_token() {
        let members = ToldMembers::new();
        known(&members, "a");
        members.told(7, Some("a"), "b", vec![1, 2]);
        members.told(7, Some("a"), "b", vec![2, 3]);
        assert_eq!(known(&members, "b"), [2]);
        // The answer to a request that another one has overtaken says nothing.
        known(&members, "x");
        members.told(7, Some("b"), "c", vec![4]);
        assert_eq!(known(&members, "c"), [0; 0]);
    }

    #[test]
    fn a_client_is_not_remembered_without_bound() {
        let members = ToldMembers::new();
        members.told(7, None, "a", (1..=limits::TOLD_MEMBER_EVENTS as u64).collect());
        assert_eq!(known(&members, "a").len(), limits::TOLD_MEMBER_EVENTS);
        members.told(7, Some("a"), "b", vec![u64::MAX]);
        assert_eq!(known(&members, "b").len(), 0, "it starts again");
        assert!(members.bytes().0 <= members.bytes().1);
    }
}
