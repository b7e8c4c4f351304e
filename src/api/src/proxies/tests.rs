//! Whose word counts, and how far.

use super::*;

fn trusted(blocks: &[&str]) -> TrustedProxies {
    TrustedProxies::new(blocks.iter().map(|block| block.parse().unwrap()).collect())
}

/// The address of a request from `peer` with these lines of `X-Forwarded-For`.
fn address(trusted: &TrustedProxies, peer: &str, lines: &[&str]) -> String {
    let mut head = Request::builder();
    for line in lines {
        head = head.header("X-Forwarded-For", *line);
    }
    let mut head = head.body(()).unwrap();
    head.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40_000)));
    trusted.client(&head).address.to_string()
}

#[test]
fn a_stranger_is_who_its_connection_says() {
    for trusted in [trusted(&[]), trusted(&["127.0.0.0/8", "::1", "10.0.0.0/8"])] {
        assert_eq!(address(&trusted, "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(address(&trusted, "2001:db8::1", &["203.0.113.9"]), "2001:db8::1");
    }
    assert_eq!(address(&trusted(&[]), "127.0.0.1", &["203.0.113.9"]), "127.0.0.1");
}

#[test]
fn what_a_client_writes_before_the_proxy_does_is_not_believed() {
    let trusted = trusted(&["127.0.0.1", "10.1.0.0/16"]);
    let of = |lines: &[&str]| address(&trusted, "127.0.0.1", lines);
    assert_eq!(of(&["203.0.113.9"]), "203.0.113.9");
    assert_eq!(of(&["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
    assert_eq!(of(&["127.0.0.1, 203.0.113.9"]), "203.0.113.9", "the forged address is one of ours");
    assert_eq!(of(&["198.51.100.1", "203.0.113.9"]), "203.0.113.9", "lines are joined in their order");
    assert_eq!(of(&["203.0.113.9, 10.1.2.3"]), "203.0.113.9", "through two of ours");
    assert_eq!(of(&["198.51.100.1,203.0.113.9", " 10.1.2.3 "]), "203.0.113.9");
    assert_eq!(of(&["10.1.9.9, 10.1.2.3"]), "10.1.9.9", "one of ours asks for itself");
    assert_eq!(of(&[]), "127.0.0.1");
}

#[test]
fn what_is_no_address_ends_the_walk_at_the_last_proxy() {
    let trusted = trusted(&["127.0.0.1", "10.1.0.0/16"]);
    let of = |lines: &[&str]| address(&trusted, "127.0.0.1", lines);
    for garbage in ["", "unknown", "203.0.113.9;", "203.0.113", "_hidden", "[::1", "203.0.113.9:99999", "a\u{e9}"] {
        assert_eq!(of(&[garbage]), "127.0.0.1", "{garbage}");
        assert_eq!(of(&[&format!("198.51.100.1, {garbage}, 10.1.2.3")]), "10.1.2.3", "{garbage}");
    }
    let ours = vec!["10.1.2.3"; 100_000].join(",");
    assert_eq!(of(&["198.51.100.1", &ours]), "10.1.2.3", "a bound on how far is looked");
}

#[test]
fn addresses_come_in_several_forms() {
    let trusted = trusted(&["127.0.0.1"]);
    let of = |line: &str| address(&trusted, "::ffff:127.0.0.1", &[line]);
    for v4 in ["203.0.113.9", "203.0.113.9:50001", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:1"] {
        assert_eq!(of(v4), "203.0.113.9", "{v4}");
    }
    for v6 in ["2001:db8::9", "[2001:db8::9]", "[2001:db8::9]:50001", "2001:DB8:0::9"] {
        assert_eq!(of(v6), "2001:db8::9", "{v6}");
    }
}

#[test]
fn ranges() {
    let within = |block: &str, address: &str| block.parse::<AddressBlock>().unwrap().contains(address.parse().unwrap());
    assert!(within("10.1.0.0/16", "10.1.255.255") && !within("10.1.0.0/16", "10.2.0.0"));
    assert!(within("192.0.2.7", "192.0.2.7") && !within("192.0.2.7", "192.0.2.6"));
    assert!(within("0.0.0.0/0", "255.255.255.255") && !within("0.0.0.0/0", "::1"));
    assert!(within("2001:db8::/32", "2001:db8:ffff::1") && !within("2001:db8::/32", "2001:db9::"));
    assert!(within("::/0", "ffff::") && within("::1", "::1") && !within("::1", "::2"));
    let refusals = [
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/", "0 to 32"),
        ("proxy.example.org", "no address"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ];
    for (text, says) in refusals {
        let refusal = text.parse::<AddressBlock>().unwrap_err();
        assert!(refusal.contains(text) && refusal.contains(says), "{refusal}");
    }
}

#[test]
fn a_client_names_itself() {
    let mut head = Request::builder().header(header::USER_AGENT, "Ward/1.0").body(()).unwrap();
    assert_eq!(TrustedProxies::default().client(&head), Client::new("0.0.0.0".parse().unwrap(), Some("Ward/1.0")));
    head.headers_mut().clear();
    assert_eq!(TrustedProxies::default().client(&head), Client::unknown());
}
