//! What the kernel says about a process.

use anyhow::{Context, Result};

/// Nanoseconds of CPU that process `pid` used, all its threads, finished ones included.
///
/// `/proc/PID/stat` counts in ticks of 10 ms; `schedstat` counts nanoseconds but leaves out threads that have ended. The
/// larger of the two is right to within a tick.
///
/// # Errors
/// When the process is gone.
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("stat has a name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), counted from 3 here.
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let mut exact = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        if let Ok(text) = std::fs::read_to_string(path) {
            exact += text.split(' ').next().context("schedstat has fields")?.parse::<u64>()?;
        }
    }
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    Ok(exact.max(ticks * tick_ns))
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
