//! What the kernel says about a process.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Nanoseconds of CPU that process `pid` used, all its threads, finished ones included: the process's CPU clock of
/// `clock_getcpuclockid(3)`.
///
/// # Errors
/// When the process is gone.
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    let spent = Duration::from(clock_gettime(clock)?);
    Ok(spent.as_nanos().try_into()?)
}

/// Resident memory of process `pid`, in KiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("status has VmRSS")?;
    line.split_whitespace().nth(1).context("VmRSS has a number")?.parse().context("VmRSS is a number")
}

/// Running child processes of `pid`.
///
/// # Errors
/// When the kernel does not tell.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended since the folder was read is no child any more.
        let Ok(fields) = stat(child) else { continue };
        if fields.get(PARENT).and_then(|field| field.parse().ok()) == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}

/// Nanoseconds of CPU of those children of `pid` that ended.
///
/// # Errors
/// When the process is gone.
pub fn ended_children_cpu_ns(pid: u32) -> Result<u64> {
    let fields = stat(pid)?;
    let ticks = |at: usize| fields.get(at).context("stat is longer")?.parse::<u64>().context("stat has numbers");
    Ok((ticks(CHILDREN_USER)? + ticks(CHILDREN_SYSTEM)?) * TICK_NS)
}

/// Places in what [`stat`] gives; in proc(5) they are the fields 4, 16 and 17.
const PARENT: usize = 1;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;
/// Linux counts there in hundredths of a second, on every machine.
const TICK_NS: u64 = 10_000_000;

/// The fields of `/proc/PID/stat` that follow the program's name, which may hold spaces.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("stat has a name in brackets")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}
