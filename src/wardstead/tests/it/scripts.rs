//! The Makefile and the scripts in `.ci`, run in a sandbox in which every program that changes the machine is a fake.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::process::text;

/// Harmless programs that the scripts call.
const REAL: [&str; 24] = [
    "awk", "basename", "cat", "cp", "date", "dirname", "env", "expand", "find", "flock", "grep", "head", "ls", "mkdir",
    "mv", "rm", "sed", "sh", "sort", "tee", "touch", "tr", "uname", "printf",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A machine: a home, a cache, and the programs in its PATH.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One that has everything: Rust, a compiler, make, all packages, RocksDB in the cache. The user is no root.
    fn complete() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["bin", "cache", "home"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        for name in REAL {
            let real = path.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.exists());
            symlink(real.unwrap_or_else(|| panic!("{name} is missing")), machine.path("bin").join(name)).unwrap();
        }
        for name in ["cc", "c++", "make", "apt-get"] {
            machine.fake(name, "");
        }
        machine.fake("id", "echo 1000");
        machine.fake("sudo", "exec \"$@\"");
        machine.fake("dpkg-query", "echo 'install ok installed'");
        machine.fake("cargo", "mkdir -p \"$CARGO_TARGET_DIR/release/build/x/out\"; echo lib >\"$CARGO_TARGET_DIR/release/build/x/out/librocksdb.a\"");
        let library = machine.library();
        fs::create_dir_all(library.parent().unwrap()).unwrap();
        fs::write(library, "lib").unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that notes how it was called and then runs `script`.
    fn fake(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        let log = self.path("log");
        fs::write(&file, format!("#!/bin/sh\necho \"{name} $*\" >>'{}'\n{script}\n", log.display())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn without(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        Command::new(root().join(script))
            .args(arguments)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("WARDSTEAD_CACHE", self.path("cache"))
            .env("WARDSTEAD_ETC", self.path("etc"))
            .output()
            .unwrap()
    }

    /// Calls of fakes, in order.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn library(&self) -> PathBuf {
        let environment = text(&self.run(".ci/deps", &["env"]).stdout);
        let folder = environment.lines().find_map(|line| line.strip_prefix("ROCKSDB_LIB_DIR=")).unwrap();
        Path::new(folder).join("librocksdb.a")
    }
}

/// What `make -n` would run.
fn plan(target: &str) -> String {
    let output = Command::new("make")
        .args(["-n", "-C"])
        .arg(root())
        .arg(target)
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn script(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn nothing_is_said_when_all_is_there() {
    let machine = Machine::complete();
    let output = machine.run(".ci/deps", &[]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(machine.calls().iter().all(|call| call.starts_with("dpkg-query")), "{:?}", machine.calls());
}

#[test]
fn missing_packages_are_installed_by_name() {
    let machine = Machine::complete();
    machine.without("c++");
    machine.fake("dpkg-query", "exit 1");
    let output = machine.run(".ci/deps", &["curl"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "deps: installing Debian packages: g++ libclang-dev curl\n");
    let calls = machine.calls();
    assert!(calls.iter().any(|call| call == "sudo apt-get update -q"), "{calls:?}");
    let install = "apt-get install -y -q --no-install-recommends g++ libclang-dev curl";
    assert!(calls.iter().any(|call| call == install), "{calls:?}");

    let machine = Machine::complete();
    machine.fake("dpkg-query", "exit 1");
    machine.fake("id", "echo 0");
    machine.without("sudo");
    assert!(machine.run(".ci/deps", &[]).status.success(), "root needs no sudo");

    machine.fake("id", "echo 1000");
    let output = machine.run(".ci/deps", &[]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("apt-get install libclang-dev"), "{output:?}");
}

/// The Debian package makes a database server for the machine and starts it, unless it is told not to.
#[test]
fn postgresql_is_installed_without_a_server() {
    let machine = Machine::complete();
    machine.fake("dpkg-query", "case \"$*\" in *postgresql) exit 1 ;; esac; echo 'install ok installed'");
    let setting = machine.path("etc/postgresql-common/createcluster.d/wardstead.conf");
    let seen = machine.path("seen");
    machine.fake("apt-get", &format!("[ \"$1\" = update ] || cp '{}' '{}'", setting.display(), seen.display()));
    let output = machine.run(".ci/deps", &["curl", "postgresql"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), "create_main_cluster = false\n", "while it is installed");
    assert!(!setting.exists(), "what the machine does afterwards is up to its owner");

    machine.fake("apt-get", "[ \"$1\" = update ]");
    let output = machine.run(".ci/deps", &["postgresql"]);
    assert!(!output.status.success() && !setting.exists(), "make test fails when it cannot be installed: {output:?}");
}

#[test]
fn a_missing_rust_is_explained() {
    let machine = Machine::complete();
    machine.without("cargo");
    let output = machine.run(".ci/deps", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("https://www.rust-lang.org/tools/install"), "{output:?}");
}

#[test]
fn rocksdb_is_taken_from_the_cache() {
    let machine = Machine::complete();
    let library = machine.library();
    assert!(library.starts_with(machine.path("cache")), "outside the checkout");
    fs::remove_file(&library).unwrap();
    assert!(machine.run(".ci/deps", &[]).status.success());
    assert!(library.exists());
    assert!(machine.run(".ci/deps", &[]).status.success());
    let compiled: Vec<_> = machine.calls().into_iter().filter(|call| call.starts_with("cargo")).collect();
    assert!(compiled.len() == 1 && compiled[0].contains("-p librocksdb-sys"), "once: {compiled:?}");

    machine.fake("cargo", "echo \"$ROCKSDB_LIB_DIR $ROCKSDB_STATIC\"");
    let output = machine.run(".ci/deps", &["exec", "cargo", "build"]);
    assert_eq!(text(&output.stdout), format!("{} 1\n", library.parent().unwrap().display()), "every profile links it");
}

#[test]
fn make_run_builds_in_release_and_serves() {
    let plan = plan("run");
    for step in [".ci/deps", "cargo build --release", "init --if-missing", "serve --config"] {
        assert!(plan.contains(step), "{step}: {plan}");
    }
}

#[test]
fn make_test_runs_all_tests() {
    let plan = plan("test");
    for step in [".ci/deps", "postgresql", "cargo test --workspace", "tests/run test"] {
        assert!(plan.contains(step), "{step}: {plan}");
    }
}

#[test]
fn help_lists_every_target() {
    let output =
        Command::new("make").arg("-C").arg(root()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap();
    let help = text(&output.stdout);
    let makefile = script("Makefile");
    let targets = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    for target in targets.split(' ') {
        assert!(help.contains(&format!("make {target} ")), "{target} is not in:\n{help}");
        assert!(makefile.contains(&format!("\n{target}:")), "{target} does not exist");
    }
}

#[test]
fn continuous_integration_has_its_stages() {
    let run = script(".ci/run");
    let stages: Vec<&str> =
        run.lines().filter_map(|line| line.trim().split_once("stage ").map(|(_, rest)| rest)).collect();
    for stage in ["formatting", "scripts", "licences", "tidy", "clippy", "tests"] {
        assert!(stages.iter().any(|line| line.starts_with(stage)), "{stage}: {stages:?}");
    }
    assert!(run.contains("-D warnings") && run.contains("make test"), "{run}");
    assert!(!run.contains("--release") && !plan("test").contains("--release"), "the dev profile only");
}

#[test]
fn continuous_integration_measures_its_stages() {
    let run = script(".ci/run");
    assert!(run.contains("minutes_at_most=60"), "the whole run has a bound");
    assert!(run.contains("date +%s") && run.contains("'%6d s  %s'"), "the seconds of each stage are printed");
}

#[test]
fn a_licence_that_is_not_listed_is_caught() {
    let machine = Machine::complete();
    let listed = [
        "MIT OR GPL-3.0-only",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "MIT/Apache-2.0",
        "MPL-2.0",
        "GPL-2.0 OR MIT AND ISC",
    ];
    let unlisted = ["GPL-3.0-only", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-2.0", "", "AGPL-3.0 OR GPL-2.0 AND MIT"];
    for (licences, success) in [(listed, true), (unlisted, false)] {
        for licence in licences {
            machine.fake("cargo", &format!("echo '{licence}|a v1.0.0 (*)'"));
            let output = machine.run(".ci/licences", &["Cargo.toml"]);
            assert_eq!(output.status.success(), success, "{licence}: {output:?}");
            assert_eq!(text(&output.stdout).contains("a v1.0.0"), !success, "{licence}: {output:?}");
        }
    }
}
