//! Reads everything: whether each row is what was written, and the journal is whole. Over any engine.

use std::collections::BTreeMap;

use wardstead_limits::engine as limits;

use crate::{
    AccessPattern, Cell, Engine, EngineError, Key, PageLimit, Position, ScanRange, TableId, batch::check_key, lease,
    system,
};

mod journal;

use journal::Journal;

/// Rows and bytes of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows whose key, checksum and form are right.
    pub rows: u64,
    /// Bytes of their keys and payloads.
    pub bytes: u64,
}

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One row: table, scope and key are in it.
    Row(Key),
    /// Rows from this key on, up to an end that nobody can tell.
    From(Key),
    /// The journal, at this position.
    Journal(Position),
}

impl Place {
    /// The table.
    #[must_use]
    pub fn table(&self) -> TableId {
        match self {
            Self::Row(key) | Self::From(key) => key.table(),
            Self::Journal(_) => system::JOURNAL,
        }
    }
}

/// What was read, and what of it is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By the table's number; tables without rows are missing.
    pub tables: BTreeMap<TableId, Count>,
    /// The epoch.
    pub epoch: u64,
    /// The first and the last position of the journal; `None` where it is empty.
    pub journal: Option<(Position, Position)>,
    /// The first [`limits::VERIFY_ENTRIES`].
    pub findings: Vec<Finding>,
    /// How many there were beyond those.
    pub omitted: u64,
}

impl Report {
    /// Rows and bytes of all tables.
    #[must_use]
    pub fn total(&self) -> Count {
        let add = |sum: Count, count: &Count| Count { rows: sum.rows + count.rows, bytes: sum.bytes + count.bytes };
        self.tables.values().fold(Count::default(), add)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, place: Place, what: impl Into<String>) {
        if self.findings.len() < limits::VERIFY_ENTRIES {
            self.findings.push(Finding { place, what: what.into() });
        } else {
            self.omitted += 1;
        }
    }
}

/// Reads every row of `engine`: keys, checksums, the forms of the engine's own rows; the journal in order and without holes
/// but at the beginning of an epoch. `progress` is told the sum so far after each page.
///
/// Others may write meanwhile: what they change is seen as it was or as it is.
///
/// # Errors
/// `Unavailable` and `Busy`. `Corrupt` is a finding.
pub async fn verify(engine: &dyn Engine, progress: &mut (dyn FnMut(Count) + Send)) -> Result<Report, EngineError> {
    let newest = engine.position().await?;
    let mut reading = Reading { engine, progress, report: Report::default(), journal: Journal::default() };
    reading.epoch().await?;
    for pattern in AccessPattern::ALL {
        reading.forwards(whole(pattern)).await?;
    }
    let Reading { mut report, journal, .. } = reading;
    report.journal = journal.end(newest, &mut |place, what| report.find(place, what));
    Ok(report)
}

/// Every key of a pattern.
fn whole(pattern: AccessPattern) -> ScanRange {
    let from = Key::build(TableId::new(pattern, 0), 0).key();
    let last = Key::build(TableId::new(pattern, 0xfff), u64::MAX).key();
    ScanRange::new(from, last.after_prefix())
}

/// Rows of the next page after one that could not be read.
fn fewer(rows: usize) -> usize {
    (rows / 16).max(1)
}

