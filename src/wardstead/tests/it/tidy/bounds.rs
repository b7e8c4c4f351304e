//! Bounds stand in `limits`, with their unit in the name and their reason above; each is used; none stands elsewhere (P6).

use super::{Tree, assert_caught, assert_passes, assert_tidy, source};

/// What a bound's name ends with when it is measured.
const UNITS: [&str; 9] = ["BYTES", "KIB", "MS", "S", "DAYS", "CHARS", "BITS", "BITS_PER_KEY", "PERCENT"];

/// What a bound's name says when it counts: the things that are counted.
const COUNTED: [&str; 42] = [
    "ATTEMPTS",
    "BATCHES",
    "CHANGES",
    "COMMITS",
    "CONFLICTS",
    "CONNECTIONS",
    "DELETES",
    "DEVICES",
    "ENTRIES",
    "EVENTS",
    "EXTREMITIES",
    "FILES",
    "FRAMES",
    "GROUPS",
    "HASHES",
    "HEROES",
    "IDS",
    "KEYS",
    "LANES",
    "LOOKS",
    "MEMBERS",
    "MESSAGES",
    "PAGES",
    "PAIRS",
    "PASSES",
    "PIXELS",
    "POSITIONS",
    "REBUILDS",
    "REQUESTS",
    "RETRIES",
    "ROOMS",
    "ROWS",
    "SHARDS",
    "STEPS",
    "STREAMS",
    "THREADS",
    "TOKENS",
    "TRIES",
    "TURNS",
    "USERS",
    "WAITERS",
    "WRITES",
];

/// Counting bounds whose name has another word for what is counted.
const COUNTS: [(&str, &str); 13] = [
    ("DEPTH_JUMP", "events, one above the other"),
    ("DEPTH_MAX", "events, one above the other"),
    ("JSON_DEPTH", "levels"),
    ("PENDING_PER_ROOM", "batches"),
    ("READ_QUEUE", "reads"),
    ("SHORT_ID_BLOCK", "ids"),
    ("TIMELINE_DEFAULT", "events"),
    ("TIMELINE_MAX", "events"),
    ("TIMELINE_OVERREAD", "rows for an event"),
    ("TIMELINE_TOTAL", "events"),
    ("WAKE_BURST", "members"),
    ("WORK_FLOORS", "lanes"),
    ("WORK_HINTS", "hints"),
];

/// Constants outside `limits` that look like a bound and are none, with the reason.
const NOT_BOUNDS: [(&str, &str); 26] = [
    ("src/accounts/src/presence/state.rs DEVICE_BYTES", "what an entry weighs; the bound is in limits"),
    ("src/accounts/src/presence/state.rs USER_BYTES", "what an entry weighs; the bound is in limits"),
    ("src/accounts/src/tables.rs HASH_BYTES", "the size of a SHA-256 hash"),
    ("src/engine-rocksdb/src/files/log.rs BLOCK_BYTES", "part of RocksDB's form of files"),
    ("src/engine-rocksdb/src/files/log.rs HEADER_BYTES", "part of RocksDB's form of files"),
    ("src/engine-rocksdb/src/files/log.rs REUSED_HEADER_BYTES", "part of RocksDB's form of files"),
    ("src/engine-rocksdb/src/files/table.rs FOOTER_BYTES", "part of RocksDB's form of files"),
    ("src/engine-rocksdb/src/files/table.rs TRAILER_BYTES", "part of RocksDB's form of files"),
    ("src/engine/src/epoch.rs ENTRY_BYTES", "part of a stored form"),
    ("src/engine/src/journal.rs HEADER_BYTES", "part of a stored form"),
    ("src/engine/src/key.rs PREFIX_BYTES", "part of the key's grammar"),
    ("src/engine/src/lease.rs PAYLOAD_BYTES", "part of a stored form"),
    ("src/engine/src/value.rs CRC_BYTES", "part of a stored form"),
    ("src/identity/src/tables.rs HASH_BYTES", "the size of a SHA-256 hash"),
    ("src/identity/src/tables.rs SUBJECT_BYTES", "the size of a hash cut short"),
    ("src/identity/src/uia/session.rs ACT_BYTES", "part of a token's form"),
    ("src/identity/src/uia/session.rs NONCE_BYTES", "part of a token's form"),
    ("src/identity/src/uia/session.rs BODY_BYTES", "part of a token's form"),
    ("src/identity/src/uia/session.rs MAC_BYTES", "part of a token's form"),
    ("src/media/src/objects/seal.rs TAG_BYTES", "part of a stored form"),
    ("src/rooms/src/typing/state.rs TYPIST_BYTES", "what an entry weighs; the bound is in limits"),
    ("src/store/src/envelope.rs HEADER_BYTES", "part of a stored form"),
    ("src/store/src/token.rs PAGE_KEY_BYTES", "part of a token's form"),
    ("src/store/src/token.rs MAC_BYTES", "part of a token's form"),
    ("src/store/src/token.rs SLIDING_BYTES", "part of a token's form"),
    ("src/store/src/window.rs ENTRY_BYTES", "what an entry weighs; the bound is in limits"),
];

