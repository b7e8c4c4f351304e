//! The seal of a backup: what a data folder that is restored from it holds, and a checksum of every file, RocksDB's list
//! included, which has none of its own.
//!
//! Text, so that it can be read in twenty years without this program:
//!
//! ```text
//! wardstead backup 1
//! epoch 1767225600
//! position 1099511627776
//! made_ms 1767225600000
//! file 2868c1fd 4711 shared_checksum/000013_sABC_4711.sst
//! crc32c 0a1b2c3d
//! ```

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use wardstead_engine::Position;

use super::{BackupError, BackupFile};
use crate::folder;

/// Where the seals are.
pub(crate) const FOLDER: &str = "seals";

const FIRST: &str = "wardstead backup 1";

/// What was found when a backup was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The epoch of its data.
    pub epoch: u64,
    /// The newest journal position in it.
    pub position: Position,
    /// When it was sealed, in milliseconds since 1970.
    pub made_ms: u64,
    /// Every file of it, with checksum and length.
    pub files: Vec<BackupFile>,
}

impl Seal {
    /// The file at `path` within the folder of backups.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&BackupFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn text(&self) -> String {
        let mut lines = vec![
            FIRST.to_owned(),
            format!("epoch {}", self.epoch),
            format!("position {}", self.position),
            format!("made_ms {}", self.made_ms),
        ];
        lines.extend(self.files.iter().map(|file| {
            let (crc, bytes) = (file.crc.unwrap_or_default(), file.bytes.unwrap_or_default());
            format!("file {crc:08x} {bytes} {}", file.path)
        }));
        let body = lines.join("\n") + "\n";
        let crc = crc32c::crc32c(body.as_bytes());
        format!("{body}crc32c {crc:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, crc) = text.strip_suffix('\n')?.rsplit_once("\ncrc32c ")?;
        let body = &text[..=body.len()];
        if format!("{:08x}", crc32c::crc32c(body.as_bytes())) != crc {
            return None;
        }
        let mut lines = body.strip_prefix(FIRST)?.strip_prefix('\n')?.lines();
        let mut number = |name: &str| lines.next()?.strip_prefix(name)?.trim_start().parse::<u64>().ok();
        let (epoch, position, made_ms) = (number("epoch")?, Position(number("position")?), number("made_ms")?);
        let files = lines.map(file).collect::<Option<_>>()?;
        Some(Self { epoch, position, made_ms, files })
    }

    /// Writes it beside its name and moves it there, durably.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), folder::sync)
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, BackupError> {
        match fs::read(path) {
            Ok(bytes) => {
                let seal = String::from_utf8(bytes).ok().and_then(|text| Self::parse(&text));
                seal.map(Some).ok_or_else(|| BackupError::damaged(path, "the seal is not what was written"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackupError::file(path)(error)),
        }
    }
}

fn file(line: &str) -> Option<BackupFile> {
    let mut words = line.strip_prefix("file ")?.splitn(3, ' ');
    let crc = u32::from_str_radix(words.next()?, 16).ok()?;
    let bytes = words.next()?.parse().ok()?;
    Some(BackupFile { path: words.next()?.to_owned(), crc: Some(crc), bytes: Some(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let file = |number: u32| BackupFile {
            path: format!("shared_checksum/{number:06}_s.sst"),
            crc: Some(number.wrapping_mul(0x9e37_79b9)),
            bytes: Some(u64::from(number) << 20),
        };
        let seal = Seal { epoch: 7, position: Position(1 << 40), made_ms: 12, files: (0..3).map(file).collect() };
        let text = seal.text();
        assert_eq!(Seal::parse(&text), Some(seal));
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = String::from_utf8(flipped) {
                assert_eq!(Seal::parse(&flipped), None, "{flipped}");
            }
        }
    }
}
