//! What an operator reads on standard output at the start.

use crate::{config::Config, server::Server};

/// The lines. One fact a line, so that scripts can read them, too; the addresses last, when everything else has been said.
pub(crate) fn text(config: &Config, server: &Server) -> String {
    let mut text = format!("Wardstead {} serves {}\n", env!("CARGO_PKG_VERSION"), config.server.name);
    let folder = std::path::absolute(&config.data.dir).unwrap_or_else(|_| config.data.dir.clone());
    text += &format!("  data in {}\n", folder.display());
    if let Some(token) = server.first_token() {
        text += &format!("  registration token, once, for the first account, an administrator: {token}\n");
    }
    for address in server.addresses() {
        text += &format!("  listening on http://{address}\n");
    }
    text
}
