//! Who is found, by what, in which order, at what cost.

use std::sync::Arc;

use ruma::UserId;
use serde_json::json;
use wardstead_accounts::{AccountChange, Accounts, AccountsError, NewAccount, ProfileChanged, Session};
use wardstead_directory::{PeopleIndex, PeopleQuery};
use wardstead_engine::Batch;
use wardstead_limits::profiles as limits;
use wardstead_rooms::{NewRoom, Preset};
use wardstead_store::{Contributors, Overlay};

use crate::support::{Server, raw, reserved, server};

impl Server {
    async fn named(&self, username: &str, displayname: &str) -> Session {
        let user = self.user(username).await;
        self.name(&user, displayname).await;
        user
    }

    async fn name(&self, user: &Session, displayname: &str) {
        self.accounts.set_profile_field(&user.user_id, "displayname", &json!(displayname)).await.unwrap();
    }

    /// Local parts of whom `by` finds, and whether there are more.
    async fn find(&self, by: &Session, term: &str, limit: usize) -> (String, bool) {
        let query = PeopleQuery { term: term.to_owned(), limit: Some(limit) };
        let people = self.search_people(by, &query).await.unwrap();
        let names: Vec<_> = people.results.iter().map(|person| person.user_id.localpart()).collect();
        (names.join(" "), people.limited)
    }

    async fn finds(&self, by: &Session, term: &str) -> String {
        self.find(by, term, 50).await.0
    }

    async fn ignore(&self, by: &Session, whom: &str) {
        let list = raw(&json!({ "ignored_users": { whom: {} } }));
        let mut batch = Batch::new();
        Accounts::put_account_data(&mut batch, by.user, 0, "m.ignored_user_list", Some(&list), None);
        self.store.commit(batch).await.unwrap();
    }
}

/// Found from the commit on that makes the account, or gives it the name, on every node; not by the name before, and not after the end of
/// the account.
#[tokio::test]
async fn changes_count_at_once() {
    let server = server().await;
    let other = server.node(2).await;
    let anna = server.user("anna").await;
    let zoe = server.user("z.mueller").await;
    assert_eq!(server.finds(&anna, "mueller").await, "z.mueller");
    assert_eq!(server.finds(&anna, "zoe").await, "");
    server.name(&zoe, "Zoë O'Brien-Müller").await;
    for term in
        ["zoe", "ZOË", "zo", "obrien", "o'br", "muller", "Müller Zoe", "mueller", "@z.m", "@z.mueller:example.org"]
    {
        assert_eq!(other.finds(&anna, term).await, "z.mueller", "{term}");
    }
    for term in ["", "@", "oe", "zoe jones", "example"] {
        assert_eq!(other.finds(&anna, term).await, "", "{term}");
    }
    let shown = other.search_people(&anna, &PeopleQuery { term: "zoe".to_owned(), limit: None }).await.unwrap();
    let shown = serde_json::to_value(&shown).unwrap();
    let zoe_shown = json!({ "user_id": "@z.mueller:example.org", "display_name": "Zoë O'Brien-Müller" });
    assert_eq!(shown, json!({ "results": [zoe_shown], "limited": false }));

    let batches = server.counts.read().batches;
    server.name(&zoe, "Zoë Smith").await;
    assert_eq!(server.counts.read().batches - batches, 1, "the index is part of the change");
    assert_eq!(
        (server.finds(&anna, "obrien").await, server.finds(&anna, "smith").await),
        (String::new(), "z.mueller".into())
    );
    server.accounts.set_profile_field(&zoe.user_id, "org.example.job", &json!("Smithy")).await.unwrap();
    assert_eq!(server.finds(&anna, "smithy").await, "");
    // Nobody finds themselves, or whom they ignore.
    assert_eq!(server.finds(&zoe, "smith").await, "");
    server.ignore(&anna, "@z.mueller:example.org").await;
    assert_eq!(server.finds(&anna, "smith").await, "");
    let bert = server.user("bert").await;
    assert_eq!(server.finds(&bert, "smith").await, "z.mueller");
    server.accounts.deactivate(&zoe.user_id, false, &Batch::new()).await.unwrap();
    for term in ["smith", "zoe", "mueller"] {
        assert_eq!(server.finds(&bert, term).await, "", "{term}");
    }
}

