//! Merging a full delta into a base.

use wardstead_limits::rooms as limits;

use super::{Base, ChunkRef, Chunks, Entry};

/// A chunk of the base that comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Shared with the base before.
    Kept(ChunkRef),
    /// To be stored.
    New(Vec<Entry>),
}

/// Ids of the chunks that a merge of `delta` rewrites: the ones to load.
pub(crate) fn touched_chunks(base: &Base, delta: &[Entry]) -> Vec<u64> {
    let mut ids: Vec<u64> = delta.iter().filter_map(|entry| base.chunk_of(entry.key)).collect();
    ids.dedup();
    ids
}

/// `base` with `delta` in it. `chunks` holds those of [`touched_chunks`]; one that is missing there would lose its entries,
/// so that is an error of the caller, told as `None`.
pub(crate) fn merge(base: &Base, chunks: &Chunks, delta: &[Entry]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::with_capacity(base.chunks.len() + 1);
    if base.chunks.is_empty() {
        pieces.extend(split(merged(&[], delta)));
        return Some(pieces);
    }
    let mut rest = delta;
    for (at, chunk) in base.chunks.iter().enumerate() {
        let end =
            base.chunks.get(at + 1).map_or(rest.len(), |next| rest.partition_point(|entry| entry.key < next.first));
        let (mine, later) = rest.split_at(end);
        rest = later;
        if mine.is_empty() {
            pieces.push(Piece::Kept(*chunk));
        } else {
            pieces.extend(split(merged(&chunks.get(&chunk.id)?.entries, mine)));
        }
    }
    Some(pieces)
}

/// `entries` as `delta` changes them, without the absent ones.
fn merged(entries: &[Entry], delta: &[Entry]) -> Vec<Entry> {
    let mut all = Vec::with_capacity(entries.len() + delta.len());
    let mut old = entries.iter().peekable();
    for change in delta {
        while let Some(entry) = old.next_if(|entry| entry.key < change.key) {
            all.push(*entry);
        }
        old.next_if(|entry| entry.key == change.key);
        if change.event != 0 {
            all.push(*change);
        }
    }
    all.extend(old);
    all
}

/// Chunks of equal size, each within its bound.
fn split(entries: Vec<Entry>) -> Vec<Piece> {
    let count = entries.len().div_ceil(limits::SNAPSHOT_CHUNK_ENTRIES);
    if count <= 1 {
        return if entries.is_empty() { Vec::new() } else { vec![Piece::New(entries)] };
    }
    let size = entries.len().div_ceil(count);
    entries.chunks(size).map(|part| Piece::New(part.to_vec())).collect()
}
