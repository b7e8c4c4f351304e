//! `wardstead init`: configuration and data folder of a new server.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ruma::ServerName;

/// Name of the configuration file in the folder.
pub(crate) const CONFIG_FILE: &str = "config.toml";

/// Makes `folder` with `config.toml` and `data/`, readable by their owner alone, and gives the configuration's path; `None`
/// when there is a configuration already, which is left as it is.
///
/// # Errors
/// A path that cannot be made, and why.
pub(crate) fn init(
    folder: &Path,
    server_name: &ServerName,
    listen: SocketAddr,
) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let config = folder.join(CONFIG_FILE);
    if config.exists() {
        return Ok(None);
    }
    let data = folder.join("data");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&data);
    made.map_err(|error| (data, error))?;
    match write(&config, server_name, listen) {
        Ok(()) => Ok(Some(config)),
        Err(error) => Err((config, error)),
    }
}

/// Writes the file beside its name and moves it there, so that a file that was cut off is never taken for a configuration.
fn write(path: &Path, server_name: &ServerName, listen: SocketAddr) -> io::Result<()> {
    let beside = path.with_extension("toml.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    write!(
        file,
        "# All options with their meaning and default: wardstead example-config\n\n\
         [server]\n\
         # Part of every user id and event: cannot be changed after the first start.\n\
         name = \"{server_name}\"\n\
         listen = [\"{listen}\"]\n\n\
         [data]\n\
         dir = \"data\"\n"
    )?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
