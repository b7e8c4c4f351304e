//! Tokens that clients carry: opaque, with a format byte and a MAC, at most [`limits::TOKEN_CHARS`] characters.
//!
//! Three kinds with distinct first letters: `s` a position (sync), `t` a place in a room's timeline, `p` a page of a list.
//! A valid MAC, under a key kept in the engine, is the proof of issue: no row is kept for a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wardstead_engine::Position;
use wardstead_limits::store as limits;

/// A `since` and `next_batch` of sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncToken {
    /// The epoch in which it was issued.
    pub epoch: u32,
    /// Everything up to here was sent.
    pub position: Position,
    /// Digest of the typing users that were sent.
    pub typing: u32,
    /// Unix second of the last answer with only ephemeral news.
    pub ephemeral_s: u32,
    /// Unix second up to which presence was sent.
    pub presence_s: u32,
    /// Short id of the user.
    pub user: u64,
    /// Short id of the device.
    pub device: u64,
    /// Where the to-device section was cut by its page.
    pub to_device: Option<Position>,
    /// Of a sliding sync: which answer it is the token of. Of what was sent up to its position that answer's connection knows.
    pub sliding: Option<SlidingPos>,
}

/// An answer of a sliding sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlidingPos {
    /// The run of a connection, from an answer without a token on.
    pub run: u64,
    /// Its number, which grows along the run.
    pub number: u64,
    /// Tells it from others with the same number.
    pub id: u64,
}

/// A place between two events of a room's timeline: just after the event with this timeline key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineToken {
    /// Short id of the room.
    pub room: u64,
    /// Depth of the event before the place.
    pub depth: u64,
    /// Order of the event before the place.
    pub order: i64,
}

/// Where the next page of a list starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// Which list; the numbers are the lists' own.
    pub list: u16,
    /// What the list needs to go on, at most [`PAGE_KEY_BYTES`].
    pub key: Vec<u8>,
}

/// Any token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// `s…`
    Sync(SyncToken),
    /// `t…`
    Timeline(TimelineToken),
    /// `p…`
    Page(PageToken),
}

/// The text is not a token that this server issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this server")]
pub struct TokenError;

/// Bytes of a [`PageToken::key`].
pub const PAGE_KEY_BYTES: usize = 72;

const FORMAT: u8 = 1;
const MAC_BYTES: usize = 8;
const SLIDING_BYTES: usize = size_of::<[u64; 3]>();

/// Writes and reads tokens. Every node of an installation has the same key.
#[derive(Clone)]
pub struct TokenCodec {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for TokenCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCodec")
    }
}

impl TokenCodec {
    /// A codec under `key`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC takes keys of any length, so the error cannot occur; an empty key would verify nothing issued here.
        let mac =
            Hmac::new_from_slice(key).unwrap_or_else(|_| <Hmac<Sha256> as hmac::digest::KeyInit>::new(&[0; 64].into()));
        Self { mac }
    }

    /// The text of a token.
    #[must_use]
    pub fn write(&self, token: &Token) -> String {
        let (prefix, body) = match token {
            Token::Sync(token) => ('s', write_sync(token)),
            Token::Timeline(token) => ('t', write_timeline(*token)),
            Token::Page(token) => ('p', write_page(token)),
        };
        let mut bytes = body;
        bytes.extend_from_slice(&self.tag(prefix, &bytes));
        let mut text = String::with_capacity(limits::TOKEN_CHARS);
        text.push(prefix);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// Reads any token.
    ///
    /// # Errors
    /// [`TokenError`] when this installation did not issue the text.
    pub fn read(&self, text: &str) -> Result<Token, TokenError> {
        let prefix = text.chars().next().filter(|_| text.len() <= limits::TOKEN_CHARS).ok_or(TokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(&text[prefix.len_utf8()..]).map_err(|_| TokenError)?;
        let body_bytes = bytes.len().checked_sub(MAC_BYTES).ok_or(TokenError)?;
        let (body, tag) = bytes.split_at(body_bytes);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&self.tag(prefix, body)[..], tag)) {
            return Err(TokenError);
        }
        let mut reader = Reader(body);
        if reader.take::<1>()? != [FORMAT] {
            return Err(TokenError);
        }
        match prefix {
            's' => reader.sync().map(Token::Sync),
            't' => reader.timeline().map(Token::Timeline),
            'p' => reader.page().map(Token::Page),
            _ => Err(TokenError),
        }
    }

    /// Reads a sync token.
    ///
    /// # Errors
    /// [`TokenError`] for another kind too.
    pub fn read_sync(&self, text: &str) -> Result<SyncToken, TokenError> {
        match self.read(text)? {
            Token::Sync(token) => Ok(token),
            Token::Timeline(_) | Token::Page(_) => Err(TokenError),
        }
    }

    fn tag(&self, prefix: char, body: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(&[u8::try_from(prefix).unwrap_or_default()]);
        mac.update(body);
        let full = mac.finalize().into_bytes();
        std::array::from_fn(|at| full[at])
    }
}

