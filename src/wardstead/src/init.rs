//! `wardstead init`: configuration and data folder of a new server.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ruma::OwnedServerName;

use crate::config::DatabaseUrl;

/// Name of the configuration file in the folder.
pub(crate) const CONFIG_FILE: &str = "config.toml";

/// What a new server is to be.
#[derive(Debug)]
pub(crate) struct New {
    /// Its name.
    pub(crate) server_name: OwnedServerName,
    /// Where it serves.
    pub(crate) listen: SocketAddr,
    /// Its database; none: its data is in a folder.
    pub(crate) database: Option<DatabaseUrl>,
}

/// Makes `folder` with `config.toml` and, unless there is a database, `data/`, readable by their owner alone, and gives the
/// configuration's path; `None` when there is a configuration already, which is left as it is.
///
/// # Errors
/// A path that cannot be made, and why.
pub(crate) fn init(folder: &Path, new: &New) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let config = folder.join(CONFIG_FILE);
    if config.exists() {
        return Ok(None);
    }
    let made = if new.database.is_some() { folder.to_owned() } else { folder.join("data") };
    if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(&made) {
        return Err((made, error));
    }
    match write(&config, new) {
        Ok(()) => Ok(Some(config)),
        Err(error) => Err((config, error)),
    }
}

/// Writes the file beside its name and moves it there, so that a file that was cut off is never taken for a configuration.
fn write(path: &Path, New { server_name, listen, database }: &New) -> io::Result<()> {
    let beside = path.with_extension("toml.new");
    let data = match database {
        None => "[data]\ndir = \"data\"\n".to_owned(),
        Some(url) => format!(
            "[database]\n\
             url = {:?}\n\
             # The password: in a file named by password_file, or in the environment, as WARDSTEAD_DATABASE_PASSWORD.\n",
            url.address()
        ),
    };
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    write!(
        file,
        "# All options with their meaning and default: wardstead example-config\n\n\
         [server]\n\
         # Part of every user id and event: cannot be changed after the first start.\n\
         name = \"{server_name}\"\n\
         listen = [\"{listen}\"]\n\n\
         {data}"
    )?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
