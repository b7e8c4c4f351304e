//! Tests over the source tree: what people forget. Each rule is a function from a [`tree::Tree`] to sentences, one for
//! each place that breaks it, so that each rule is also shown to catch a tree that breaks it.

mod bounds;
mod complement;
mod docs;
mod endpoints;
mod faults;
mod files;
mod layers;
mod links;
mod requirements;
mod sight;
mod source;
mod tables;
mod tree;

use tree::Tree;

/// Fails with all sentences at once.
#[track_caller]
fn assert_tidy(rule: impl Fn(&Tree) -> Vec<String>) {
    let broken = rule(&Tree::load());
    assert!(broken.is_empty(), "{} places:\n  {}", broken.len(), broken.join("\n  "));
}

/// Asserts that `rule` finds exactly one place in `files`, and that its sentence contains `sentence`.
#[track_caller]
fn assert_caught(rule: impl Fn(&Tree) -> Vec<String>, files: &[(&str, &str)], sentence: &str) {
    let broken = rule(&Tree::of(files));
    assert!(broken.len() == 1 && broken[0].contains(sentence), "expected one place with {sentence:?}: {broken:#?}");
}

/// Asserts that `rule` finds nothing wrong in `files`.
#[track_caller]
fn assert_passes(rule: impl Fn(&Tree) -> Vec<String>, files: &[(&str, &str)]) {
    assert_eq!(rule(&Tree::of(files)), Vec::<String>::new());
}
