//! Each requirement in `docs/requirements/` has an id, a text, and a test that exists and that `make test` runs.
//!
//! A row: `| W-STORE-01 | text | test, test |`, each test in backquotes:
//! `src/store/src/token.rs::name` (or below `tests/`): a Rust test function;
//! a file below `conformance/` names a case of the suite that each engine runs;
//! `tests/run name`: a stage of that script, in its `test`;
//! `.ci/run name`: a stage of that script;
//! `make name`: for a text that itself speaks of that command.

use std::collections::BTreeSet;

use super::{Tree, assert_caught, assert_passes, assert_tidy, source};

struct Requirement<'a> {
    file: &'a str,
    line: usize,
    id: &'a str,
    text: &'a str,
    tests: Vec<&'a str>,
}

fn requirements(tree: &Tree) -> Vec<Requirement<'_>> {
    let files = tree.files().filter(|(path, _)| path.starts_with("docs/requirements/"));
    let rows =
        files.flat_map(|(file, text)| text.lines().enumerate().map(move |(number, line)| (file, number + 1, line)));
    rows.filter(|(_, _, line)| line.starts_with("| W-")).map(|(file, line, row)| requirement(file, line, row)).collect()
}

fn requirement<'a>(file: &'a str, line: usize, row: &'a str) -> Requirement<'a> {
    let (id, rest) = row.trim_matches('|').split_once('|').unwrap_or_default();
    let (text, tests) = rest.rsplit_once('|').unwrap_or_default();
    // The quoted parts of a text with quotes are those with an odd number.
    let tests = tests.split('`').skip(1).step_by(2).collect();
    Requirement { file, line, id: id.trim(), text: text.trim(), tests }
}

fn shown(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let mut ids = BTreeSet::new();
    for Requirement { file, line, id, text, tests } in requirements(tree) {
        let mut say = |sentence: &str| broken.push(format!("{file}:{line}: {id}: {sentence}"));
        let area = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".md").to_uppercase();
        let number = id.strip_prefix(&format!("W-{area}-"));
        if !number.is_some_and(|number| number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit())) {
            say("an id here has the form W-AREA-00");
        }
        if !ids.insert(id) {
            say("the id stands twice");
        }
        if text.is_empty() {
            say("no text");
        }
        if tests.is_empty() {
            say("no test");
        }
        for test in tests {
            if let Err(reason) = exists(tree, test, text) {
                say(&format!("{test}: {reason}"));
            }
        }
    }
    broken
}

fn exists(tree: &Tree, test: &str, about: &str) -> Result<(), &'static str> {
    if let Some(target) = test.strip_prefix("make ") {
        let there = tree.get("Makefile").is_some_and(|makefile| makefile.contains(&format!("\n{target}:")));
        let meant = about.contains(&format!("`{test}`"));
        return if there && meant { Ok(()) } else { Err("no target of which the text speaks") };
    }
    if let Some(stage) = test.strip_prefix(".ci/run ") {
        let called = tree
            .get(".ci/run")
            .is_some_and(|run| run.lines().any(|line| line.trim().starts_with(&format!("stage {stage} "))));
        return if called { Ok(()) } else { Err("no such stage") };
    }
    if let Some(stage) = test.strip_prefix("tests/run ") {
        let run = tree.get("tests/run").unwrap_or_default();
        let of_test =
            run.split_once("\ntest)\n").and_then(|(_, rest)| rest.split_once(";;")).map_or("", |(block, _)| block);
        let line = format!("stage {stage}");
        let called = of_test.lines().map(str::trim).any(|l| l == line || l.starts_with(&format!("{line} ")));
        return if called { Ok(()) } else { Err("tests/run does not run it") };
    }
    let (path, name) = test.split_once("::").ok_or("not a test")?;
    let file = tree.get(path).ok_or("no such file")?;
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    let function = |line: &&str| line.contains(&format!("fn {name}("));
    let at = lines.iter().position(function).ok_or("no such test")?;
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    if path.contains("/conformance/") {
        let listed =
            file.split_once("cases!(").and_then(|(_, rest)| rest.split_once(");")).map_or("", |(list, _)| list);
        return if source::has_word(listed, name) { Ok(()) } else { Err("not among the cases of the suite") };
    }
    let is_test = attributes.clone().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    if !is_test {
        return Err("not a test function");
    }
    let outside = path.starts_with("tests/");
    let (script, command) = if outside { ("tests/run", "cargo test") } else { ("Makefile", "cargo test --workspace") };
    if !tree.get(script).is_some_and(|text| text.contains(command)) {
        return Err("`make test` does not run it");
    }
    Ok(())
}

#[test]
fn every_requirement_names_a_test_that_runs() {
    assert_tidy(shown);
    assert!(requirements(&Tree::load()).len() > 40, "the requirements were not found");
}

#[test]
fn a_requirement_without_a_running_test_is_caught() {
    let row =
        |id: &str, text: &str, test: &str| format!("| id | text | test |\n|---|---|---|\n| {id} | {text} | {test} |\n");
    let check = |row: &str, sentence: &str| {
        let files = [
            ("Makefile", "all:\ntest:\n\tcargo test --workspace\nbench:\n"),
            (".ci/run", "stage tests tests\n"),
            ("tests/run", "case x in\ntest)\n    stage talk 5\n    ;;\nkill)\n    stage kill\n    ;;\n"),
            ("src/a/src/conformance/b.rs", "cases!(\"b\":\n    one,\n);\nasync fn one() {}\nasync fn two() {}\n"),
            (
                "src/a/src/lib.rs",
                "/// Doc.\n#[tokio::test(start_paused = true)]\nasync fn it_holds() {}\n\nfn no_test() {}\n",
            ),
            ("docs/requirements/a.md", row),
        ];
        if sentence.is_empty() { assert_passes(shown, &files) } else { assert_caught(shown, &files, sentence) }
    };
    check(&row("W-A-01", "It holds | always.", "`src/a/src/lib.rs::it_holds`, `tests/run talk`, `.ci/run tests`"), "");
    check(&row("W-A-01", "It is measured by `make bench`.", "`make bench`"), "");
    check(&row("W-A-01", "It holds.", "`src/a/src/conformance/b.rs::one`"), "");
    check(&row("W-A-01", "It holds.", "`src/a/src/conformance/b.rs::two`"), "not among the cases");
    check(&row("W-A-01", "It is quick.", "`make bench`"), "of which the text speaks");
    check(&row("W-A-01", "It holds.", "`src/a/src/lib.rs::it_held`"), "no such test");
    check(&row("W-A-01", "It holds.", "`src/a/src/lib.rs::no_test`"), "not a test function");
    check(&row("W-A-01", "It holds.", "`src/b/src/lib.rs::it_holds`"), "no such file");
    check(&row("W-A-01", "It holds.", "`tests/run kill`"), "does not run it");
    check(&row("W-A-01", "It holds.", "`.ci/run kill`"), "no such stage");
    check(&row("W-A-01", "It holds.", ""), "no test");
    check(&row("W-A-01", " ", "`tests/run talk`"), "no text");
    check(&row("W-B-01", "It holds.", "`tests/run talk`"), "W-AREA-00");
    let twice = row("W-A-01", "It holds.", "`tests/run talk`") + "| W-A-01 | It holds, too. | `tests/run talk` |\n";
    check(&twice, "twice");
}
