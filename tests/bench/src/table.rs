//! The printed table.

use std::process::Command;

use anyhow::{Context, Result};

use crate::median::Runs;

/// Rows of what was measured.
#[derive(Debug)]
pub struct Table {
    heading: String,
    rows: Vec<String>,
}

impl Table {
    /// Starts with machine, commit and command.
    pub fn begin() -> Result<Self> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let cores = std::thread::available_parallelism()?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let commit = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
        let commit = commit.context("git tells the commit")?;
        let heading = format!(
            "machine: {}, {cores} cores, Linux {}\ncommit: {}\ncommand: make bench",
            model.map_or("unknown processor", |(_, model)| model),
            kernel.trim(),
            String::from_utf8_lossy(&commit.stdout).trim(),
        );
        println!("{heading}\n");
        Ok(Self { heading, rows: Vec::new() })
    }

    /// Adds the median of `runs` in `unit`, with the goal for it where there is one.
    pub fn add(&mut self, what: &str, runs: &Runs, unit: &str, goal: Option<f64>) {
        let goal = goal.map(|goal| (format!("≤ {goal} {unit}"), runs.median() <= goal));
        self.row(what, runs, unit, goal);
    }

    /// As [`Self::add`] with a goal that is a least.
    pub fn at_least(&mut self, what: &str, runs: &Runs, unit: &str, goal: Option<f64>) {
        let goal = goal.map(|goal| (format!("≥ {goal} {unit}"), runs.median() >= goal));
        self.row(what, runs, unit, goal);
    }

    fn row(&mut self, what: &str, runs: &Runs, unit: &str, goal: Option<(String, bool)>) {
        let goal = goal.map_or_else(String::new, |(goal, met)| goal + if met { "" } else { " **missed**" });
        let row = format!("| {what} | {:.1} {unit} | {} | {goal} |", runs.median(), runs.range());
        println!("{row}");
        self.rows.push(row);
    }

    /// Prints everything once more, to be copied.
    pub fn print(&self) {
        println!("\n{}\n\n| what | median | range | goal |\n|---|---|---|---|", self.heading);
        for row in &self.rows {
            println!("{row}");
        }
    }
}
