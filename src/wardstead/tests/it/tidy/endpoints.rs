//! An endpoint's file begins with its method and path, and links the section that it implements.

use super::{Tree, assert_caught, assert_passes, assert_tidy};

const FOLDERS: [&str; 7] = ["client", "server", "clinical", "admin", "fhir", "scim", "web"];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
/// Where sections are.
const SOURCES: [&str; 3] = [
    "https://spec.matrix.org/v",
    "https://www.rfc-editor.org/rfc/",
    "https://github.com/matrix-org/matrix-spec-proposals/",
];

/// Our own endpoints have no section elsewhere: they link the design page that specifies them.
const OWN: [&str; 3] = ["clinical", "admin", "web"];

/// Files of endpoints: those whose function the `mod.rs` beside them mounts. What else stands there helps them.
fn endpoints(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str)> {
    tree.rust().filter_map(|(path, text)| {
        let (folder, _) = path.strip_prefix("src/api/src/")?.split_once('/')?;
        let (beside, file) = path.rsplit_once('/')?;
        let mounted = format!("({}::", file.trim_end_matches(".rs"));
        let is_mounted = tree.get(&format!("{beside}/mod.rs")).is_some_and(|routes| routes.contains(&mounted));
        (FOLDERS.contains(&folder) && is_mounted).then_some((folder, path, text))
    })
}

/// The lines of the comment that a file begins with.
fn head(text: &str) -> Vec<&str> {
    text.lines().map_while(|line| line.strip_prefix("//!")).collect()
}

/// Method and path in the first line.
fn named(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.lines().next()?.strip_prefix("//!")?.split_once('`')?;
    let (method, path) = rest.split_once('`')?.0.split_once(' ')?;
    (METHODS.contains(&method) && path.starts_with('/')).then_some((method, path))
}

fn documented(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (folder, path, text) in endpoints(tree) {
        if named(text).is_none() {
            broken.push(format!("{path}: the first line does not name `METHOD /path`"));
        }
        let section = |line: &&str| SOURCES.iter().any(|source| line.contains(source) && line.contains('#'));
        let page = |line: &&str| OWN.contains(&folder) && line.contains("docs/design/");
        if !head(text).iter().any(|line| section(line) || page(line)) {
            broken.push(format!("{path}: no link to the section of the specification"));
        }
    }
    broken
}

/// A path without the names of its variables: `/rooms/{}/join`.
fn shape(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn endpoint_files_name_their_path_and_link_their_section() {
    assert_tidy(documented);
    let path = "src/api/src/client/rooms/join.rs";
    let mounts = ("src/api/src/client/rooms/mod.rs", "routes.route(join::join)");
    let link = "//! <https://spec.matrix.org/v1.16/client-server-api/#joining-rooms>";
    let good = format!("//! `POST /_matrix/client/v3/rooms/{{roomId}}/join`\n{link}\n");
    assert_passes(documented, &[mounts, (path, &good), ("src/api/src/client/rooms/helper.rs", "fn help() {}\n")]);
    assert_caught(documented, &[mounts, (path, &format!("//! Joins.\n{link}\n"))], "METHOD");
    assert_caught(documented, &[mounts, (path, "//! `POST /_matrix/client/v3/join/{roomId}`\nfn f() {}\n")], "no link");
}

#[test]
fn endpoints_are_mounted_where_their_files_say() {
    let tree = Tree::load();
    let mounted = wardstead_api::endpoints();
    let mounted: Vec<(&str, String)> = mounted.iter().map(|e| (e.method.as_str(), shape(&e.path))).collect();
    let mut files = 0;
    for (_, file, text) in endpoints(&tree) {
        let (method, path) = named(text).unwrap_or_default();
        assert!(mounted.contains(&(method, shape(path))), "{file}: nothing is mounted at {method} {path}");
        files += 1;
    }
    assert!(files > 20, "only {files} endpoints were found");
}
