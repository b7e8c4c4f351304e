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
