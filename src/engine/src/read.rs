//! Ranges and pages of a scan.

use bytes::Bytes;
use wardstead_limits::engine as limits;

use crate::{Cell, EngineError, InvalidBatch, Key, TableId, value};

/// Keys from `from` (inclusive) to `to` (exclusive), in ascending or descending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRange {
    /// Smallest key.
    pub from: Key,
    /// First key above the range.
    pub to: Key,
    /// Descending: the largest key first.
    pub reverse: bool,
}

impl ScanRange {
    /// From `from` to before `to`, ascending.
    #[must_use]
    pub fn new(from: Key, to: Key) -> Self {
        Self { from, to, reverse: false }
    }

    /// Every key of a table's scope.
    #[must_use]
    pub fn scope(table: TableId, scope: u64) -> Self {
        Self::prefix(Key::build(table, scope).key())
    }

    /// Every key that starts with `prefix`.
    #[must_use]
    pub fn prefix(prefix: Key) -> Self {
        let to = prefix.after_prefix();
        Self::new(prefix, to)
    }

    /// The same keys, the largest first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// What is left of the range after a page that ended with `resume`.
    #[must_use]
    pub fn resumed(mut self, resume: Key) -> Self {
        if self.reverse {
            self.to = resume;
        } else {
            self.from = resume;
        }
        self
    }
}

/// How much one page may hold. Engines cut both to [`limits::PAGE_ROWS`] and [`limits::PAGE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Rows; at least one is returned where one is left.
    pub rows: usize,
    /// Bytes of keys and values; the first row is returned whatever its size.
    pub bytes: usize,
}

impl PageLimit {
    /// At most `rows` rows.
    #[must_use]
    pub fn rows(rows: usize) -> Self {
        Self { rows: rows.clamp(1, limits::PAGE_ROWS), bytes: limits::PAGE_BYTES }
    }

    /// Both numbers within what an engine gives.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self { rows: self.rows.clamp(1, limits::PAGE_ROWS), bytes: self.bytes.clamp(1, limits::PAGE_BYTES) }
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self::rows(limits::PAGE_ROWS)
    }
}

/// Rows of a scan, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Key, Cell)>,
    /// Where the next page starts, for [`ScanRange::resumed`]: ascending the first key not returned or a key below it
    /// and above the last returned; descending the last key returned. `None` when the range is done.
    pub resume: Option<Key>,
}

/// Fills a page with the rows that an engine finds, so that every engine cuts pages alike.
#[derive(Debug)]
pub struct PageBuilder {
    limit: PageLimit,
    reverse: bool,
    bytes: usize,
    page: Page,
}

impl PageBuilder {
    /// An empty page of a scan of `range`.
    #[must_use]
    pub fn new(range: &ScanRange, limit: PageLimit) -> Self {
        Self { limit: limit.clamped(), reverse: range.reverse, bytes: 0, page: Page::default() }
    }

    /// Adds the next row of the range. `false`: it is left for the next page, and this one is done.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when the stored value is not what was written.
    pub fn add(&mut self, key: Key, stored: &Bytes) -> Result<bool, EngineError> {
        let bytes = self.bytes + key.as_bytes().len() + stored.len();
        if let Some((last, _)) = self.page.rows.last()
            && (self.page.rows.len() >= self.limit.rows || bytes > self.limit.bytes)
        {
            self.page.resume = Some(if self.reverse { last.clone() } else { key });
            return Ok(false);
        }
        let cell = value::open(&key, stored)?;
        self.bytes = bytes;
        self.page.rows.push((key, cell));
        Ok(true)
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> Page {
        self.page
    }
}

/// Holds one `get_many` to its bound.
///
/// # Errors
/// [`EngineError::Invalid`] for more than [`limits::GET_KEYS`] keys.
pub fn check_get(keys: &[Key]) -> Result<(), EngineError> {
    if keys.len() <= limits::GET_KEYS {
        return Ok(());
    }
    Err(InvalidBatch::TooLarge { what: "keys to get", actual: keys.len(), most: limits::GET_KEYS }.into())
}
