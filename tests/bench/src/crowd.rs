//! Accounts and sends side by side.

use anyhow::Result;
use harness::{Http, User};
use tokio::task::JoinSet;

/// Registers `count` accounts whose names start with `name`.
pub async fn register(http: &Http, name: &str, count: usize) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for number in 0..count {
        users.push(User::register(http, &format!("{name}-{number}")).await?);
    }
    Ok(users)
}

/// A room of each user's own.
pub async fn own_rooms(users: &[User]) -> Result<Vec<String>> {
    let mut rooms = Vec::new();
    for user in users {
        rooms.push(user.create_room("private_chat", &[]).await?);
    }
    Ok(rooms)
}

/// A room that all `users` are in.
pub async fn shared_room(users: &[User]) -> Result<String> {
    let room = users[0].create_room("public_chat", &[]).await?;
    for user in &users[1..] {
        user.join(&room).await?;
    }
    Ok(room)
}

/// Each user sends `each` messages to its room, one after another, all users side by side. `run` keeps transaction ids apart.
pub async fn send_all(users: &[User], rooms: &[String], each: u64, run: usize) -> Result<()> {
    let mut senders = JoinSet::new();
    for (user, room) in users.iter().cloned().zip(rooms.iter().cloned()) {
        senders.spawn(async move {
            for number in 0..each {
                user.must_send(&room, &format!("{run}-{number}"), TEXT).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(())
}

/// An ordinary message.
pub const TEXT: &str =
    "Bed 12: potassium 5.9, repeat sample sent, ECG without changes. Please look at him before the round.";
