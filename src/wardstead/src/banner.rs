//! What an operator reads on standard output at the start.

use crate::{config::Config, server::Server};

/// The lines. One fact a line, so that scripts can read them, too; the addresses last, when everything else has been said.
pub(crate) fn text(config: &Config, server: &Server) -> String {
    let mut lines = vec![
        format!("Wardstead {} serves {}", env!("CARGO_PKG_VERSION"), config.server.name),
        format!("  data in {}", config.place()),
    ];
    let token = server.first_token();
    lines.extend(
        token.map(|token| format!("  registration token, once, for the first account, an administrator: {token}")),
    );
    lines.extend(server.observed_at().map(|address| format!("  health and metrics on http://{address}")));
    lines.extend(server.addresses().iter().map(|address| format!("  listening on http://{address}")));
    lines.join("\n") + "\n"
}
