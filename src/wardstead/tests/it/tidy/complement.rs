//! The committed results of the conformance suite, and what is required of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Tree, assert_caught, assert_passes, assert_tidy};

const RESULTS: &str = "complement/results.txt";

/// Lines in order, each once, with this many words.
fn in_order(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in lists(tree) {
        let words = if path == RESULTS { 3 } else { 2 };
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let parts: Vec<&str> = line.split(' ').collect();
            if parts.len() != words || !(parts[0] == "tests" || parts[0].starts_with("tests/")) {
                broken.push(format!(
                    "{path}:{}: not PACKAGE NAME{}",
                    number + 1,
                    if words == 3 { " RESULT" } else { "" }
                ));
            } else if words == 3 && !["PASS", "FAIL", "SKIP"].contains(&parts[2]) {
                broken.push(format!("{path}:{}: {} is no result", number + 1, parts[2]));
            }
        }
        let unordered = lines.windows(2).filter(|pair| name(pair[0]) == name(pair[1]) || pair[0] >= pair[1]);
        broken.extend(unordered.map(|pair| format!("{path}: after \"{}\" comes \"{}\"", pair[0], pair[1])));
    }
    broken
}

/// Each required name of what is built passed in the committed run.
fn required_pass(tree: &Tree) -> Vec<String> {
    let results: BTreeMap<&str, &str> =
        tree.get(RESULTS).unwrap_or_default().lines().filter_map(|line| line.rsplit_once(' ')).collect();
    let required: BTreeSet<(&str, &str)> = lists(tree)
        .filter(|(path, _)| *path != RESULTS)
        .flat_map(|(path, text)| text.lines().map(move |line| (path, line)))
        .collect();
    let broken = required.into_iter().filter(|(_, name)| results.get(name) != Some(&"PASS"));
    broken.map(|(path, name)| format!("{path}: {name} does not pass in {RESULTS}")).collect()
}

fn lists(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files().filter(|(path, _)| {
        path.starts_with("complement/") && Path::new(path).extension().is_some_and(|kind| kind == "txt")
    })
}

fn name(line: &str) -> Vec<&str> {
    line.split(' ').take(2).collect()
}

#[test]
fn results_are_in_order() {
    assert_tidy(in_order);
    let required = ("complement/required-a.txt", "tests TestA\ntests/csapi TestB/c\n");
    assert_passes(in_order, &[required, (RESULTS, "tests TestA FAIL\ntests/csapi TestB/c PASS\n")]);
    assert_caught(in_order, &[(RESULTS, "tests TestB PASS\ntests TestA PASS\n")], "comes \"tests TestA");
    assert_caught(in_order, &[(RESULTS, "tests TestA FAIL\ntests TestA PASS\n")], "comes \"tests TestA");
    assert_caught(in_order, &[(RESULTS, "tests TestA\n")], "not PACKAGE NAME RESULT");
    assert_caught(in_order, &[(RESULTS, "tests TestA GOOD\n")], "GOOD is no result");
    assert_caught(in_order, &[("complement/required-a.txt", "TestA\n")], "not PACKAGE NAME");
    let tree = Tree::load();
    assert!(tree.get(RESULTS).unwrap_or_default().lines().count() > 500, "a whole run");
}

#[test]
fn what_is_required_passes() {
    assert_tidy(required_pass);
    let required = ("complement/required-a.txt", "tests TestA\n");
    assert_passes(required_pass, &[required, (RESULTS, "tests TestA PASS\ntests TestB FAIL\n")]);
    assert_caught(required_pass, &[required, (RESULTS, "tests TestA FAIL\n")], "TestA does not pass");
    assert_caught(required_pass, &[required, (RESULTS, "tests TestA/b PASS\n")], "TestA does not pass");
}
