//! The founder makes accounts and rooms and lets the accounts join: the writes that are not messages.

use anyhow::{Result, bail};
use harness::user::text;
use harness::{Http, Load, User, client, promised};

/// What was acknowledged of one guest: each step is `Some` once it was.
#[derive(Clone, Debug)]
pub struct Guest {
    user: User,
    room: Option<String>,
    joined: bool,
}

#[derive(Clone, Debug)]
pub struct Founder {
    pub user: User,
    http: Http,
    attempts: usize,
    pub guests: Vec<Guest>,
}

impl Founder {
    pub fn new(http: &Http, user: User) -> Self {
        Self { user, http: http.clone(), attempts: 0, guests: Vec::new() }
    }

    /// Works until the server is gone.
    pub async fn run(mut self, load: Load) -> Result<Self> {
        loop {
            if let Err(error) = self.welcome().await {
                if load.is_ending() {
                    return Ok(self);
                }
                bail!("before the kill: {error:#}");
            }
        }
    }

    async fn welcome(&mut self) -> Result<()> {
        self.attempts += 1;
        let user = User::register(&self.http, &format!("guest-{}", self.attempts)).await?;
        self.guests.push(Guest { user: user.clone(), room: None, joined: false });
        let newest = self.guests.len() - 1;
        let room = self.user.create_room("private_chat", &[&user]).await?;
        self.guests[newest].room = Some(room.clone());
        user.join(&room).await?;
        self.guests[newest].joined = true;
        Ok(())
    }

    /// Looks for what was acknowledged to the guests from number `first` on.
    pub async fn verify(&self, first: usize) -> Result<()> {
        let rooms = joined(&self.user).await?;
        for guest in &self.guests[first..] {
            let id = &guest.user.id;
            let whoami = guest.user.get("/account/whoami").await?;
            promised!(whoami.status == 200, "the account {id} or its token: {}", whoami.body);
            let Some(room) = &guest.room else { continue };
            promised!(rooms.contains(room), "the room {room} made for {id}");
            let path = format!("/rooms/{}/state/m.room.member/{}", client::encode(room), client::encode(id));
            let member = self.user.get(&path).await?;
            promised!(member.status == 200, "the invitation of {id} to {room}: {}", member.body);
            if guest.joined {
                let membership = text(&member.body, "membership")?;
                promised!(membership == "join", "{id} joined {room}, whose state says {membership}");
                promised!(joined(&guest.user).await?.contains(room), "{room} among the rooms of {id}");
            }
        }
        Ok(())
    }
}

async fn joined(user: &User) -> Result<Vec<String>> {
    let body = user.get("/joined_rooms").await?.ok()?;
    let rooms = body["joined_rooms"].as_array().into_iter().flatten();
    Ok(rooms.filter_map(|room| room.as_str().map(str::to_owned)).collect())
}
