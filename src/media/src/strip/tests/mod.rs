//! Files that are built here piece by piece, and files of real cameras.

mod any;
pub(crate) mod build;
mod cameras;
mod gif;
mod jpeg;
mod png;
mod webp;

use bytes::Bytes;

use super::{Kind, Refused, strip};

/// Stands in all that has to go.
const SECRET: &[u8] = b"51.5072N at home";

/// What is left of a file that can be stripped.
fn stripped(bytes: &[u8]) -> Vec<u8> {
    let once = strip("image/jpeg", Bytes::copy_from_slice(bytes)).unwrap();
    assert!(once.kind.content_type().is_some(), "not taken for a picture");
    let twice = strip("application/octet-stream", once.bytes.clone()).unwrap();
    assert_eq!(once, twice, "what was stripped is stripped of more");
    assert_eq!(once.bytes.as_ptr(), twice.bytes.as_ptr(), "what has nothing to strip is copied");
    assert!(!contains(&once.bytes, SECRET), "the secret is still there");
    once.bytes.to_vec()
}

fn refused(bytes: &[u8]) -> Refused {
    strip("image/png", Bytes::copy_from_slice(bytes)).unwrap_err()
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The same pixels, and as many of them.
fn assert_same_pixels(one: &[u8], other: &[u8]) {
    let decoded = |bytes| image::load_from_memory(bytes).unwrap();
    assert!(decoded(one) == decoded(other), "the pixels differ");
}

/// No part of a file, from its beginning, is taken for a whole picture.
fn assert_cut_off_is_refused(whole: &[u8], kind: Kind) {
    let end = whole.len() - 1;
    // From where on it is known what it is to be.
    for length in 16..=end {
        assert_eq!(refused(&whole[..length]), Refused::CutOff(kind), "{length} of {} bytes", whole.len());
    }
}
