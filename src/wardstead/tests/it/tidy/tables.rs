//! A table has a number of its own and belongs to the crate that declares it.

use std::collections::BTreeMap;

use super::{Tree, assert_caught, assert_passes, assert_tidy, source};

/// Numbers that a crate may give, from and to.
const NUMBERS: [(&str, u16, u16); 9] = [
    ("store", 0x010, 0x01f),
    ("accounts", 0x020, 0x03f),
    ("rooms", 0x040, 0x07f),
    ("identity", 0x080, 0x08f),
    ("sync", 0x090, 0x097),
    ("e2ee", 0x0a0, 0x0bf),
    ("directory", 0x0c0, 0x0cf),
    ("media", 0x0d0, 0x0df),
    ("push", 0x0e0, 0x0ff),
];

/// Crates that may name a row of the engine without a typed table: what engines themselves read and write.
const RAW_ROWS: [&str; 4] = ["engine", "engine-memory", "engine-rocksdb", "store"];

fn owned(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let mut numbers = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (path, text) in tree.rust() {
        let Some(folder) = path.strip_prefix("src/").and_then(|path| path.split('/').next()) else { continue };
        if source::is_test_file(path) {
            continue;
        }
        let text = source::outside_tests(text);
        if text.contains("TableId::new(") && !RAW_ROWS.contains(&folder) {
            broken.push(format!("{path}: a row without a typed table"));
        }
        for (at, call) in text.match_indices("Table::new(") {
            let arguments = text[at + call.len()..].split(')').next().unwrap_or_default();
            let parts: Vec<&str> = arguments.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
            let [_pattern, number, name, owner] = parts[..] else {
                broken.push(format!("{path}: a table takes pattern, number, name and owner: {arguments}"));
                continue;
            };
            let Some(number) = number.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
                broken.push(format!("{path}: table {name}: the number is not written as 0x…: {number}"));
                continue;
            };
            if owner.trim_matches('"') != folder {
                broken.push(format!("{path}: table {name} says that it belongs to {owner}"));
            }
            if !NUMBERS.iter().any(|(crate_name, from, to)| *crate_name == folder && (from..=to).contains(&&number)) {
                broken.push(format!("{path}: table {name}: {number:#05x} is not among the numbers of {folder}"));
            }
            if let Some(other) = numbers.insert(number, name) {
                broken.push(format!("{path}: table {name} has the number of {other}, {number:#05x}"));
            }
            if names.insert(name, number).is_some() {
                broken.push(format!("{path}: two tables are called {name}"));
            }
        }
    }
    broken
}

/// The list by which `verify` names tables.
const NAMED: &str = "src/wardstead/src/verify/tables.rs";

fn named(tree: &Tree) -> Vec<String> {
    let list = tree.get(NAMED).unwrap_or_default();
    let mut broken = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with("src/") && !source::is_test_file(path)) {
        let text = source::outside_tests(text);
        for (at, call) in text.match_indices("Table::new(") {
            let arguments = text[at + call.len()..].split(')').next().unwrap_or_default();
            let parts: Vec<&str> = arguments.split(',').map(str::trim).collect();
            if let [_, number, name, ..] = parts[..]
                && !list.contains(&format!("({number}, {name})"))
            {
                broken.push(format!("{path}: table {name}: {NAMED} lacks ({number}, {name})"));
            }
        }
    }
    broken
}

#[test]
fn verify_names_every_table() {
    assert_tidy(named);
    let table = "const T: Table<Row> = Table::new(AccessPattern::Scan, 0x040, \"a\", \"rooms\");\n";
    let path = "src/rooms/src/tables.rs";
    assert_passes(named, &[(path, table), (NAMED, "(0x040, \"a\"),")]);
    assert_caught(named, &[(path, table), (NAMED, "(0x041, \"a\"),")], "lacks (0x040, \"a\")");
}

#[test]
fn tables_have_numbers_of_their_own_and_real_owners() {
    assert_tidy(owned);
    assert!(
        Tree::load().rust().any(|(_, text)| text.contains("Table::new(")),
        "no tables found: the test looks wrongly"
    );
    let table = |number: &str, name: &str, owner: &str| {
        format!("const T: Table<Row> =\n    Table::new(AccessPattern::Scan, {number}, \"{name}\", \"{owner}\");\n")
    };
    let path = "src/rooms/src/tables.rs";
    assert_passes(owned, &[(path, &(table("0x040", "a", "rooms") + &table("0x041", "b", "rooms")))]);
    assert_caught(owned, &[(path, &(table("0x040", "a", "rooms") + &table("0x040", "b", "rooms")))], "has the number");
    assert_caught(owned, &[(path, &(table("0x040", "a", "rooms") + &table("0x041", "a", "rooms")))], "two tables");
    assert_caught(owned, &[(path, &table("0x040", "a", "store"))], "belongs to");
    assert_caught(owned, &[(path, &table("0x020", "a", "rooms"))], "not among");
    assert_caught(owned, &[(path, &table("NUMBER", "a", "rooms"))], "not written");
    assert_caught(owned, &[(path, "const RAW: TableId = TableId::new(AccessPattern::Point, 3);\n")], "typed table");
}
