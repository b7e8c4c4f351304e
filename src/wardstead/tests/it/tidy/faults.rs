//! Each fault of `tests/faults` says what it is and which test turns red, and still fits the code that it changes: one that does not
//! is noticed by nobody until somebody runs `make faults`.

use super::{Tree, assert_caught, assert_passes, assert_tidy, tree::has_extension};

/// Lines of context that have to fit: those that `tests/run faults` asks `git apply` for.
const CONTEXT: usize = 1;

fn faults(tree: &Tree) -> Vec<String> {
    let patches = tree.files().filter(|(path, _)| path.starts_with("tests/faults/") && has_extension(path, "patch"));
    patches.flat_map(|(path, text)| fault(tree, path, text)).collect()
}

fn fault(tree: &Tree, path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut say = |sentence: &str| broken.push(format!("{path}: {sentence}"));
    if text.lines().next().is_none_or(str::is_empty) {
        say("the first line says what is wrong then");
    }
    let red: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("red: ")).collect();
    match red[..] {
        [named] => {
            let krate = named.strip_prefix("cargo -p wardstead-").and_then(|rest| rest.split(' ').next());
            let exists = krate.is_some_and(|krate| tree.has(&format!("src/{krate}/Cargo.toml")));
            if !exists && !named.starts_with("outside ") {
                say(&format!("no such test: {named}"));
            }
        }
        _ => say("one line names the test: red: …"),
    }
    let hunks = hunks(text);
    if hunks.is_empty() {
        say("it changes nothing");
    }
    for (file, lines) in hunks {
        let code: Vec<&str> = tree.get(file).unwrap_or_default().lines().collect();
        if !code.windows(lines.len()).any(|window| window == lines) {
            say(&format!("does not fit {file}"));
        }
    }
    broken
}

/// Of each hunk the file and the lines that it expects there.
fn hunks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut hunks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut file = "";
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = path;
        } else if line.starts_with("@@ ") {
            hunks.push((file, Vec::new()));
        } else if let Some((_, lines)) = hunks.last_mut()
            && !line.starts_with("---")
        {
            lines.push(line);
        }
    }
    hunks.into_iter().map(|(file, lines)| (file, expected(&lines))).collect()
}

fn expected<'a>(hunk: &[&'a str]) -> Vec<&'a str> {
    let is_change = |line: &&str| line.starts_with(['-', '+']);
    let first = hunk.iter().position(is_change).unwrap_or_default().saturating_sub(CONTEXT);
    let last = hunk.iter().rposition(is_change).unwrap_or_default() + CONTEXT;
    let lines = hunk.iter().take(last + 1).skip(first).filter(|line| !line.starts_with('+'));
    lines.map(|line| line.get(1..).unwrap_or_default()).collect()
}

#[test]
fn faults_fit_the_code_that_they_change() {
    assert_tidy(faults);
}

#[test]
fn a_fault_that_fits_nowhere_is_caught() {
    const CODE: (&str, &str) = ("src/sync/src/lib.rs", "fn a() {\n    one();\n\n    two();\n    three();\n}\n");
    const FILE: &str = "tests/faults/01-two.patch";
    const CRATE: (&str, &str) = ("src/sync/Cargo.toml", "");
    let patch = |head: &str, context: &str| {
        let hunk = format!("@@ -1,5 +1,5 @@\n moved\n{context}\n-    two();\n+    2();\n     three();\n moved\n");
        format!("{head}\n--- a/src/sync/src/lib.rs\n+++ b/src/sync/src/lib.rs\n{hunk}")
    };
    let head = "It does two.\n\nred: cargo -p wardstead-sync --lib\n";
    let of = |text: &str| fault(&Tree::of(&[CODE, CRATE, (FILE, text)]), FILE, text);
    for context in [" ", ""] {
        assert_eq!(of(&patch(head, context)), [""; 0]);
    }
    let fits = patch(head, " ");
    assert_passes(faults, &[CODE, CRATE, (FILE, &fits)]);
    let moved = patch(head, "     else();");
    assert_caught(faults, &[CODE, CRATE, (FILE, &moved)], "does not fit src/sync/src/lib.rs");
    for (head, reason) in [
        ("\nred: cargo -p wardstead-sync\n", "the first line"),
        ("It does two.\n", "names the test"),
        ("It does two.\n\nred: cargo -p wardstead-sink\n", "no such test"),
    ] {
        assert_caught(faults, &[CODE, CRATE, (FILE, &patch(head, " "))], reason);
    }
    assert_caught(faults, &[CRATE, (FILE, head)], "changes nothing");
}