/// Words in the name of a constant that bounds something.
const BOUNDING: [&str; 26] = [
    "MS", "S", "SECONDS", "BYTES", "KIB", "MIB", "ROWS", "KEYS", "CHARS", "QUEUE", "LIMIT", "LIMITS", "MAX", "MIN",
    "MAXIMUM", "MINIMUM", "TIMEOUT", "RETRIES", "TRIES", "ATTEMPTS", "CAPACITY", "PAGE", "DEPTH", "BOUND", "INTERVAL",
    "EXPIRY",
];

/// Calls that take a bound; a number written into them has no name.
const CALLS: [&str; 7] = [
    "Duration::from_millis(",
    "Duration::from_secs(",
    "Duration::from_mins(",
    "mpsc::channel(",
    "broadcast::channel(",
    "Semaphore::new(",
    "Cache::new(",
];

const NUMBERS: [&str; 10] = ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f64", "Duration"];

fn limits(tree: &Tree) -> impl Iterator<Item = (&str, source::Constant<'_>)> {
    tree.rust()
        .filter(|(path, _)| path.starts_with("src/limits/src/"))
        .flat_map(|(path, text)| source::constants(source::outside_tests(text)).into_iter().map(move |c| (path, c)))
        .filter(|(_, constant)| NUMBERS.contains(&constant.kind))
}

fn named_and_explained(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, source::Constant { name, line, doc, .. }) in limits(tree) {
        let measured = UNITS.iter().any(|unit| name.ends_with(&format!("_{unit}")));
        let counts =
            name.split('_').any(|word| COUNTED.contains(&word)) || COUNTS.iter().any(|(count, _)| *count == name);
        if !measured && !counts {
            broken.push(format!("{path}:{line}: {name} has neither a unit nor a word for what it counts"));
        }
        if doc.trim().is_empty() {
            broken.push(format!("{path}:{line}: {name} is not explained"));
        }
    }
    broken
}

fn used(tree: &Tree) -> Vec<String> {
    let code: Vec<&str> = tree
        .rust()
        .filter(|(path, _)| path.starts_with("src/") && !path.starts_with("src/limits/") && !source::is_test_file(path))
        .flat_map(|(_, text)| source::code_lines(source::outside_tests(text)).map(|(_, line)| line))
        .collect();
    let of_limits: Vec<&str> = tree
        .rust()
        .filter(|(path, _)| path.starts_with("src/limits/src/"))
        .flat_map(|(_, text)| {
            source::code_lines(text).filter_map(|(_, line)| line.split_once('=').map(|(_, value)| value))
        })
        .collect();
    let unused = limits(tree)
        .filter(|(_, constant)| !code.iter().chain(&of_limits).any(|line| source::has_word(line, constant.name)));
    unused.map(|(path, constant)| format!("{path}:{}: nothing uses {}", constant.line, constant.name)).collect()
}

