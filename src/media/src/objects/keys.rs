//! Keys under which objects are encrypted.
//!
//! Each has a number, which the row of an object names; new objects take the newest. The installation makes one key itself, which lies in
//! the database. Who wants the keys elsewhere, or new ones, has a file of them.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_store::{Store, StoreError};

use crate::tables::{KEYRING, KeyringRow, keyring_key};

/// Number of "no encryption".
pub(crate) const PLAIN: u32 = 0;
/// Number of the key that the installation makes; those of a file are lower.
const OWN: u32 = 1 << 31;

/// What is wrong with a file of keys; it never repeats what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct KeyFileError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// Keys, by number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MediaKeys {
    keys: BTreeMap<u32, [u8; 32]>,
    newest: u32,
}

impl fmt::Debug for MediaKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaKeys").field("numbers", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl MediaKeys {
    /// The keys of a file: a line for each, its number and its 32 bytes in base64; empty lines and those that begin with `#` are left
    /// out. New files are encrypted with the key of the highest number.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut found = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what| KeyFileError { line: at + 1, what };
            let (number, key) = line.split_once(' ').ok_or_else(|| wrong("not a number and a key"))?;
            let number: u32 = number.parse().map_err(|_| wrong("not a number"))?;
            if number == PLAIN || number >= OWN {
                return Err(wrong("the number must be from 1 to 2147483647"));
            }
            let key = STANDARD.decode(key.trim()).ok().and_then(|key| key.try_into().ok());
            let key = key.ok_or_else(|| wrong("the key is not 32 bytes in base64"))?;
            if found.keys.insert(number, key).is_some() {
                return Err(wrong("the number stands there twice"));
            }
            found.newest = found.newest.max(number);
        }
        Ok(found)
    }

    /// These, and the installation's own key, which the first node makes that asks; `Absent` decides between two. New files take the
    /// newest of these, and that one only where there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_own(mut self, store: &Store) -> Result<Self, StoreError> {
        let row = match store.get(&KEYRING, &keyring_key()).await? {
            Some(found) => found.row,
            None => Self::make(store).await?,
        };
        self.keys.insert(OWN, row.own);
        if self.newest == PLAIN {
            self.newest = OWN;
        }
        Ok(self)
    }

    async fn make(store: &Store) -> Result<KeyringRow, StoreError> {
        let mut own = [0; 32];
        store.rng().fill(&mut own);
        let row = KeyringRow { own };
        let mut batch = Batch::new();
        batch.expect(keyring_key(), Expect::Absent, Losing::Done(keyring_key()));
        KEYRING.put(&mut batch, keyring_key(), &row);
        match store.commit(batch).await {
            Ok(_) => Ok(row),
            Err(StoreError::Lost(Losing::Done(key))) => {
                let found = store.get(&KEYRING, &key).await?;
                found.map(|found| found.row).ok_or(StoreError::Lost(Losing::Rebuild))
            }
            Err(error) => Err(error),
        }
    }

    /// The key for new objects, and its number.
    pub(crate) fn newest(&self) -> Option<(u32, &[u8; 32])> {
        self.keys.get(&self.newest).map(|key| (self.newest, key))
    }

    /// The key with this number.
    pub(crate) fn get(&self, number: u32) -> Option<&[u8; 32]> {
        self.keys.get(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: &str, byte: u8) -> String {
        format!("{number} {}\n", STANDARD.encode([byte; 32]))
    }

    #[test]
    fn the_highest_number_is_the_newest() {
        let text = format!("# keys\n\n{}{}{}", line("2", 2), line("7", 7), line("3", 3));
        let keys = MediaKeys::parse(&text).unwrap();
        assert_eq!(keys.newest(), Some((7, &[7; 32])));
        assert_eq!(keys.get(2), Some(&[2; 32]));
        assert_eq!((keys.get(1), keys.get(PLAIN)), (None, None));
        assert!(!format!("{keys:?}").contains("7, 7"));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        let twice = line("1", 1) + &line("1", 2);
        for (text, at) in [
            ("1".to_owned(), 1),
            (line("0", 1), 1),
            (line("2147483648", 1), 1),
            (format!("\n{}", line("one", 1)), 2),
            ("1 AAAA".to_owned(), 1),
            (twice, 2),
        ] {
            assert_eq!(MediaKeys::parse(&text).map_err(|error| error.line), Err(at), "{text}");
        }
    }
}