/// An account that is not made, or a name that is not given, leaves nothing in the index.
#[tokio::test]
async fn what_was_not_committed_is_not_found() {
    let server = server().await;
    let anna = server.user("anna").await;
    let again = NewAccount { username: Some("anna".to_owned()), ..NewAccount::default() };
    assert!(matches!(server.accounts.register(again, Batch::new()).await, Err(AccountsError::UserInUse)));
    let bert = server.user("bert").await;
    let long = "x".repeat(limits::DISPLAY_NAME_BYTES + 1);
    server.accounts.set_profile_field(&bert.user_id, "displayname", &json!(long)).await.unwrap_err();
    assert_eq!(server.finds(&anna, "x").await, "");
    assert_eq!(server.finds(&bert, "anna").await, "anna");
    // Two names at once: one of them is it, and found by it alone.
    let (one, two) = tokio::join!(server.name(&bert, "Alpha"), server.name(&bert, "Beta"));
    let ((), ()) = (one, two);
    let names = server.accounts.names(&[bert.user]).await.unwrap();
    let (now, not) =
        if names[0].displayname.as_deref() == Some("Alpha") { ("alpha", "beta") } else { ("beta", "alpha") };
    assert_eq!((server.finds(&anna, now).await, server.finds(&anna, not).await), ("bert".into(), String::new()));
}

/// The whole name before whole words before beginnings; among them those first with whom one shares a room; then by name.
#[tokio::test]
async fn the_best_come_first() {
    let server = server().await;
    let anna = server.named("anna", "Anna").await;
    server.named("u1", "Smithson Zed").await;
    let u2 = server.named("u2", "Smithson Yan").await;
    server.named("u3", "Smith Bob").await;
    let u4 = server.named("u4", "Smith Carl").await;
    server.named("u5", "Smith").await;
    server.named("smith", "Dora").await;
    let room = server.room(&anna, NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() }).await;
    for user in [&u2, &u4] {
        server.join(user, &room).await;
    }
    assert_eq!(server.finds(&anna, "smith").await, "smith u5 u4 u3 u2 u1");
    assert_eq!(server.find(&anna, "smith", 3).await, ("smith u5 u4".into(), true));
    assert_eq!(server.find(&anna, "smith", 6).await, ("smith u5 u4 u3 u2 u1".into(), false));
    assert_eq!(server.find(&anna, "smith", 0).await, (String::new(), true));
}

/// Where not everybody is shown: those who share a room, and those in rooms that are open; by what they say to everybody, never by what
/// they call themselves in a room.
#[tokio::test]
async fn only_whom_one_could_meet() {
    let server = reserved().await;
    let [anna, bert, eve] = [server.named("anna", "Cooper").await, server.user("bert").await, server.user("eve").await];
    assert_eq!(server.finds(&eve, "cooper").await, "");
    let private = server.room(&bert, NewRoom { invite: vec![anna.user_id.clone()], ..NewRoom::default() }).await;
    assert_eq!(server.finds(&bert, "cooper").await, "", "who is invited is not there yet");
    server.join(&anna, &private).await;
    let own = json!({ "membership": "join", "displayname": "Freddy" });
    server.set(&anna, &private, "m.room.member", anna.user_id.as_str(), own).await;
    for (by, found) in [(&bert, "anna"), (&eve, "")] {
        assert_eq!(server.finds(by, "cooper").await, found);
        assert_eq!(server.finds(by, "@ann").await, found);
        assert_eq!(server.finds(by, "freddy").await, "");
    }
    server.room(&anna, NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() }).await;
    assert_eq!(server.finds(&eve, "cooper").await, "anna");
    assert_eq!(server.finds(&eve, "bert").await, "");
}

/// However many there are, a search reads a bounded number of rows, in few reads.
#[tokio::test]
async fn a_search_is_bounded() {
    let server = server().await;
    let anna = server.user("anna").await;
    for number in 0..700 {
        server.named(&format!("u{number:03}"), "Kim Smith").await;
    }
    server.named("last", "Zed Smith").await;
    server.room(&anna, NewRoom::default()).await;
    let cost = async |term: &str| {
        let (before, rows) = (server.counts.read(), server.counts.scanned_rows());
        let found = server.find(&anna, term, 10).await;
        let after = server.counts.read();
        (found, after.gets - before.gets, after.scans - before.scans, server.counts.scanned_rows() - rows)
    };
    // Ignored users, rooms, words; who is close; names.
    let ((names, limited), gets, scans, rows) = cost("kim").await;
    assert_eq!((names.split(' ').count(), limited, gets, scans), (10, true, 3, 2));
    assert!(rows <= limits::PEOPLE_PAGE_ROWS as u64 + 1, "{rows}");
    let (found, gets, scans, rows) = cost("smith zed").await;
    assert_eq!((found, gets), (("last".into(), false), 3));
    assert!(scans == 3 && rows <= 702, "{scans} {rows}");
    let (found, _, scans, rows) = cost("zed").await;
    assert_eq!((found, scans, rows), (("last".into(), false), 2, 2));
}

