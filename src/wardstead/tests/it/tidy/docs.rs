//! What documents say about commands and options is true.

use super::{Tree, assert_caught, assert_passes, assert_tidy, tree};

/// `make` targets that documents name exist.
fn make_targets(tree: &Tree) -> Vec<String> {
    let makefile = tree.get("Makefile").unwrap_or_default();
    let mut broken = Vec::new();
    for (path, text) in tree.files() {
        if !tree::has_extension(path, "md") && !path.starts_with(".ci/") {
            continue;
        }
        for target in targets(text) {
            if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                broken.push(format!("{path}: the Makefile has no target {target}"));
            }
        }
    }
    broken
}

/// Targets in `` `make x` ``, `` `make x y` `` and in lines of code that begin with `make`.
fn targets(text: &str) -> Vec<&str> {
    let quoted = text.match_indices("`make ").map(|(at, _)| text[at + 1..].split('`').next().unwrap_or_default());
    let lines = text.lines().map(str::trim).map(|line| line.strip_prefix("$ ").unwrap_or(line));
    let commands = lines.filter(|line| line.starts_with("make ") && line.split(' ').count() == 2);
    quoted
        .chain(commands)
        .flat_map(|command| command.split_whitespace().skip(1))
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

#[test]
fn make_commands_in_documents_exist() {
    assert_tidy(make_targets);
    let makefile = ("Makefile", "run: deps ## serve\n");
    assert_passes(make_targets, &[makefile, ("README.md", "Type `make run`:\n\n    make run\n\nWe make tea.\n")]);
    assert_caught(make_targets, &[makefile, ("README.md", "`make walk`\n")], "walk");
    assert_caught(make_targets, &[makefile, ("README.md", "```sh\nmake walk\n```\n")], "walk");
    let readme = Tree::load().get("README.md").unwrap_or_default().to_owned();
    assert!(["run", "test"].iter().all(|target| targets(&readme).contains(target)), "README names the two commands");
}

#[test]
fn the_example_configuration_is_generated_from_the_types() {
    let tree = Tree::load();
    let committed = tree.get("config.example.toml").unwrap_or_default();
    assert_eq!(committed, wardstead::config::example(), "run `make config`");
}

/// Papers of the house, and what must stand in them.
const PAPERS: [(&str, &[&str]); 5] = [
    ("LICENSE", &["Apache License", "Version 2.0"]),
    ("CHANGELOG.md", &["## Unreleased"]),
    (
        "README.md",
        &["## Two commands", "## A first conversation", "## Where things are", "## Contributing", "It is for"],
    ),
    ("docs/architecture.md", &["┌", "## The way of a message", "## The way of a sync"]),
    ("docs/benchmarks.md", &["make bench", "commit"]),
];

fn papers(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, parts) in PAPERS {
        match tree.get(path) {
            None => broken.push(format!("{path} is missing")),
            Some(text) => {
                let missing = parts.iter().filter(|part| !text.contains(**part));
                broken.extend(missing.map(|part| format!("{path} has no {part:?}")));
            }
        }
    }
    broken
}

#[test]
fn the_papers_are_there() {
    assert_tidy(papers);
    let texts = PAPERS.map(|(path, parts)| (path, parts.join("\n")));
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert_passes(papers, &files);
    assert_caught(papers, &files[1..], "LICENSE is missing");
    files[1].1 = "";
    assert_caught(papers, &files, "Unreleased");
}