/// Whether there is a row under `key` that cannot be read.
async fn is_corrupt(engine: &dyn Engine, key: &Key) -> Result<bool, EngineError> {
    match engine.get_many(Position::ZERO, std::slice::from_ref(key)).await {
        Ok(_) => Ok(false),
        Err(EngineError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

struct Reading<'a> {
    engine: &'a dyn Engine,
    progress: &'a mut (dyn FnMut(Count) + Send),
    report: Report,
    journal: Journal,
}

impl Reading<'_> {
    async fn epoch(&mut self) -> Result<(), EngineError> {
        let cells = match self.engine.get_many(Position::ZERO, &[system::epoch_key()]).await {
            Ok(cells) => cells,
            // The scan finds it.
            Err(EngineError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let cell = cells.into_iter().flatten().next();
        self.report.epoch = cell.as_ref().map_or(0, |cell| cell.version);
        self.journal = Journal::new(system::epochs(cell.as_ref()).unwrap_or_default());
        Ok(())
    }

    /// Reads `range` in order. Around a corrupt row it goes on; where the storage cannot be read at all it goes on from the
    /// other end.
    async fn forwards(&mut self, range: ScanRange) -> Result<(), EngineError> {
        let mut left = vec![range];
        let mut rows = limits::PAGE_ROWS;
        let mut behind = None;
        while let Some(range) = left.pop() {
            match self.engine.scan(Position::ZERO, &range, PageLimit::rows(rows)).await {
                Ok(page) => {
                    self.rows(&page.rows, true);
                    left.extend(page.resume.map(|resume| range.resumed(resume)));
                }
                Err(EngineError::Corrupt { key, what }) if key > range.from && key < range.to => {
                    self.corrupt(&key, what);
                    left.push(ScanRange::new(key.successor(), range.to));
                    left.push(ScanRange::new(range.from, key));
                }
                // The first row, or no row at all: a block of the storage somewhere on the page. Smaller pages tell.
                Err(EngineError::Corrupt { .. }) if rows > 1 => {
                    rows = fewer(rows);
                    left.push(range);
                }
                Err(EngineError::Corrupt { key, what }) => {
                    if behind.as_ref() != Some(&range.from) && is_corrupt(self.engine, &range.from).await? {
                        self.corrupt(&key, what);
                        behind = Some(range.from.successor());
                        left.push(ScanRange::new(range.from.successor(), range.to));
                        continue;
                    }
                    self.report.find(Place::From(range.from.clone()), what);
                    self.journal.lose_track();
                    self.backwards(range.descending()).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads `range` from its end as far as it can be read.
    async fn backwards(&mut self, range: ScanRange) -> Result<(), EngineError> {
        let mut left = Some(range);
        let mut rows = limits::PAGE_ROWS;
        while let Some(range) = left.take() {
            match self.engine.scan(Position::ZERO, &range, PageLimit::rows(rows)).await {
                Ok(page) => {
                    self.rows(&page.rows, false);
                    left = page.resume.map(|resume| range.resumed(resume));
                }
                Err(EngineError::Corrupt { .. }) if rows > 1 => {
                    rows = fewer(rows);
                    left = Some(range);
                }
                Err(EngineError::Corrupt { key, what }) if key > range.from && key < range.to => {
                    self.corrupt(&key, what);
                    left = Some(ScanRange::new(range.from, key).descending());
                }
                Err(EngineError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn corrupt(&mut self, key: &Key, what: String) {
        if key.table() == system::JOURNAL {
            self.journal.corrupt(key);
        }
        self.report.find(Place::Row(key.clone()), what);
    }

    fn rows(&mut self, rows: &[(Key, Cell)], in_order: bool) {
        for (key, cell) in rows {
            if let Err(what) = self.row(key, cell, in_order) {
                self.report.find(Place::Row(key.clone()), what);
            }
        }
        (self.progress)(self.report.total());
    }

    fn row(&mut self, key: &Key, cell: &Cell, in_order: bool) -> Result<(), String> {
        check_key(key).map_err(|error| error.to_string())?;
        let form = |error: EngineError| match error {
            EngineError::Corrupt { what, .. } => what,
            other => other.to_string(),
        };
        match key.table() {
            system::JOURNAL => {
                let report = &mut self.report;
                self.journal.row(key, cell, in_order, &mut |place, what| report.find(place, what)).map_err(form)?;
            }
            system::LEASES => lease::read(key, cell).map(|_| ()).map_err(form)?,
            system::SYSTEM if *key == system::epoch_key() => {
                let ended = system::epochs(Some(cell)).map_err(form)?;
                if ended.last().is_none_or(|ended| ended.epoch >= cell.version) {
                    return Err("the epoch does not follow the one that ended".into());
                }
            }
            _ => {}
        }
        let count = self.report.tables.entry(key.table()).or_default();
        count.rows += 1;
        count.bytes += (key.as_bytes().len() + cell.payload.len()) as u64;
        Ok(())
    }
}
