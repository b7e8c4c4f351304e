//! What the client of a connection has, by the answers that it got.
//!
//! Of a connection two states are known: that of the answer that the client said it has, and what the last answer changed of that. A
//! token names its answer. Where that is one of the two, the state is exactly what the client has, wherever it was found. Where it is
//! neither (the node that gave the answer was killed before the state was written), the newest one before it is what the client has at
//! least, and what changed since then is told again from the start.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache};
use wardstead_engine::{Batch, EngineError, Expect, Key, KeyReader, Losing, ScanRange, Urgency};
use wardstead_limits::sliding as limits;
use wardstead_store::{Found, SlidingPos, Store, StoreError};

use super::tables::{CONNECTIONS, ConnectionRow, Entry, Generation, ROOMS, RoomRow};

/// What a client has of rooms, by their short ids.
pub(super) type Rooms = HashMap<u64, Entry>;

/// What an answer changes of that; `None`: the client has the room no more.
pub(super) type Delta = BTreeMap<u64, Option<Entry>>;

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) device: u64,
    /// Hash of its name.
    pub(super) connection: u64,
}

impl Name {
    pub(super) fn new(device: u64, conn_id: Option<&str>) -> Self {
        // Stored: FNV-1a, the same on every node and in every version.
        let bytes = conn_id.map_or(&b"\0"[..], str::as_bytes);
        let connection = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Self { device, connection }
    }

    fn key(self) -> Key {
        CONNECTIONS.key(self.device).u64(self.connection).key()
    }

    fn room_key(self, room: u64) -> Key {
        ROOMS.key(self.device).u64(self.connection).u64(room).key()
    }

    fn rooms(self) -> ScanRange {
        ScanRange::prefix(ROOMS.key(self.device).u64(self.connection).key())
    }

    /// For what is remembered by one number.
    pub(super) fn hash(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_into(&mut hasher);
        hasher.finish() | 1 << 63
    }

    fn hash_into(self, hasher: &mut DefaultHasher) {
        (self.device, self.connection).hash(hasher);
    }
}

/// As it was read or written last.
#[derive(Clone, Debug)]
struct Connection {
    run: u64,
    /// The version of its row once everything that is queued is committed; 0: there is none.
    version: u64,
    has: Generation,
    rooms: Arc<Rooms>,
    last: Option<(Generation, Arc<Delta>)>,
    /// A write did not come through: another node has written.
    lost: Arc<AtomicBool>,
}

/// What a client has, as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) generation: Generation,
    pub(super) rooms: Arc<Rooms>,
    /// That is what the client has. Otherwise it has that at least.
    pub(super) exact: bool,
    run: u64,
    /// The number of the answer that the client has.
    number: u64,
}

