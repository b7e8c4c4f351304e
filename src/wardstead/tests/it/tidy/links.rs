//! Links between documents lead somewhere.

use super::{Tree, assert_caught, assert_passes, assert_tidy, tree};

fn lead_somewhere(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| tree::has_extension(path, "md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !tree.has(&resolve(folder, target)) {
                broken.push(format!("{path}: {target} does not exist"));
            }
        }
    }
    broken
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn links_in_documents_lead_to_files() {
    assert_tidy(lead_somewhere);
    let readme = ("README.md", "[a](docs/a.md#x), [b](https://example.org/b), [c](#c), [d](docs/)");
    assert_passes(lead_somewhere, &[readme, ("docs/a.md", "[up](../README.md)")]);
    assert_caught(lead_somewhere, &[("README.md", "[a](docs/a.md)")], "docs/a.md");
}
