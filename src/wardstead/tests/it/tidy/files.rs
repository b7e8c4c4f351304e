//! Files: all of them compiled, none of them long, none with what must not stay.

use std::collections::BTreeSet;

use super::{Tree, assert_caught, assert_passes, assert_tidy, source};

/// Lines of a Rust file, at most. Most have around 150.
const LINES: usize = 600;
/// Longer ones, with the reason.
const LONG: [(&str, &str); 0] = [];

/// What must not stand in a Rust file, and what to do instead.
const FORBIDDEN: [(&str, &str); 6] = [
    (concat!("#[", "allow("), "write #[expect(…, reason = \"…\")]"),
    (concat!("#![", "allow("), "write #![expect(…, reason = \"…\")]"),
    (concat!("#[", "ignore"), "a test runs or does not exist"),
    (concat!("TO", "DO"), "do it, or write an issue"),
    (concat!("FIX", "ME"), "do it, or write an issue"),
    (concat!("XX", "X"), "do it, or write an issue"),
];

fn all_compiled(tree: &Tree) -> Vec<String> {
    let mut reached = BTreeSet::new();
    for (path, manifest) in tree.files() {
        let Some(folder) = path.strip_suffix("Cargo.toml") else { continue };
        for root in roots(tree, folder, manifest) {
            follow(tree, &root, &mut reached);
        }
    }
    let orphans = tree.rust().filter(|(path, _)| !reached.contains(*path));
    orphans.map(|(path, _)| format!("{path}: no `mod` leads here")).collect()
}

/// Files with which a crate of the package in `folder` begins.
fn roots(tree: &Tree, folder: &str, manifest: &str) -> Vec<String> {
    let named = manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    let mut roots: Vec<String> = named.map(|path| format!("{folder}{path}")).collect();
    for (path, _) in tree.rust() {
        let Some(inside) = path.strip_prefix(folder) else { continue };
        let parts: Vec<&str> = inside.split('/').collect();
        let root = match parts[..] {
            ["build.rs"]
            | ["src", "main.rs" | "lib.rs"]
            | ["tests" | "benches" | "examples", _, "main.rs"]
            | ["src", "bin", _, "main.rs"] => true,
            ["tests" | "benches" | "examples", file] | ["src", "bin", file] => file != "main.rs",
            _ => false,
        };
        if root {
            roots.push(path.to_owned());
        }
    }
    roots
}

fn follow(tree: &Tree, path: &str, reached: &mut BTreeSet<String>) {
    let Some(text) = tree.get(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    // `mod x;` in a root or a `mod.rs` is a neighbour; in `y.rs` it stands in the folder `y`.
    let is_root = matches!(file, "mod.rs" | "main.rs" | "lib.rs") || !path.contains("/src/");
    let named = file.trim_end_matches(".rs");
    let mut given_path = None;
    for (_, line) in source::code_lines(text) {
        let line = line.trim();
        if let Some(attribute) = line.strip_prefix("#[path = \"") {
            given_path = attribute.split('"').next();
        }
        let Some(module) =
            source::without_visibility(line).strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        if let Some(given) = given_path.take() {
            follow(tree, &format!("{folder}/{given}"), reached);
            continue;
        }
        let mut bases = vec![format!("{folder}/{named}")];
        if is_root {
            bases.push(folder.to_owned());
        }
        for base in bases {
            follow(tree, &format!("{base}/{module}.rs"), reached);
            follow(tree, &format!("{base}/{module}/mod.rs"), reached);
        }
    }
}

fn not_long(tree: &Tree) -> Vec<String> {
    let long = tree
        .rust()
        .filter(|(path, text)| text.lines().count() > LINES && !LONG.iter().any(|(exception, _)| exception == path));
    long.map(|(path, text)| format!("{path} has {} lines; name the concept that is missing", text.lines().count()))
        .collect()
}

fn nothing_forbidden(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.rust() {
        for (number, line) in text.lines().enumerate() {
            for (word, instead) in FORBIDDEN {
                let found = if word.starts_with('#') { line.contains(word) } else { source::has_word(line, word) };
                if found {
                    broken.push(format!("{path}:{}: {word}: {instead}", number + 1));
                }
            }
        }
    }
    broken
}

#[test]
fn every_rust_file_is_compiled() {
    assert_tidy(all_compiled);
    let manifest = ("src/a/Cargo.toml", "[package]\n");
    let root = ("src/a/src/lib.rs", "mod b;\npub(crate) mod c;\n// mod d;\n");
    let nested = ("src/a/src/b.rs", "mod e;\n");
    let rest = [
        ("src/a/src/b/e.rs", ""),
        ("src/a/src/c/mod.rs", ""),
        ("src/a/tests/it/main.rs", "mod f;\n"),
        ("src/a/tests/it/f.rs", ""),
    ];
    let tree = [&[manifest, root, nested][..], &rest].concat();
    assert_passes(all_compiled, &tree);
    assert_caught(all_compiled, &[&tree[..], &[("src/a/src/d.rs", "")]].concat(), "src/a/src/d.rs");
    assert_caught(all_compiled, &[&tree[..], &[("src/a/src/e.rs", "")]].concat(), "src/a/src/e.rs");
    assert_caught(all_compiled, &[&tree[..], &[("src/a/tests/it/g.rs", "")]].concat(), "src/a/tests/it/g.rs");
}

#[test]
fn files_are_not_long() {
    assert_tidy(not_long);
    assert_passes(not_long, &[("src/a/src/lib.rs", &"\n".repeat(LINES))]);
    assert_caught(not_long, &[("src/a/src/lib.rs", &"\n".repeat(LINES + 1))], "601 lines");
    for (path, reason) in LONG {
        assert!(!reason.is_empty() && Tree::load().get(path).is_some(), "{path}");
    }
}

#[test]
fn nothing_forbidden_stands_in_the_code() {
    assert_tidy(nothing_forbidden);
    for (word, instead) in FORBIDDEN {
        assert_caught(nothing_forbidden, &[("src/a/src/lib.rs", &format!("fn f() {{}} // {word}\n"))], instead);
    }
    assert_passes(nothing_forbidden, &[("src/a/src/lib.rs", concat!("const TO", "DOS: u8 = 1;\n"))]);
}
