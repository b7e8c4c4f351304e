//! Reads an object, or a part of it, as fast as it is taken.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{GetOptions, GetRange, GetResultPayload};
use wardstead_limits::media as limits;

use super::{Object, ObjectError, Objects, PLAIN, Sealer, TAG_BYTES, chunks, location, stored_bytes};

/// The bytes of a file, in order.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, ObjectError>>;

const CHUNK: u64 = limits::CHUNK_BYTES as u64;

/// Where the bytes come from.
enum Source {
    /// A file on this machine, and from where on it is read.
    File(Arc<File>, u64),
    /// Somewhere else, and what came of it and was not used.
    Stream(BoxStream<'static, object_store::Result<Bytes>>, BytesMut),
}

/// A read that is under way.
struct Reading {
    source: Source,
    sealer: Option<Arc<Sealer>>,
    /// The chunk that comes next, and the one at which the read ends.
    next: u64,
    end: u64,
    /// Chunks of the object.
    chunks: u64,
    /// Bytes of the file in the object.
    bytes: u64,
    /// What is wanted of the file.
    range: Range<u64>,
}

impl Objects {
    /// The bytes `range` of the file in `object`. What is asked for lies in the file.
    ///
    /// # Errors
    /// Where it cannot be opened. What is wrong further on is told in its place.
    pub(crate) async fn read(&self, object: &Object, range: Range<u64>) -> Result<Pieces, ObjectError> {
        let sealer = self.sealer(object.key, &object.name)?.map(Arc::new);
        let (first, end) = (range.start / CHUNK, range.end.div_ceil(CHUNK).max(range.start / CHUNK + 1));
        let chunk = CHUNK + if object.key == PLAIN { 0 } else { TAG_BYTES as u64 };
        let stored = stored_bytes(object.key, object.bytes);
        // Of an empty file the one chunk that says so is read.
        if stored == 0 || (range.is_empty() && object.bytes > 0) {
            return Ok(stream::empty().boxed());
        }
        let asked = first * chunk..(end * chunk).min(stored);
        let options = GetOptions { range: Some(GetRange::Bounded(asked.clone())), ..GetOptions::default() };
        let got = match self.store.get_opts(&location(&object.name), options).await {
            Err(object_store::Error::NotFound { .. }) => return Err(ObjectError::Damaged("it is not there")),
            got => got?,
        };
        if got.meta.size != stored {
            return Err(ObjectError::Damaged("it has another length"));
        }
        let source = match got.payload {
            GetResultPayload::File(file, _) => Source::File(Arc::new(file), asked.start),
            GetResultPayload::Stream(stream) => Source::Stream(stream, BytesMut::new()),
        };
        let chunks = chunks(object.bytes);
        let reading = Reading { source, sealer, next: first, end, chunks, bytes: object.bytes, range };
        Ok(stream::try_unfold(reading, Reading::step)
            .try_filter(|piece| futures::future::ready(!piece.is_empty()))
            .boxed())
    }
}

impl Reading {
    /// The next piece.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, ObjectError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let (first, upto) = (self.next, self.end.min(self.next + self.at_once()));
        let tag = if self.sealer.is_some() { TAG_BYTES as u64 } else { 0 };
        let last = self.bytes.saturating_sub(first * CHUNK).min((upto - first) * CHUNK);
        let stored =
            usize::try_from(last + (upto - first) * tag).map_err(|_| ObjectError::Damaged("it is too long"))?;
        let (sealer, chunks) = (self.sealer.clone(), self.chunks);
        let piece = match &mut self.source {
            Source::File(file, at) => {
                let (file, from) = (Arc::clone(file), *at);
                *at += stored as u64;
                let reading = move || {
                    let mut buffer = vec![0; stored];
                    read_exact(&file, &mut buffer, from)?;
                    opened(sealer.as_deref(), buffer, first, chunks)
                };
                tokio::task::spawn_blocking(reading).await??
            }
            Source::Stream(stream, held) => {
                while held.len() < stored {
                    let more = stream.next().await.ok_or(ObjectError::Damaged("it ends early"))??;
                    held.extend_from_slice(&more);
                }
                opened(sealer.as_deref(), held.split_to(stored).to_vec(), first, chunks)?
            }
        };
        self.next = upto;
        Ok(Some((cut(&piece, first * CHUNK, &self.range), self)))
    }

    /// Chunks that are read together.
    fn at_once(&self) -> u64 {
        match self.source {
            Source::File(..) => (limits::READ_BYTES / limits::CHUNK_BYTES) as u64,
            Source::Stream(..) => 1,
        }
    }
}

fn read_exact(file: &File, buffer: &mut [u8], from: u64) -> Result<(), ObjectError> {
    file.read_exact_at(buffer, from).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ObjectError::Damaged("it ends early"),
        _ => error.into(),
    })
}

/// Decrypts the chunks in `buffer`, of which the first is number `first`, of the `chunks` of the object.
fn opened(sealer: Option<&Sealer>, mut buffer: Vec<u8>, first: u64, chunks: u64) -> Result<Bytes, ObjectError> {
    let Some(sealer) = sealer else { return Ok(buffer.into()) };
    let (mut from, mut to, mut number) = (0, 0, first);
    while from < buffer.len() {
        let end = buffer.len().min(from + limits::CHUNK_BYTES + TAG_BYTES);
        let opened = sealer.open(number, number + 1 == chunks, &mut buffer[to..end], from - to);
        to += opened.map_err(|_| ObjectError::Damaged("a chunk does not open"))?;
        (from, number) = (end, number + 1);
    }
    buffer.truncate(to);
    Ok(buffer.into())
}

/// What of `piece`, which begins at `at` in the file, lies in `range`.
fn cut(piece: &Bytes, at: u64, range: &Range<u64>) -> Bytes {
    let within = |place: u64| usize::try_from(place.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
    let (from, to) = (within(range.start), within(range.end));
    piece.slice(from..to.max(from))
}
