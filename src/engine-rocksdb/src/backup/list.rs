//! RocksDB's list of a backup's files, `meta/N`: time, sequence number, how many files, then a line each, as in
//! `shared_checksum/000013_sABC_4711.sst crc32 1234567`.

use std::{fs, path::Path};

use super::BackupError;

/// Where the lists are.
pub(crate) const FOLDER: &str = "meta";

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Its path within the folder of backups.
    pub path: String,
    /// CRC-32C of its content, where it is known.
    pub crc: Option<u32>,
    /// Its length, where it is known.
    pub bytes: Option<u64>,
}

impl BackupFile {
    /// What it is called in a data folder. A shared table has what makes its name unique behind its number.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        match (self.path.starts_with("shared"), name.split_once('_'), name.rsplit_once('.')) {
            (true, Some((number, _)), Some((_, ending))) => format!("{number}.{ending}"),
            _ => name.to_owned(),
        }
    }
}

/// The list's path within the folder of backups.
pub(crate) fn path(number: u32) -> String {
    format!("{FOLDER}/{number}")
}

/// Reads the list of backup `number`.
pub(crate) fn read(folder: &Path, number: u32) -> Result<Vec<BackupFile>, BackupError> {
    let path = folder.join(path(number));
    let damaged = || BackupError::damaged(&path, "not a list of a backup's files");
    let text = fs::read(&path).map_err(BackupError::file(&path))?;
    let text = String::from_utf8(text).map_err(|_| damaged())?;
    parse(&text).ok_or_else(damaged)
}

fn parse(text: &str) -> Option<Vec<BackupFile>> {
    let mut lines = text.lines().skip_while(|line| line.starts_with("schema_version"));
    let _time: u64 = lines.next()?.parse().ok()?;
    let _sequence: u64 = lines.next()?.parse().ok()?;
    let mut lines = lines.skip_while(|line| line.starts_with("metadata "));
    let count: usize = lines.next()?.parse().ok()?;
    let files: Vec<BackupFile> = lines.map(file).collect::<Option<_>>()?;
    (files.len() == count).then_some(files)
}

fn file(line: &str) -> Option<BackupFile> {
    let mut words = line.split(' ');
    let path = words.next()?;
    let crc = match words.next() {
        None => None,
        Some("crc32") => Some(words.next()?.parse().ok()?),
        Some(_) => return None,
    };
    // A damaged list must not lead out of the folder.
    let inside = ["shared_checksum/", "private/", "shared/"].iter().any(|within| path.starts_with(within));
    let plain = path.split('/').all(|part| !part.is_empty() && part != "..");
    (inside && plain).then(|| BackupFile { path: path.to_owned(), crc, bytes: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_leads_nowhere_else() {
        let text = "1732252800\n4711\n2\nprivate/3/MANIFEST-000008 crc32 4294967295\nshared_checksum/000013_sAB_47.sst crc32 1\n";
        let files = parse(text).unwrap();
        assert_eq!((files[0].name().as_str(), files[0].crc), ("MANIFEST-000008", Some(u32::MAX)));
        assert_eq!((files[1].name().as_str(), files[1].crc), ("000013.sst", Some(1)));
        for wrong in [
            "",
            "1\n1\n",
            "1\n1\n1\n",
            "1\n1\n2\nprivate/1/CURRENT crc32 1\n",
            "1\n1\n1\n/etc/passwd crc32 1\n",
            "1\n1\n1\nprivate/../../etc/passwd crc32 1\n",
            "1\n1\n1\nprivate/1/CURRENT crc32 x\n",
            "1\n1\n1\nprivate/1/CURRENT crd32 1\n",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
