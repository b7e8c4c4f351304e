//! Whether the files of a data folder are what RocksDB wrote, file by file and byte by byte, without opening it.
//!
//! Tables, write-ahead logs and manifests are covered by checksums as a whole; `CURRENT` names the manifest. What is left
//! carries nothing that is read back: `IDENTITY` (a name for the database), `OPTIONS-…` (a note of the settings, which the
//! program brings itself), `LOG…` (messages for people), `LOCK` (empty).

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

mod log;
mod table;

/// A file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// Which.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Files with checksums.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<FileFinding>,
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Table,
    Log,
    Current,
    /// Nothing of it is read back.
    Other,
}

fn kind(name: &str) -> Kind {
    let numbered = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once('.') {
        Some((stem, "sst")) if numbered(stem) => Kind::Table,
        Some((stem, "log")) if numbered(stem) => Kind::Log,
        _ if name.strip_prefix("MANIFEST-").is_some_and(numbered) => Kind::Log,
        _ if name == "CURRENT" => Kind::Current,
        _ => Kind::Other,
    }
}

/// Reads every file of the RocksDB in `folder`, which nobody may have open. `progress` is told the bytes so far after each
/// file.
///
/// # Errors
/// The folder cannot be read. A file that cannot be read is a finding.
pub fn check_files(folder: &Path, progress: &mut (dyn FnMut(u64) + Send)) -> io::Result<FileReport> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    let mut report = FileReport::default();
    if !names.iter().any(|name| name == "CURRENT") {
        let what = "it is missing: this is not a data folder, or it has lost its beginning".into();
        report.findings.push(FileFinding { file: folder.join("CURRENT"), what });
    }
    for name in names {
        let (file, kind) = (folder.join(&name), kind(&name));
        if kind == Kind::Other {
            continue;
        }
        let checked = check_file(&file, kind).unwrap_or_else(|error| Err(error.to_string()));
        report.files += 1;
        report.bytes += fs::metadata(&file).map_or(0, |found| found.len());
        report.findings.extend(checked.err().map(|what| FileFinding { file, what }));
        progress(report.bytes);
    }
    Ok(report)
}

/// The write-ahead log in `folder` that holds acknowledged writes behind damage, and what is wrong with it. RocksDB would take
/// the damage for the end of the log and lose them without a word.
///
/// # Errors
/// The folder or a log cannot be read.
pub(crate) fn lost_by_opening(folder: &Path) -> io::Result<Option<FileFinding>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "log") {
            logs.push(file);
        }
    }
    // Numbers have six digits or, much later, more.
    logs.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
    let newest = logs.last().cloned();
    for file in logs {
        if log::check(BufReader::new(File::open(&file)?))?.is_ok() {
            continue;
        }
        // Once more, in one piece: a server that has the folder open may be writing it.
        let bytes = fs::read(&file)?;
        let Err(damage) = log::check(&bytes[..])? else { continue };
        let at = usize::try_from(damage.at).unwrap_or(usize::MAX);
        // An older one was complete before the newest was begun.
        if Some(&file) != newest.as_ref() || log::goes_on_behind(&bytes, at) {
            return Ok(Some(FileFinding { file, what: format!("{}, at byte {}", damage.what, damage.at) }));
        }
    }
    Ok(None)
}

fn check_file(path: &Path, kind: Kind) -> io::Result<Result<(), String>> {
    match kind {
        Kind::Table => table::check(path),
        Kind::Log => {
            let checked = log::check(BufReader::new(File::open(path)?))?;
            Ok(checked.map_err(|damage| format!("{}, at byte {}", damage.what, damage.at)))
        }
        Kind::Current => Ok(check_current(path, &fs::read(path)?)),
        Kind::Other => Ok(Ok(())),
    }
}

fn check_current(path: &Path, content: &[u8]) -> Result<(), String> {
    let name = std::str::from_utf8(content).ok().and_then(|text| text.strip_suffix('\n'));
    let manifest = name.filter(|name| name.starts_with("MANIFEST-") && kind(name) == Kind::Log);
    let Some(manifest) = manifest else { return Err("it names no manifest".into()) };
    if path.with_file_name(manifest).is_file() { Ok(()) } else { Err(format!("it names {manifest}, which is missing")) }
}

#[cfg(test)]
mod tests;
