//! Somebody who sends messages to a device, one after another (Client-Server API, Send-to-Device messaging).

use anyhow::{Context, Result};
use harness::{Device, Load, User};
use serde_json::json;

/// Type of the messages.
pub const TYPE: &str = "org.example.numbered";

#[derive(Clone, Debug)]
pub struct Sender {
    pub number: usize,
    pub user: User,
    /// User and device that it sends to.
    to: (String, String),
    /// How many messages were acknowledged.
    pub acknowledged: usize,
    /// Requests whose answer was lost.
    pub unknown: usize,
}

impl Sender {
    pub fn new(number: usize, user: User, to: &Device) -> Self {
        Self { number, user, to: (to.user.id.clone(), to.id.clone()), acknowledged: 0, unknown: 0 }
    }

    /// Sends until `goal` messages are acknowledged, or the server is gone.
    pub async fn run(mut self, goal: usize, load: Load) -> Result<Self> {
        while self.acknowledged < goal {
            let sequence = self.acknowledged;
            match self.send().await {
                Ok(()) => load.add(self.number, sequence),
                Err(_) if load.is_ending() => break,
                Err(error) => return Err(error.context(format!("{} before a kill", self.user.id))),
            }
        }
        Ok(self)
    }

    /// Sends the next message; one whose answer was lost is sent again, under its transaction id.
    pub async fn send(&mut self) -> Result<()> {
        let path = format!("/sendToDevice/{TYPE}/t{}", self.acknowledged);
        let content = json!({ "sender": self.number, "sequence": self.acknowledged });
        let body = json!({ "messages": { &self.to.0: { &self.to.1: content } } });
        let answer = self.user.put(&path, &body).await.inspect_err(|_| self.unknown += 1)?;
        answer.ok().context("sendToDevice")?;
        self.acknowledged += 1;
        Ok(())
    }
}
