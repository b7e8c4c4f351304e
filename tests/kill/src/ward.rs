//! The accounts and rooms of a run: eight writers in four rooms, a founder, two readers that are in all of the rooms.

use anyhow::Result;
use harness::{Http, Load, Reader, Rng, User, Writer};
use tokio::task::JoinSet;

use crate::founder::Founder;

/// The room of each writer: four share one, two another.
const ROOM_OF_WRITER: [usize; 8] = [0, 0, 0, 0, 1, 1, 2, 3];
/// Events a room that a sync of each reader may bring; the small one lives on gaps.
const READER_LIMITS: [usize; 2] = [100, 4];

#[derive(Debug)]
pub struct Ward {
    pub writers: Vec<Writer>,
    pub founder: Founder,
    pub readers: Vec<Reader>,
    /// Readers as they were after an earlier round: their tokens are old.
    pub earlier: Vec<Reader>,
    pub rooms: Vec<String>,
}

impl Ward {
    /// Registers everybody and makes the rooms.
    pub async fn found(http: &Http) -> Result<Self> {
        let founder = User::register(http, "founder").await?;
        let mut readers = Vec::new();
        for (number, limit) in READER_LIMITS.into_iter().enumerate() {
            readers.push(Reader::new(&User::register(http, &format!("reader-{number}")).await?, limit));
        }
        let mut rooms = Vec::new();
        for _ in 0..=ROOM_OF_WRITER.into_iter().max().unwrap_or_default() {
            let room = founder.create_room("public_chat", &[]).await?;
            for reader in &readers {
                reader.user.join(&room).await?;
            }
            rooms.push(room);
        }
        let mut writers = Vec::new();
        for (number, room) in ROOM_OF_WRITER.into_iter().enumerate() {
            let user = User::register(http, &format!("writer-{number}")).await?;
            user.join(&rooms[room]).await?;
            writers.push(Writer::new(number, user, &rooms[room]));
        }
        for reader in &mut readers {
            reader.catch_up().await?;
        }
        let earlier = readers.clone();
        Ok(Self { writers, founder: Founder::new(http, founder), readers, earlier, rooms })
    }

    /// Lets everybody work until the server is killed by `end`.
    pub async fn work(&mut self, load: &Load, end: impl Future<Output = Result<()>>) -> Result<()> {
        let (mut writers, mut readers, mut founders) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        for writer in self.writers.drain(..) {
            writers.spawn(writer.run(load.clone()));
        }
        for reader in self.readers.drain(..) {
            readers.spawn(reader.run(load.clone()));
        }
        founders.spawn(self.founder.clone().run(load.clone()));
        end.await?;
        while let Some(writer) = writers.join_next().await {
            self.writers.push(writer??);
        }
        while let Some(reader) = readers.join_next().await {
            self.readers.push(reader??);
        }
        while let Some(founder) = founders.join_next().await {
            self.founder = founder??;
        }
        self.writers.sort_by_key(|writer| writer.number);
        self.readers.sort_by(|one, other| one.user.id.cmp(&other.user.id));
        Ok(())
    }

    /// Remembers some readers' state of this round, so that a later round has old tokens to try.
    pub fn remember(&mut self, rng: &mut Rng) {
        for (earlier, now) in self.earlier.iter_mut().zip(&self.readers) {
            if rng.once_in(2) {
                *earlier = now.clone();
            }
        }
    }

    /// Acknowledged messages of all writers.
    pub fn promised(&self) -> usize {
        self.writers.iter().map(Writer::promised).sum()
    }
}
