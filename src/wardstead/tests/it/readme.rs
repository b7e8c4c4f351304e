//! What the README tells a newcomer to type.

use std::process::Command;

use crate::process::{Server, text};

/// The shell commands of one section, in order.
fn commands(readme: &str, section: &str) -> String {
    let (_, rest) = readme.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n")).collect()
}

#[test]
fn the_first_conversation_works_as_written() {
    let readme = include_str!("../../../../README.md");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path());
    let token = server.first_token().unwrap();
    let script = commands(readme, "A first conversation")
        .replace("http://127.0.0.1:8008", &format!("http://{}", server.addresses[0]))
        .replace("PASTE-IT-HERE", &token);
    assert!(script.contains(&token) && script.contains("/send/"), "{script}");
    let ran = Command::new("sh").args(["-eu", "-c", &script]).output().unwrap();
    let said = text(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", text(&ran.stderr));
    assert!(said.contains("event_id") && said.contains("Bed 4 is free."), "{said}{}", text(&ran.stderr));
}
