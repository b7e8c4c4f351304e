//! A crate uses only crates of layers below it, and takes versions and lints from the workspace.

use super::{Tree, assert_caught, assert_passes, assert_tidy};

/// The folders in `src/`, lowest first. A crate that is not here has no layer.
const LAYERS: [&str; 22] = [
    "limits",
    "clinical-api",
    "engine",
    "engine-memory",
    "engine-rocksdb",
    "engine-postgres",
    "store",
    "audit",
    "accounts",
    "rooms",
    "directory",
    "e2ee",
    "media",
    "push",
    "identity",
    "sync",
    "appservice",
    "federation",
    "clinical",
    "governance",
    "api",
    "wardstead",
];

/// Engines that only the binary may choose.
const CHOSEN_BY_THE_BINARY: [&str; 2] = ["engine-rocksdb", "engine-postgres"];

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|name| *name == folder)
}

/// Folder and text of each manifest in `src/`.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files().filter_map(|(path, text)| {
        let folder = path.strip_prefix("src/")?.strip_suffix("/Cargo.toml")?;
        (!folder.contains('/')).then_some((folder, text))
    })
}

/// Section and line of each dependency of a manifest.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if section.ends_with("dependencies") && !line.trim().is_empty() && !line.starts_with('#') {
            found.push((section, line));
        }
    }
    found
}

fn folder_of(dependency: &str) -> Option<&str> {
    let name = dependency.split(['.', ' ', '=']).next()?;
    name.strip_prefix("wardstead-")
}

fn downwards(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (folder, manifest) in manifests(tree) {
        let Some(own) = layer(folder) else {
            broken.push(format!("src/{folder} has no place among the layers"));
            continue;
        };
        for (section, line) in dependencies(manifest) {
            let Some(used) = folder_of(line) else { continue };
            // A crate may use its own features in its tests.
            let itself = used == folder && section == "dev-dependencies";
            if !itself && layer(used).is_none_or(|used| used >= own) {
                broken.push(format!("src/{folder} uses {used}, which is not below it ({section})"));
            }
            if section == "dependencies" && folder != "wardstead" && CHOSEN_BY_THE_BINARY.contains(&used) {
                broken.push(format!("src/{folder} uses {used}, which only the binary chooses"));
            }
        }
    }
    broken
}

fn from_the_workspace(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (folder, manifest) in manifests(tree) {
        for (_, line) in dependencies(manifest) {
            let own = line.contains("path = \".\"");
            if !own && !line.contains(".workspace = true") && !line.contains("workspace = true") {
                broken.push(format!("src/{folder}: not a version of the workspace: {line}"));
            }
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("src/{folder}: does not take the lints of the workspace"));
        }
        if manifest.lines().any(|line| matches!(line.trim(), "test = false" | "autotests = false" | "harness = false"))
        {
            broken.push(format!("src/{folder}: leaves tests out of `cargo test`"));
        }
    }
    broken
}

#[test]
fn crates_use_only_crates_of_lower_layers() {
    assert_tidy(downwards);
    let manifest = "[dependencies]\nserde.workspace = true\nwardstead-api.workspace = true\n";
    assert_caught(downwards, &[("src/rooms/Cargo.toml", manifest)], "src/rooms uses api");
    let manifest = "[dependencies]\nwardstead-engine-rocksdb = { workspace = true }\n";
    assert_caught(downwards, &[("src/store/Cargo.toml", manifest)], "only the binary chooses");
    let manifest = "[dev-dependencies]\nwardstead-sync = { workspace = true }\n";
    assert_caught(downwards, &[("src/rooms/Cargo.toml", manifest)], "dev-dependencies");
    assert_caught(downwards, &[("src/utils/Cargo.toml", "")], "no place");
}

#[test]
fn crates_take_versions_and_lints_from_the_workspace() {
    assert_tidy(from_the_workspace);
    let lints = "[lints]\nworkspace = true\n";
    let path = "src/rooms/Cargo.toml";
    assert_passes(from_the_workspace, &[(path, &format!("[dependencies]\nserde.workspace = true\n{lints}"))]);
    assert_caught(from_the_workspace, &[(path, &format!("[dependencies]\nserde = \"1\"\n{lints}"))], "serde");
    assert_caught(from_the_workspace, &[(path, "")], "lints");
    assert_caught(from_the_workspace, &[(path, &format!("[lib]\ntest = false\n{lints}"))], "leaves tests out");
}
