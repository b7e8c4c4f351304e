//! `[directory]`

use std::{fmt, str::FromStr};

use serde::Deserialize;
use wardstead_directory::VisiblePeople;

/// `[directory]`
#[derive(Clone, Copy, Debug, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Directory {
    /// Whom people find who search for people. "all": everybody with an account on this server. "met": those who are in a
    /// room with them, or in a room that everybody may join or read.
    #[config(default = "all")]
    pub people: People,
}

/// Whom people find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum People {
    /// Everybody.
    #[default]
    All,
    /// Whom they could meet.
    Met,
}

impl People {
    pub(crate) fn visible(self) -> VisiblePeople {
        match self {
            Self::All => VisiblePeople::All,
            Self::Met => VisiblePeople::Met,
        }
    }
}

impl FromStr for People {
    type Err = String;

    fn from_str(people: &str) -> Result<Self, String> {
        let known = [Self::All, Self::Met].into_iter().find(|known| known.to_string() == people);
        known.ok_or_else(|| format!("{people:?} is neither \"all\" nor \"met\""))
    }
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Met => "met",
        })
    }
}
