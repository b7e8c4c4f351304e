//! The content envelope: event content, account data and media metadata lie in it and nowhere else, so that destroying a
//! key is a deletion that reaches backups.

use bytes::{BufMut, Bytes, BytesMut};

/// `{format u8, key_id u32, bytes}`. `key_id` 0 is plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope(pub Bytes);

/// The bytes are not an envelope that this program can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown content envelope")]
pub struct UnknownEnvelope;

const FORMAT: u8 = 1;
const PLAIN: u32 = 0;
const HEADER_BYTES: usize = 5;

impl Envelope {
    /// Content that is stored as it is.
    #[must_use]
    pub fn plain(content: impl Into<Bytes>) -> Self {
        Self(content.into())
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + self.0.len());
        bytes.put_u8(FORMAT);
        bytes.put_u32(PLAIN);
        bytes.put_slice(&self.0);
        bytes.freeze()
    }

    /// Opens stored bytes; the content shares them.
    ///
    /// # Errors
    /// [`UnknownEnvelope`].
    pub fn decode(bytes: &Bytes) -> Result<Self, UnknownEnvelope> {
        let header = bytes.get(..HEADER_BYTES).ok_or(UnknownEnvelope)?;
        if header[0] != FORMAT || header[1..] != PLAIN.to_be_bytes() {
            return Err(UnknownEnvelope);
        }
        Ok(Self(bytes.slice(HEADER_BYTES..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_closed_and_nothing_else() {
        let stored = Envelope::plain("{}").encode();
        assert_eq!(stored[..5], [1, 0, 0, 0, 0]);
        assert_eq!(Envelope::decode(&stored), Ok(Envelope::plain("{}")));
        for (at, byte) in [(0, 2), (4, 1)] {
            let mut other = stored.to_vec();
            other[at] = byte;
            assert_eq!(Envelope::decode(&other.into()), Err(UnknownEnvelope));
        }
        assert_eq!(Envelope::decode(&Bytes::from_static(&[1, 0, 0])), Err(UnknownEnvelope));
    }
}
