//! Rooms, each with eight members that write and follow; each user is in several rooms.

use anyhow::{Context, Result};
use harness::{Http, Load, Loss, Reader, User, Writer};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Members of a room, all of them writers.
const MEMBERS: usize = 8;
/// Events a room that a sync of each reader may bring; the small one lives on gaps.
const LIMITS: [usize; 2] = [100, 4];
/// Between two attempts of a reader whose connection failed.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

#[derive(Debug)]
pub struct Ward {
    pub rooms: Vec<String>,
    /// One a room and member.
    pub writers: Vec<Writer>,
    /// One a user, by number.
    pub readers: Vec<Reader>,
}

impl Ward {
    /// Registers two users a room, makes `rooms` rooms and lets eight users join each: each user is in four. `rooms` is even and
    /// at least 10. All clients ask the nodes in turn, each with a turn of its own.
    pub async fn found(http: &Http, rooms: usize) -> Result<Self> {
        let count = rooms * 2;
        let mut registering = JoinSet::new();
        for number in 0..count {
            let http = http.own_turn(number);
            registering
                .spawn(async move { anyhow::Ok((number, User::register(&http, &format!("user-{number}")).await?)) });
        }
        let mut users = all(registering).await?;
        users.sort_by_key(|(number, _)| *number);
        let users: Vec<User> = users.into_iter().map(|(_, user)| user).collect();
        let mut making = JoinSet::new();
        for number in 0..rooms {
            let members: Vec<usize> = (0..MEMBERS).map(|member| (number * 2 + member * 5) % count).collect();
            let people: Vec<User> = members.iter().map(|member| users[*member].clone()).collect();
            making.spawn(async move { anyhow::Ok((number, shared_room(&people).await?, people)) });
        }
        let mut made = all(making).await?;
        made.sort_by_key(|(number, ..)| *number);
        let mut ward = Self { rooms: Vec::new(), writers: Vec::new(), readers: Vec::new() };
        for (_, room, people) in made {
            for user in people {
                ward.writers.push(Writer::new(ward.writers.len(), user, &room));
            }
            ward.rooms.push(room);
        }
        for (number, user) in users.iter().enumerate() {
            let mut reader = Reader::new(user, LIMITS[number % LIMITS.len()]);
            reader.catch_up().await?;
            ward.readers.push(reader);
        }
        Ok(ward)
    }

    /// Lets every writer send until it has `count` messages, and the readers follow, while `meanwhile` happens.
    pub async fn work(&mut self, load: &Load, count: usize, meanwhile: impl Future<Output = Result<()>>) -> Result<()> {
        let (done, is_done) = watch::channel(false);
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for mut writer in self.writers.drain(..) {
            let load = load.clone();
            writers.spawn(async move {
                writer.send_until(count, &load).await?;
                anyhow::Ok(writer)
            });
        }
        for reader in self.readers.drain(..) {
            readers.spawn(follow(reader, load.clone(), is_done.clone()));
        }
        let (happened, sent) = tokio::join!(meanwhile, all(writers));
        self.writers = sent?;
        happened?;
        done.send_replace(true);
        self.readers = all(readers).await?;
        self.writers.sort_by_key(|writer| writer.number);
        self.readers.sort_by_key(|reader| number(&reader.user));
        Ok(())
    }

    /// Acknowledged messages of all writers.
    pub fn promised(&self) -> usize {
        self.writers.iter().map(Writer::promised).sum()
    }
}

/// A room that all `users` are in.
pub async fn shared_room(users: &[User]) -> Result<String> {
    let (founder, others) = users.split_first().context("a room has members")?;
    let room = founder.create_room("public_chat", &[]).await?;
    for user in others {
        user.join(&room).await?;
    }
    Ok(room)
}

/// Long-polls until all is sent. A poll that fails while it may is made again with the same token.
async fn follow(mut reader: Reader, load: Load, mut done: watch::Receiver<bool>) -> Result<Reader> {
    loop {
        let step = tokio::select! {
            step = reader.step(30_000) => step,
            _ = done.wait_for(|done| *done) => return Ok(reader),
        };
        match step {
            Ok(_) => {}
            Err(error) if load.is_ending() && !error.is::<Loss>() => tokio::time::sleep(AGAIN).await,
            Err(error) => return Err(error.context(format!("sync of {}", reader.user.id))),
        }
    }
}

/// What each task gives, in the order in which they end. The first error ends all.
pub async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut given = Vec::new();
    while let Some(task) = tasks.join_next().await {
        given.push(task??);
    }
    Ok(given)
}

/// The number in `@user-NUMBER:ward.example`.
fn number(user: &User) -> usize {
    let digits = user.id.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(':').next().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX)
}