fn none_elsewhere(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.rust() {
        if !path.starts_with("src/") || path.starts_with("src/limits/") || source::is_test_file(path) {
            continue;
        }
        let text = source::outside_tests(text);
        for constant in source::constants(text) {
            let bounds = constant.name.split('_').any(|word| BOUNDING.contains(&word));
            // A constant that only gives a bound of `limits` another form is none of its own.
            let derived = text.lines().nth(constant.line - 1).is_some_and(|line| line.contains("limits::"));
            let known = NOT_BOUNDS.iter().any(|(exception, _)| *exception == format!("{path} {}", constant.name));
            if bounds && !derived && !known && NUMBERS.contains(&constant.kind) {
                broken.push(format!("{path}:{}: {} belongs into limits", constant.line, constant.name));
            }
        }
        for (number, line) in source::code_lines(text) {
            for call in CALLS {
                let argument = line.split_once(call).and_then(|(_, rest)| rest.chars().next());
                if argument.is_some_and(|c| c.is_ascii_digit()) {
                    broken.push(format!("{path}:{number}: a bound without a name: {}", line.trim()));
                }
            }
        }
    }
    broken
}

#[test]
fn bounds_have_units_and_reasons() {
    assert_tidy(named_and_explained);
    assert!(limits(&Tree::load()).count() > 50, "the bounds were not found");
    let path = "src/limits/src/api.rs";
    assert_passes(named_and_explained, &[(path, "/// Bytes of a body.\npub const BODY_BYTES: usize = 1;\n")]);
    assert_passes(named_and_explained, &[(path, "/// Rooms side by side.\npub const ROOMS_AT_ONCE: usize = 1;\n")]);
    assert_caught(named_and_explained, &[(path, "pub const BODY_BYTES: usize = 1;\n")], "not explained");
    assert_caught(named_and_explained, &[(path, "/// Of a body.\npub const BODY: usize = 1;\n")], "neither a unit");
}

#[test]
fn every_bound_is_used() {
    assert_tidy(used);
    let bound = ("src/limits/src/api.rs", "/// Bytes.\npub const BODY_BYTES: usize = 1;\n");
    assert_passes(used, &[bound, ("src/api/src/a.rs", "fn f() { g(limits::BODY_BYTES) }\n")]);
    assert_caught(used, &[bound, ("src/api/src/a.rs", "// limits::BODY_BYTES\n")], "nothing uses BODY_BYTES");
    assert_caught(used, &[bound, ("src/api/src/a.rs", "fn f() { g(limits::ANY_BODY_BYTES) }\n")], "nothing uses");
}

#[test]
fn no_bounds_stand_outside_limits() {
    assert_tidy(none_elsewhere);
    let tree = Tree::load();
    for (exception, reason) in NOT_BOUNDS {
        let (path, name) = exception.split_once(' ').unwrap();
        let there = tree.get(path).is_some_and(|text| source::constants(text).iter().any(|c| c.name == name));
        assert!(there && !reason.is_empty(), "{exception} is no longer there");
    }
    let path = "src/rooms/src/append.rs";
    assert_passes(none_elsewhere, &[(path, "const WAIT: Duration = Duration::from_millis(limits::WAIT_MS);\n")]);
    assert_caught(none_elsewhere, &[(path, "const MAX_PAGE: usize = 5;\n")], "MAX_PAGE belongs into limits");
    assert_caught(none_elsewhere, &[(path, "fn f() {\n    const WAIT_MS: u64 = 5;\n}\n")], "WAIT_MS");
    assert_caught(none_elsewhere, &[(path, "    sleep(Duration::from_secs(5)).await;\n")], "without a name");
    assert_caught(none_elsewhere, &[(path, "    let (sender, receiver) = mpsc::channel(16);\n")], "without a name");
}