/// As many as work for a large trust.
const PEOPLE: usize = 100_000;

impl Server {
    /// So many doctors in the index, without accounts: "Doctor Kim S00042", `d00042`.
    async fn index_doctors(&self, number: usize) {
        let index = Contributors::<AccountChange>::new(vec![Arc::new(PeopleIndex)]);
        for chunk in (0..number).collect::<Vec<_>>().chunks(500) {
            let (mut batch, queued) = (Batch::new(), Overlay::new(&self.store, Vec::new()));
            for number in chunk {
                let change = AccountChange::ProfileChanged(ProfileChanged {
                    user: 1_000_000 + *number as u64,
                    user_id: UserId::parse(format!("@d{number:05}:example.org")).unwrap(),
                    field: "displayname".to_owned(),
                    displayname: Some(format!("Doctor Kim S{number:05}")),
                });
                index.contribute(&change, &queued, &mut batch, 0).await.unwrap();
            }
            self.store.commit(batch).await.unwrap();
        }
    }
}

/// Among a hundred thousand people a search reads no more rows than among a few hundred, whatever is typed; and finds who can be told
/// apart by any word, whatever title everybody else has too. A new name costs what it costs in an empty index, and counts at once, on
/// each node.
#[tokio::test]
async fn a_hundred_thousand_people() {
    let server = server().await;
    let other = server.node(2).await;
    let (anna, zoe) = (server.user("anna").await, server.user("z.oberg").await);
    let rename = async |name: &str| {
        let before = (server.counts.read(), server.counts.scanned_rows());
        server.name(&zoe, name).await;
        let after = (server.counts.read(), server.counts.scanned_rows());
        (after.0.gets - before.0.gets, after.0.batches - before.0.batches, after.1 - before.1)
    };
    rename("Zoë").await;
    let alone = rename("Doctor Zoë Öberg").await;
    server.index_doctors(PEOPLE).await;
    assert_eq!(rename("Doctor Zoë Öberg-Ångström").await, alone);

    let cost = async |term: &str| {
        let rows = other.counts.scanned_rows();
        let (found, limited) = other.find(&anna, term, 10).await;
        (found, limited, other.counts.scanned_rows() - rows)
    };
    let page = limits::PEOPLE_PAGE_ROWS as u64;
    // What everybody has: a letter, a title, the beginning of a user name.
    for term in ["s", "S", "doctor", "k", "@d", "@d:example.org"] {
        let (found, limited, rows) = cost(term).await;
        assert_eq!((found.split(' ').count(), limited), (10, true), "{term}");
        assert!(rows <= page, "{term}: {rows}");
    }
    for term in ["s99999", "d99999", "@d99999", "@d99999:example.org", "doctor s99999", "S99999 Kim Doctor", "d s99999"]
    {
        let (found, limited, rows) = cost(term).await;
        assert_eq!((found.as_str(), limited), ("d99999", false), "{term}");
        assert!(rows <= 2 * page + 1, "{term}: {rows}");
    }
    for term in ["doctor zo", "Doctor Zoë", "doctor oberg", "Öberg-Ång", "z.oberg", "doctor z"] {
        let (found, limited, rows) = cost(term).await;
        assert_eq!((found.as_str(), limited), ("z.oberg", false), "{term}");
        assert!(rows <= page + 10, "{term}: {rows}");
    }
    // Words that everybody has, and nobody who is called so.
    for term in ["doctor kim s d", "doctor nobody", "x"] {
        let (_, _, rows) = cost(term).await;
        assert!(rows <= limits::PEOPLE_SCANNED_ROWS as u64 + page, "{term}: {rows}");
    }
    assert_eq!(cost("@d99999:elsewhere.org").await, (String::new(), false, 0));
    assert_eq!((cost("x").await.1, cost("doctor nobody").await.1), (false, false));
}
