//! User-interactive authentication (Matrix specification, Client-Server API, User-Interactive Authentication API).
//!
//! A client that asks for something that needs it gets a *challenge*: flows, each a list of stages, and a session. It repeats
//! its request with one stage after the other, and when a flow is complete the act goes on.
//!
//! Nothing is stored when a session is issued: it carries what it is for and a MAC, so that any node can take it up, and asking
//! for sessions fills nothing. What was completed in an earlier request or on a fallback page stands in a row under the
//! session, which every node reads; the row goes when the session is past.

mod act;
mod auth;
mod challenge;
mod confirm;
mod flow;
mod pages;
mod session;
mod stages;

pub use act::Act;
pub use auth::Auth;
pub use challenge::{Challenge, Failure};
pub use confirm::{ConfirmError, Confirmed};
pub use pages::{Asked, PageError};
pub use session::Purpose;
pub use stages::Stage;

use flow::completed;
pub(crate) use flow::{Done, Flows, InteractError, password_mark};
pub(crate) use session::{Binding, SESSION_USED, SessionKey, UiaSession};
