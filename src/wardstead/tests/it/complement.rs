//! `complement/run`, with fakes for Docker and for the suite's programs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::process::text;

const PACKAGES: [&str; 14] = [
    "csapi", "tests", "msc2836", "msc3391", "msc3757", "msc3874", "msc3890", "msc3902", "msc3930", "msc3967",
    "msc4140", "msc4155", "msc4222", "msc4306",
];

/// A checkout in which only `complement/` is real, and the programs that it calls.
struct Place {
    folder: TempDir,
}

impl Place {
    /// The suite passes one test in each package. Docker answers.
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for folder in ["complement/image", "bin", "suite", ".ci"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for file in ["run", "go.mod", "leaves.awk", "compare.awk", "image/Dockerfile"] {
            fs::copy(root.join("complement").join(file), place.path("complement").join(file)).unwrap();
        }
        place.write("complement/required-a.txt", "tests/csapi TestCsapi\n");
        place.program(".ci/deps", "");
        place.program("wardstead", "");
        for tool in ["docker", "dockerd", "debootstrap", "strip"] {
            place.program(&format!("bin/{tool}"), &format!("echo \"{tool} $*\" >>\"$HERE/calls\"\n"));
        }
        for package in PACKAGES {
            let (first, rest) = package.split_at(1);
            place.suite(package, &[("PASS", &format!("Test{}{rest}", first.to_uppercase()))]);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The program of a package: results and names, as a test program prints them.
    fn suite(&self, package: &str, results: &[(&str, &str)]) {
        let mut script = format!("echo \"{package} $*\" >>\"$HERE/calls\"\n");
        for (result, name) in results {
            let line = if *result == "PANIC" {
                format!("printf '\\026=== RUN   {name}\\npanic: nil\\n'; exit 2\n")
            } else {
                format!("printf '\\026=== RUN   {name}\\nwords\\026--- {result}: {name} (0.01s)\\n'\n")
            };
            script += &line;
        }
        self.program(&format!("suite/{package}.test"), &script);
    }

    fn run(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(self.path("complement/run"));
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("HERE", self.folder.path()).env("COMPLEMENT_BIN", self.path("suite"));
        command.env("CARGO_TARGET_DIR", self.path("target")).env("WARDSTEAD_BIN", self.path("wardstead"));
        for variable in ["TESTS", "PACKAGES", "COMPLEMENT_OUT"] {
            command.env_remove(variable);
        }
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// A run that succeeds.
    fn passes(&self, variables: &[(&str, &str)]) -> String {
        let output = self.run(variables);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    }

    /// A run that fails, and what it says.
    fn fails(&self, variables: &[(&str, &str)]) -> String {
        let output = self.run(variables);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stdout) + &text(&output.stderr)
    }
}

#[test]
fn a_whole_run_writes_every_leaf_in_order() {
    let place = Place::new();
    place.suite("csapi", &[("FAIL", "TestB/x"), ("SKIP", "TestB/x/y_z"), ("PASS", "TestCsapi"), ("FAIL", "TestB")]);
    let said = place.passes(&[]);
    assert!(said.contains("1 passed    0 failed    1 skipped"), "{said}");
    let results = place.read("complement/results.txt");
    let lines: Vec<&str> = results.lines().collect();
    assert_eq!(lines.len(), 15);
    assert!(lines.contains(&"tests/csapi TestB/x/y_z SKIP") && lines.contains(&"tests/csapi TestCsapi PASS"));
    assert!(lines.contains(&"tests TestTests PASS") && lines.contains(&"tests/msc4306 TestMsc4306 PASS"));
    assert!(lines.is_sorted() && !results.contains("TestB FAIL"), "{results}");
    let calls = place.read("calls");
    let image = calls.lines().position(|call| call.starts_with("docker build")).unwrap();
    let first = calls.lines().position(|call| call.starts_with("csapi")).unwrap();
    assert!(image < first, "{calls}");
}

#[test]
fn what_is_worse_fails_the_run() {
    let place = Place::new();
    place.suite("csapi", &[("PASS", "TestCsapi"), ("PASS", "TestA"), ("FAIL", "TestB")]);
    place.passes(&[]);
    let before = place.read("complement/results.txt");
    for (results, sentences) in [
        (&[("PASS", "TestCsapi"), ("FAIL", "TestA"), ("FAIL", "TestB")][..], "fails newly: tests/csapi TestA (FAIL)"),
        (&[("PASS", "TestCsapi"), ("SKIP", "TestA"), ("FAIL", "TestB")], "fails newly: tests/csapi TestA (SKIP)"),
        (&[("PASS", "TestCsapi"), ("PASS", "TestA")], "vanished: tests/csapi TestB"),
        (
            &[("FAIL", "TestCsapi"), ("PASS", "TestA"), ("FAIL", "TestB")],
            "required and does not pass: tests/csapi TestCsapi",
        ),
        (&[("PASS", "TestA"), ("FAIL", "TestB")], "required and not there: tests/csapi TestCsapi"),
    ] {
        place.suite("csapi", results);
        let said = place.fails(&[]);
        assert!(said.contains(sentences), "{said}");
        assert_eq!(place.read("complement/results.txt"), before, "kept as it was");
    }
    // Better, or finer, is not worse.
    place.suite(
        "csapi",
        &[("PASS", "TestCsapi"), ("PASS", "TestA/x"), ("PASS", "TestA"), ("PASS", "TestB"), ("FAIL", "TestC")],
    );
    place.passes(&[]);
    assert!(place.read("complement/results.txt").contains("tests/csapi TestA/x PASS\ntests/csapi TestB PASS\n"));
}

#[test]
fn a_slice_compares_only_what_it_ran() {
    let place = Place::new();
    place.suite("csapi", &[("PASS", "TestCsapi"), ("PASS", "TestA/x"), ("PASS", "TestA/y"), ("PASS", "TestA")]);
    place.passes(&[]);
    let before = place.read("complement/results.txt");
    place.suite("csapi", &[("PASS", "TestA/x"), ("PASS", "TestA/y"), ("PASS", "TestA")]);
    let slice = [("TESTS", "TestA"), ("PACKAGES", "tests/csapi")];
    place.passes(&slice);
    assert!(place.read("calls").contains("-test.run TestA "));
    place.suite("csapi", &[("PASS", "TestA/x"), ("PASS", "TestA")]);
    assert!(place.fails(&slice).contains("vanished: tests/csapi TestA/y"));
    place.passes(&[("TESTS", "TestA/x"), ("PACKAGES", "tests/csapi")]);
    assert_eq!(place.read("complement/results.txt"), before);
    place.suite("csapi", &[]);
    assert!(place.fails(&slice).contains("no test ran"));
}

/// A test that panics ends its program. It has failed, and those after it run all the same.
#[test]
fn a_program_that_dies_goes_on_with_the_next_test() {
    let place = Place::new();
    let dies = place.read("suite/csapi.test");
    place.suite("csapi", &[("PASS", "TestA"), ("PANIC", "TestB/x")]);
    let dying = place.read("suite/csapi.test").replace("#!/bin/sh\n", "");
    let rest = dies.replace("#!/bin/sh\n", "");
    place.program("suite/csapi.test", &format!("case $* in\n*TestB*)\n{rest};;\n*)\n{dying};;\nesac\n"));
    place.passes(&[]);
    let results = place.read("complement/results.txt");
    for line in ["tests/csapi TestA PASS", "tests/csapi TestB/x FAIL", "tests/csapi TestCsapi PASS"] {
        assert!(results.contains(line), "{results}");
    }
    assert!(place.read("calls").contains("-test.skip ^(TestA|TestB)$"));
}

#[test]
fn an_engine_that_was_started_is_ended() {
    let place = Place::new();
    place.program("bin/id", "echo 0\n");
    let docker =
        "case $1 in version) [ -e \"$HERE/up\" ] ;; ps) echo c1 ;; rm) echo \"docker $*\" >>\"$HERE/calls\" ;; esac\n";
    place.program("bin/docker", docker);
    let dockerd = "trap 'rm \"$HERE/up\"; exit 0' TERM\ntouch \"$HERE/up\"\nwhile :; do sleep 0.05; done\n";
    place.program("bin/dockerd", dockerd);
    let said = place.passes(&[]);
    assert!(said.contains("starting a Docker engine"), "{said}");
    assert!(!place.path("up").exists());
    assert!(place.read("calls").contains("docker rm -f c1"), "no container stays");
    // Also when the run fails.
    place.suite("csapi", &[]);
    place.fails(&[]);
    assert!(!place.path("up").exists());
    // One that was there is left alone.
    place.write("up", "");
    place.fails(&[]);
    assert!(place.path("up").exists());
}

#[test]
fn what_is_missing_is_said() {
    let place = Place::new();
    assert!(place.fails(&[("COMPLEMENT_BIN", "/nowhere")]).contains("no folder: /nowhere"));
    fs::remove_file(place.path("suite/msc4222.test")).unwrap();
    assert!(place.fails(&[]).contains("msc4222.test"));
}

#[test]
fn the_programs_are_built_from_the_module() {
    let place = Place::new();
    // What it is asked to build is a copy of the fake program of that package.
    place.program(
        "bin/go",
        "[ \"$1 $2 $3\" = 'test -c -o' ] || exit 2\necho \"go $5\" >>\"$HERE/calls\"\ncp \"$HERE/suite/$(basename \"$4\")\" \"$4\"\n",
    );
    place.passes(&[("COMPLEMENT_BIN", "")]);
    let calls = place.read("calls");
    let module = "github.com/matrix-org/complement";
    assert!(calls.contains(&format!("go {module}/tests/csapi\n")) && calls.contains(&format!("go {module}/tests\n")));
    assert_eq!(place.read("complement/results.txt").lines().count(), PACKAGES.len());

    place.program("bin/go", "exit 1\n");
    assert!(place.fails(&[("COMPLEMENT_BIN", "")]).contains("the suite's tests/csapi could not be built"));
}
