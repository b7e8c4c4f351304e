//! What the Dockerfile says. `make container` builds the image and tries it; that needs Docker.

use std::{fs, path::Path};

use crate::process::run;

fn dockerfile() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::read_to_string(root.join("Dockerfile")).unwrap()
}

/// The arguments of the last instruction `name` in the stage that becomes the image.
fn last<'a>(text: &'a str, name: &str) -> &'a str {
    let stage = &text[text.rfind("\nFROM ").unwrap() + 1..];
    let line = stage.lines().rfind(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}")).split_once(' ').unwrap().1
}

#[test]
fn the_image_has_the_program_alone_and_runs_as_an_ordinary_user() {
    let text = dockerfile();
    assert_eq!(text.matches("\nFROM ").count(), 2, "what builds is not what runs");
    assert!(!last(&text, "FROM").contains("rust"));
    let (user, group) = last(&text, "USER").split_once(':').unwrap();
    assert!(
        [user, group].iter().all(|id| id.parse::<u32>().unwrap() > 0),
        "an orchestrator cannot tell a name from root"
    );
    assert_eq!(last(&text, "VOLUME"), "/data");
}

/// Whoever watches the container needs neither a shell nor another program in it.
#[test]
fn the_health_check_is_a_command_of_the_program() {
    let text = dockerfile();
    let (_, check) = last(&text, "HEALTHCHECK").split_once("CMD ").unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    let [program, arguments @ ..] = &check[..] else { panic!("no program") };
    assert_eq!(program, "wardstead");
    // No such file here; the command itself is understood.
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let asked = run(&arguments);
    assert!(String::from_utf8(asked.stderr).unwrap().contains("/data/config.toml"), "{check:?}");
}

/// The signal that ends a container reaches the server only as the first process, and Docker waits ten seconds for it.
#[test]
fn the_server_is_the_first_process_and_ends_in_time() {
    let text = dockerfile();
    let entry: Vec<String> = serde_json::from_str(last(&text, "ENTRYPOINT")).unwrap();
    assert!(entry.last().unwrap().contains("; exec wardstead serve "), "{entry:?}");
    const { assert!(wardstead_limits::api::DRAIN_MS + wardstead_limits::api::RUNTIME_END_MS < 10_000) };
}
