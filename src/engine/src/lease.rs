//! Leases: work that one node at a time does. A lease row's version is the fencing number; a batch of the holder asserts it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Cell, EngineError, Key, batch::check_key};

/// Takes, renews or gives back a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Its name.
    pub name: String,
    /// Who asks: the incarnation of a node.
    pub owner: u64,
    /// For how long, by the engine's own clock; 0 gives it back.
    pub ttl_ms: u64,
}

/// A lease that the asking owner holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows with each new owner; a renewal keeps it.
    pub fencing: u64,
    /// When it ends, by the engine's own clock.
    pub expires_ms: u64,
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The owner holds it once this payload is written with the fencing number as version.
    Write(Lease, Bytes),
    /// Somebody else holds it, or nothing was to be given back.
    Refuse,
}

const PAYLOAD_BYTES: usize = 17;
const FORMAT: u8 = 1;

/// Decides a request against the lease's row at `now_ms`.
///
/// # Errors
/// [`EngineError::Corrupt`] when the row is not a lease, [`EngineError::Invalid`] when the name is too long for a key.
pub fn decide(key: &Key, row: Option<&Cell>, request: &LeaseRequest, now_ms: u64) -> Result<Decision, EngineError> {
    check_key(key)?;
    let held = row.map(|cell| read(key, cell)).transpose()?;
    let fencing = match held {
        Some((owner, lease)) if owner == request.owner && lease.expires_ms > now_ms => lease.fencing,
        Some((_, lease)) if lease.expires_ms > now_ms => return Ok(Decision::Refuse),
        _ if request.ttl_ms == 0 => return Ok(Decision::Refuse),
        Some((_, lease)) => lease.fencing + 1,
        None => 1,
    };
    let expires_ms = if request.ttl_ms == 0 { 0 } else { now_ms.saturating_add(request.ttl_ms) };
    Ok(Decision::Write(Lease { fencing, expires_ms }, payload(request.owner, expires_ms)))
}

/// What a row says of a lease of `owner` until `expires_ms`; its version is the fencing number.
#[must_use]
pub fn payload(owner: u64, expires_ms: u64) -> Bytes {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES);
    payload.put_u8(FORMAT);
    payload.put_u64(owner);
    payload.put_u64(expires_ms);
    payload.freeze()
}

/// The owner and the lease in a row.
///
/// # Errors
/// [`EngineError::Corrupt`] when the row is not a lease.
pub fn read(key: &Key, cell: &Cell) -> Result<(u64, Lease), EngineError> {
    let payload = &cell.payload;
    if payload.len() != PAYLOAD_BYTES || payload[0] != FORMAT {
        return Err(EngineError::corrupt(key, "not a lease"));
    }
    let number = |at: usize| payload[at..at + 8].iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    Ok((number(1), Lease { fencing: cell.version, expires_ms: number(9) }))
}
