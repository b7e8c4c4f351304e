//! A place in a file that is read forwards, once.

use std::ops::Range;

use super::{Kind, Refused};

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    kind: Kind,
}

impl<'a> Reader<'a> {
    pub(super) fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, kind }
    }

    /// Where the next byte stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A reader of a range that was taken before, with the same places.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let at = range.start.min(self.bytes.len());
        Self { bytes: self.bytes.get(..range.end).unwrap_or(self.bytes), at, kind: self.kind }
    }

    /// Goes back to where it was.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The bytes of a range that was taken before.
    pub(super) fn get(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The next byte, which stays the next one.
    pub(super) fn peek(&self) -> Result<u8, Refused> {
        self.bytes.get(self.at).copied().ok_or(Refused::CutOff(self.kind))
    }

    /// Where the next `count` bytes stand; what follows them is next.
    pub(super) fn take(&mut self, count: usize) -> Result<Range<usize>, Refused> {
        let end =
            self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(Refused::CutOff(self.kind))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let range = self.take(N)?;
        self.get(range).try_into().map_err(|_| Refused::CutOff(self.kind))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Refused> {
        Ok(self.array::<1>()?[0])
    }

    /// Goes on at the next byte of this value, or at the end.
    pub(super) fn skip_to(&mut self, value: u8) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == value).unwrap_or(rest.len());
    }
}
