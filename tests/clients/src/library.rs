//! A client library in a process of its own, which does what it is told: a line of JSON each, answered by a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::environment;
use serde_json::{Value, json};

/// Bound of one act or of what is waited for. Only a fault exceeds it.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bound of the last look at what was waited for in vain.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// A process with people in it, who use one library.
#[derive(Debug)]
pub struct Library {
    child: Child,
    orders: ChildStdin,
    answers: mpsc::Receiver<Value>,
    next: u64,
    /// Name and version, as it says itself.
    pub name: String,
}

impl Library {
    /// matrix-js-sdk, talking to the server at `address`.
    ///
    /// # Errors
    /// When the calling script did not install it, or it does not start.
    pub fn javascript(address: &str) -> Result<Self> {
        Self::start(&environment::file("WARDSTEAD_NODE")?, &environment::file("WARDSTEAD_JS_PERSON")?, address)
    }

    /// matrix-nio, talking to the server at `address`.
    ///
    /// # Errors
    /// When the calling script did not install it, or it does not start.
    pub fn python(address: &str) -> Result<Self> {
        Self::start(&environment::file("WARDSTEAD_PYTHON")?, &environment::file("WARDSTEAD_PY_PERSON")?, address)
    }

    fn start(program: &Path, script: &Path, address: &str) -> Result<Self> {
        let mut command = Command::new(program);
        // What the interpreter would keep does not belong into the checkout.
        command.arg(script).arg(address).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("stdin is piped")?;
        let lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let (heard, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let answer = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "error": line }));
                if heard.send(answer).is_err() {
                    return;
                }
            }
        });
        let mut library = Self { child, orders, answers, next: 0, name: program.display().to_string() };
        let greeting = library.answers.recv_timeout(PATIENCE).context("the library does not start")?;
        let name = greeting["library"].as_str().with_context(|| format!("it says {greeting}"))?;
        name.clone_into(&mut library.name);
        Ok(library)
    }

    /// Lets `who` do `what` with `details`, and gives what came of it.
    ///
    /// # Errors
    /// When the library refuses or does not answer. What is waited for in vain is told together with what is shown instead.
    pub fn ask(&mut self, who: &str, what: &str, details: &Value) -> Result<Value> {
        let about = format!("{}: {who}: {what} {details}", self.name);
        let id = self.order(who, what, details)?;
        match self.answer(id, PATIENCE)? {
            Some(answer) => answer.map_err(|error| anyhow::anyhow!("{about}: {error}")),
            None if what == "until" => {
                let look = self.order(who, "show", details)?;
                let shown = self.answer(look, LAST_LOOK)?;
                bail!("{about}: waited in vain; shown is {shown:?}")
            }
            None => bail!("{about}: no answer"),
        }
    }

    fn order(&mut self, who: &str, what: &str, details: &Value) -> Result<u64> {
        let mut order = details.clone();
        self.next += 1;
        order["id"] = json!(self.next);
        order["who"] = json!(who);
        order["do"] = json!(what);
        writeln!(self.orders, "{order}").with_context(|| format!("{} has ended", self.name))?;
        Ok(self.next)
    }

    /// The answer to order `id`; nothing if none comes in time.
    fn answer(&self, id: u64, patience: Duration) -> Result<Option<Result<Value, String>>> {
        let end = Instant::now() + patience;
        loop {
            match self.answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(mut answer) if answer["id"] == json!(id) => {
                    let error = answer["error"].as_str().map(str::to_owned);
                    return Ok(Some(error.map_or_else(|| Ok(answer["ok"].take()), Err)));
                }
                // Of an order that was given up.
                Ok(answer) if answer["id"].is_u64() => {}
                Ok(other) => bail!("{} says {other}", self.name),
                Err(mpsc::RecvTimeoutError::Timeout) => return Ok(None),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("{} has ended", self.name),
            }
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // Nothing is left to do when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
