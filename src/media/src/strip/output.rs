//! What is kept of a file.

use std::borrow::Cow;
use std::ops::Range;

/// The file that is made of parts of another. As long as they are its beginning nothing is copied; then there is one copy, not larger than
/// the file, however many parts there are.
pub(super) struct Output<'a> {
    source: &'a [u8],
    /// Bytes at the beginning of the source that were kept, while nothing differs.
    same: usize,
    made: Option<Vec<u8>>,
}

impl<'a> Output<'a> {
    pub(super) fn of(source: &'a [u8]) -> Self {
        Self { source, same: 0, made: None }
    }

    pub(super) fn len(&self) -> usize {
        self.made.as_ref().map_or(self.same, Vec::len)
    }

    /// Keeps a part of the source.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        if self.made.is_none() && range.start == self.same {
            self.same = range.end;
        } else if let Some(part) = self.source.get(range) {
            self.made().extend_from_slice(part);
        }
    }

    /// Adds what is not part of the source.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let is_next = self.source.get(self.same..).is_some_and(|rest| rest.starts_with(bytes));
        if self.made.is_none() && is_next {
            self.same += bytes.len();
        } else {
            self.made().extend_from_slice(bytes);
        }
    }

    /// Overwrites what was kept.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let range = at..at + bytes.len();
        if self.made.is_none() && self.source.get(range.clone()) == Some(bytes) {
            return;
        }
        if let Some(old) = self.made().get_mut(range) {
            old.copy_from_slice(bytes);
        }
    }

    pub(super) fn finish(self) -> Cow<'a, [u8]> {
        match self.made {
            Some(made) => Cow::Owned(made),
            None => Cow::Borrowed(self.source.get(..self.same).unwrap_or_default()),
        }
    }

    fn made(&mut self) -> &mut Vec<u8> {
        self.made.get_or_insert_with(|| {
            let mut made = Vec::with_capacity(self.source.len());
            made.extend_from_slice(self.source.get(..self.same).unwrap_or_default());
            made
        })
    }
}