impl Base {
    /// The number by which a token names the answer.
    pub(super) fn pos(&self, generation: &Generation) -> SlidingPos {
        SlidingPos { run: self.run, number: generation.number, id: generation.id }
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Name, Known> for Bytes {
    fn weight(&self, _: &Name, known: &Known) -> u64 {
        known.bytes
    }
}

/// A connection, and what it weighed when it was remembered.
#[derive(Clone)]
struct Known {
    connection: Arc<Mutex<Connection>>,
    bytes: u64,
}

impl From<Arc<Mutex<Connection>>> for Known {
    fn from(connection: Arc<Mutex<Connection>>) -> Self {
        let rooms = {
            let connection = connection.lock();
            connection.rooms.len() + connection.last.as_ref().map_or(0, |(_, delta)| delta.len())
        };
        Self { connection, bytes: 256 + limits::CONNECTION_ROOM_BYTES * rooms as u64 }
    }
}

/// The connections that this node served.
pub(crate) struct Connections {
    store: Store,
    known: Cache<Name, Known, Bytes>,
}

impl Connections {
    pub(crate) fn new(store: Store) -> Self {
        let items = usize::try_from(limits::CONNECTION_CACHE_BYTES / 4_096).unwrap_or(usize::MAX);
        Self { store, known: Cache::with_weighter(items, limits::CONNECTION_CACHE_BYTES, Bytes) }
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        ("sliding_connections", self.known.weight(), self.known.capacity())
    }

    /// What a client has that comes with the token of the answer `pos`, and so has that answer; without one it has nothing. `None`:
    /// nothing is known of the run. That of an answer of a moment ago may not be written yet: then it is taken to have nothing.
    pub(super) async fn base(
        &self,
        name: Name,
        pos: Option<SlidingPos>,
        fresh: bool,
    ) -> Result<Option<Base>, StoreError> {
        let Some(pos) = pos else { return self.begin(name, None).await.map(Some) };
        self.renew(name);
        if let Some(known) = self.known.get(&name) {
            let base = self.base_of(name, &mut known.connection.lock(), pos);
            if let Some(base) = base.filter(|base| base.exact) {
                return Ok(Some(base));
            }
        }
        if let Some(mut read) = self.read(name).await?
            && let Some(base) = self.base_of(name, &mut read, pos)
        {
            self.known.insert(name, Arc::new(Mutex::new(read)).into());
            return Ok(Some(base));
        }
        if fresh { self.begin(name, Some(pos)).await.map(Some) } else { Ok(None) }
    }

    /// The client has the answer `pos`: what was before it is let go.
    fn base_of(&self, name: Name, connection: &mut Connection, pos: SlidingPos) -> Option<Base> {
        let named = |generation: &Generation| (generation.number, generation.id) == (pos.number, pos.id);
        if connection.run != pos.run {
            return None;
        }
        if let Some((last, delta)) = connection.last.clone().filter(|(last, _)| named(last)) {
            apply(&mut connection.rooms, &delta);
            (connection.has, connection.last) = (last, None);
            self.acknowledge(name, connection);
        }
        let exact = named(&connection.has) && connection.has.number > 0;
        // Of an answer before the one that it has, nobody knows any more what it was.
        let known = exact || pos.number > connection.has.number;
        let Connection { run, has: generation, rooms, .. } = connection;
        known.then(|| Base { generation: *generation, rooms: Arc::clone(rooms), exact, run: *run, number: pos.number })
    }

    /// A run begins, or that of `pos` again; what there was under the name counts no more once its first answer is written.
    async fn begin(&self, name: Name, pos: Option<SlidingPos>) -> Result<Base, StoreError> {
        let known = self.known.get(&name).map(|known| {
            let known = known.connection.lock();
            (known.version, known.number(), known.lost.load(Ordering::Acquire))
        });
        let (version, number) = if let Some((version, number, false)) = known {
            (version, number)
        } else {
            let found = self.store.get(&CONNECTIONS, &name.key()).await?;
            found.map_or((0, 0), |found| (found.version, found.row.last.unwrap_or(found.row.has).number))
        };
        if version == 0 {
            self.make_place(name).await?;
        }
        let run = pos.map_or_else(|| self.store.rng().next_u64(), |pos| pos.run);
        let number = pos.map_or(number, |pos| pos.number.max(number));
        let has = Generation { number, ..Generation::default() };
        let connection = Connection { run, version, has, rooms: Arc::default(), last: None, lost: Arc::default() };
        let base = Base { generation: has, rooms: Arc::default(), exact: pos.is_none(), run, number };
        self.known.insert(name, Arc::new(Mutex::new(connection)).into());
        Ok(base)
    }

    /// Removes the connection of the device that was not used for the longest time, where there are too many.
    async fn make_place(&self, name: Name) -> Result<(), StoreError> {
        let all = self.store.scan_all(&CONNECTIONS, ScanRange::scope(CONNECTIONS.id(), name.device)).await?;
        if all.len() < limits::DEVICE_CONNECTIONS {
            return Ok(());
        }
        let Some(oldest) = all.iter().min_by_key(|found| found.row.used_ms) else { return Ok(()) };
        let connection = KeyReader::new(&oldest.key).u64();
        let connection = connection.ok_or_else(|| EngineError::corrupt(&oldest.key, "no connection in the key"))?;
        let oldest = Name { connection, ..name };
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        let rooms = oldest.rooms();
        batch.delete_range(rooms.from, rooms.to);
        batch.delete(oldest.key());
        self.store.submit(batch)?;
        self.known.remove(&oldest);
        Ok(())
    }

    async fn read(&self, name: Name) -> Result<Option<Connection>, StoreError> {
        // In this order: a write between the two is seen in the rows, with a number that the row before does not know.
        let Some(Found { row, version, .. }) = self.store.get(&CONNECTIONS, &name.key()).await? else {
            return Ok(None);
        };
        let ConnectionRow { run, has, last, .. } = row;
        let (mut rooms, mut delta) = (Rooms::new(), Delta::new());
        for found in self.store.scan_all(&ROOMS, name.rooms()).await? {
            let room = {
                let mut key = KeyReader::new(&found.key);
                key.u64().and_then(|_| key.u64())
            };
            let room = room.ok_or_else(|| EngineError::corrupt(&found.key, "no room in the key"))?;
            let (before, changed) = match found.row.last {
                Some((number, after)) if number <= has.number => (after, None),
                Some((number, after)) if last.is_some_and(|last| last.number == number) => {
                    (found.row.before, Some(after))
                }
                _ => (found.row.before, None),
            };
            rooms.extend(before.map(|entry| (room, entry)));
            delta.extend(changed.map(|entry| (room, entry)));
        }
        let (rooms, last) = (Arc::new(rooms), last.map(|last| (last, Arc::new(delta))));
        Ok(Some(Connection { run, version, has, rooms, last, lost: Arc::default() }))
    }

    /// Writes which answer the client has, with the next group: a node that takes over then need not go back behind it.
    fn acknowledge(&self, name: Name, connection: &mut Connection) {
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        self.put(name, connection, &mut batch);
        self.submit(name, connection, batch);
    }

    /// The next answer on `base`, which changes `delta`: the generation that its token names. Nobody waits for the write.
    pub(super) async fn answered(
        &self,
        name: Name,
        base: &Base,
        delta: Delta,
        told: Generation,
    ) -> Result<Generation, StoreError> {
        let known = match self.known.get(&name) {
            Some(known) => known.connection,
            // It fell out of the cache while the client waited.
            None => match self.read(name).await? {
                Some(read) => {
                    let read = Arc::new(Mutex::new(read));
                    self.known.insert(name, Arc::clone(&read).into());
                    read
                }
                None => return Ok(Generation { number: base.number + 1, id: self.store.rng().next_u64(), ..told }),
            },
        };
        let generation = {
            let mut connection = known.lock();
            let number = connection.number().max(base.number) + 1;
            let generation = Generation { number, id: self.store.rng().next_u64(), ..told };
            // The request of a client that has asked again since then: its answer reaches nobody.
            if connection.run == base.run && connection.has == base.generation {
                self.write(name, &mut connection, generation, delta, base);
            }
            generation
        };
        // What it weighs has changed.
        self.known.insert(name, known.into());
        Ok(generation)
    }

    fn write(&self, name: Name, connection: &mut Connection, generation: Generation, delta: Delta, base: &Base) {
        let begins = connection.rooms.is_empty() && connection.last.is_none() && base.rooms.is_empty();
        let superseded = connection.last.take().map(|(_, delta)| delta).unwrap_or_default();
        let mut rows: BTreeMap<u64, Option<RoomRow>> = BTreeMap::new();
        for room in superseded.keys() {
            let before = connection.rooms.get(room).cloned();
            rows.insert(*room, before.map(|before| RoomRow { before: Some(before), last: None }));
        }
        for (room, entry) in &delta {
            let before = connection.rooms.get(room).cloned();
            rows.insert(*room, Some(RoomRow { before, last: Some((generation.number, entry.clone())) }));
        }
        let mut batch = Batch { urgency: Urgency::Soon, ..Batch::new() };
        if begins {
            let all = name.rooms();
            batch.delete_range(all.from, all.to);
        }
        let mut in_batch = 0;
        for (room, row) in rows {
            match row {
                Some(row) => ROOMS.put(&mut batch, name.room_key(room), &row),
                None => drop(batch.delete(name.room_key(room))),
            }
            in_batch += 1;
            if in_batch == limits::BATCH_ROWS {
                // Rows of an answer that the connection's own row does not name yet count for nothing.
                let full = std::mem::replace(&mut batch, Batch { urgency: Urgency::Soon, ..Batch::new() });
                self.extend(name, connection, full);
                in_batch = 0;
            }
        }
        connection.last = Some((generation, Arc::new(delta)));
        self.put(name, connection, &mut batch);
        self.submit(name, connection, batch);
    }

    fn extend(&self, name: Name, connection: &mut Connection, mut batch: Batch) {
        self.put(name, connection, &mut batch);
        self.submit(name, connection, batch);
    }

    /// Adds its own row, if it is as this node takes it to be.
    fn put(&self, name: Name, connection: &mut Connection, batch: &mut Batch) {
        let expect = if connection.version == 0 { Expect::Absent } else { Expect::Version(connection.version) };
        batch.expect(name.key(), expect, Losing::Rebuild);
        // No number that another node could come to, too, which has counted on from what was lost.
        connection.version = self.store.rng().next_u64().max(1);
        let Connection { run, version, has, .. } = *connection;
        let last = connection.last.as_ref().map(|(last, _)| *last);
        let row = ConnectionRow { run, has, last, used_ms: self.store.clock().now_ms() };
        CONNECTIONS.put_with(batch, name.key(), version, &[], &row);
    }

    fn submit(&self, name: Name, connection: &Connection, batch: Batch) {
        let lost = Arc::clone(&connection.lost);
        let then = move |outcome: &Result<Vec<_>, StoreError>| {
            if let Err(error) = outcome {
                tracing::debug!(%error, "the state of a connection is not written");
                lost.store(true, Ordering::Release);
            }
        };
        if let Err(error) = self.store.submit_then(batch, then) {
            // The client goes on from what was written last.
            tracing::debug!(%error, device = name.device, "the state of a connection is not written");
            connection.lost.store(true, Ordering::Release);
        }
    }

    /// Forgets what this node took the connection to be, where another has written: it is read again.
    fn renew(&self, name: Name) {
        if self.known.get(&name).is_some_and(|known| known.connection.lock().lost.load(Ordering::Acquire)) {
            self.known.remove(&name);
        }
    }
}

impl Connection {
    /// Of the newest answer.
    fn number(&self) -> u64 {
        self.last.as_ref().map_or(self.has.number, |(last, _)| last.number)
    }
}

fn apply(rooms: &mut Arc<Rooms>, delta: &Delta) {
    if delta.is_empty() {
        return;
    }
    let rooms = Arc::make_mut(rooms);
    for (room, entry) in delta {
        match entry {
            Some(entry) => rooms.insert(*room, entry.clone()),
            None => rooms.remove(room),
        };
    }
}