fn write_sync(token: &SyncToken) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&token.epoch.to_be_bytes());
    bytes.extend_from_slice(&token.position.0.to_be_bytes());
    for number in [token.typing, token.ephemeral_s, token.presence_s] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&token.user.to_be_bytes());
    bytes.extend_from_slice(&token.device.to_be_bytes());
    if let Some(position) = token.to_device {
        bytes.extend_from_slice(&position.0.to_be_bytes());
    }
    if let Some(SlidingPos { run, number, id }) = token.sliding {
        for number in [run, number, id] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
    bytes
}

fn write_timeline(token: TimelineToken) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&token.room.to_be_bytes());
    bytes.extend_from_slice(&token.depth.to_be_bytes());
    bytes.extend_from_slice(&token.order.to_be_bytes());
    bytes
}

fn write_page(token: &PageToken) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&token.list.to_be_bytes());
    bytes.extend_from_slice(&token.key[..token.key.len().min(PAGE_KEY_BYTES)]);
    bytes
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let (part, rest) = self.0.split_first_chunk().ok_or(TokenError)?;
        self.0 = rest;
        Ok(*part)
    }

    fn u32(&mut self) -> Result<u32, TokenError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, TokenError> {
        self.take().map(u64::from_be_bytes)
    }

    fn end<T>(self, token: T) -> Result<T, TokenError> {
        if self.0.is_empty() { Ok(token) } else { Err(TokenError) }
    }

    fn sync(mut self) -> Result<SyncToken, TokenError> {
        let token = SyncToken {
            epoch: self.u32()?,
            position: Position(self.u64()?),
            typing: self.u32()?,
            ephemeral_s: self.u32()?,
            presence_s: self.u32()?,
            user: self.u64()?,
            device: self.u64()?,
            // The lengths tell the two apart.
            to_device: if self.0.len().is_multiple_of(SLIDING_BYTES) { None } else { Some(Position(self.u64()?)) },
            sliding: if self.0.is_empty() { None } else { Some(self.sliding()?) },
        };
        self.end(token)
    }

    fn sliding(&mut self) -> Result<SlidingPos, TokenError> {
        Ok(SlidingPos { run: self.u64()?, number: self.u64()?, id: self.u64()? })
    }

    fn timeline(mut self) -> Result<TimelineToken, TokenError> {
        let token = TimelineToken { room: self.u64()?, depth: self.u64()?, order: self.u64()?.cast_signed() };
        self.end(token)
    }

    fn page(mut self) -> Result<PageToken, TokenError> {
        let list = u16::from_be_bytes(self.take()?);
        Ok(PageToken { list, key: self.0.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> [Token; 6] {
        let sync = SyncToken {
            epoch: u32::MAX,
            position: Position(u64::MAX),
            typing: 1,
            ephemeral_s: 2,
            presence_s: 3,
            user: u64::MAX,
            device: 5,
            to_device: None,
            sliding: None,
        };
        let sliding = Some(SlidingPos { run: u64::MAX, number: 1, id: u64::MAX });
        [
            Token::Sync(sync),
            Token::Sync(SyncToken { to_device: Some(Position(7)), ..sync }),
            Token::Sync(SyncToken { sliding, ..sync }),
            Token::Sync(SyncToken { to_device: Some(Position(7)), sliding, ..sync }),
            Token::Timeline(TimelineToken { room: 1, depth: u64::MAX, order: i64::MIN }),
            Token::Page(PageToken { list: 9, key: vec![255; PAGE_KEY_BYTES] }),
        ]
    }

    #[test]
    fn round_trips_within_the_length_and_with_distinct_prefixes() {
        let codec = TokenCodec::new(&[1; 32]);
        for (token, prefix) in tokens().iter().zip(['s', 's', 's', 's', 't', 'p']) {
            let text = codec.write(token);
            assert!(text.starts_with(prefix) && text.len() <= limits::TOKEN_CHARS, "{text}");
            assert_eq!(codec.read(&text).as_ref(), Ok(token));
        }
    }

    /// Any changed character, another key, another kind's letter: refused.
    #[test]
    fn refuses_what_was_not_issued() {
        let codec = TokenCodec::new(&[1; 32]);
        for token in tokens() {
            let text = codec.write(&token);
            assert_eq!(TokenCodec::new(&[2; 32]).read(&text), Err(TokenError));
            for at in 0..text.len() {
                let mut other = text.clone().into_bytes();
                other[at] = if other[at] == b'A' { b'B' } else { b'A' };
                let other = String::from_utf8(other).unwrap();
                assert_eq!(codec.read(&other), Err(TokenError), "{other}");
            }
            assert_eq!(codec.read(&text[..text.len() - 2]), Err(TokenError));
        }
        for text in ["", "s", "t", "é", "s é", "s====", &"s".repeat(4_000)] {
            assert_eq!(codec.read(text), Err(TokenError), "{text}");
        }
    }

    #[test]
    fn a_timeline_token_is_no_sync_token() {
        let codec = TokenCodec::new(&[1; 32]);
        let [.., timeline, page] = tokens();
        assert_eq!(codec.read_sync(&codec.write(&timeline)), Err(TokenError));
        assert_eq!(codec.read_sync(&codec.write(&page)), Err(TokenError));
    }
}
