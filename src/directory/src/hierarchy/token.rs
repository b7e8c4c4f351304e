//! The token of a page: a place in the walk, and the question that it belongs to.

use wardstead_store::{PageToken, Token, TokenCodec};

use crate::{DirectoryError, lists};

/// What was asked, but for the size of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Short id of the space.
    pub(super) root: u64,
    /// Short id of who asks.
    pub(super) user: u64,
    pub(super) max_depth: u32,
    pub(super) suggested: bool,
}

/// Where the page before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Short id of its last room.
    pub(super) after: u64,
    /// Rooms up to that one, itself included.
    pub(super) count: u32,
}

impl Question {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.suggested)];
        bytes.extend_from_slice(&self.max_depth.to_be_bytes());
        bytes.extend_from_slice(&self.root.to_be_bytes());
        bytes.extend_from_slice(&self.user.to_be_bytes());
        bytes
    }

    pub(super) fn write(self, tokens: &TokenCodec, place: Place) -> String {
        let mut key = self.bytes();
        key.extend_from_slice(&place.after.to_be_bytes());
        key.extend_from_slice(&place.count.to_be_bytes());
        tokens.write(&Token::Page(PageToken { list: lists::HIERARCHY, key }))
    }

    /// # Errors
    /// `InvalidParam` for a token that was not issued for this question.
    pub(super) fn read(self, tokens: &TokenCodec, text: &str) -> Result<Place, DirectoryError> {
        let read = || {
            let Ok(Token::Page(PageToken { list: lists::HIERARCHY, key })) = tokens.read(text) else { return None };
            let place = key.strip_prefix(&self.bytes()[..])?;
            let (after, count) = place.split_first_chunk()?;
            Some(Place { after: u64::from_be_bytes(*after), count: u32::from_be_bytes(count.try_into().ok()?) })
        };
        let invalid = "from is no token of this space, max_depth, suggested_only and user.";
        read().ok_or(DirectoryError::InvalidParam(invalid))
    }
}
