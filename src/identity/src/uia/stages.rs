//! The stages that this server offers.

/// A stage (Matrix specification, Client-Server API, Authentication types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `m.login.password`.
    Password,
    /// `m.login.dummy`.
    Dummy,
    /// `m.login.registration_token`.
    RegistrationToken,
    /// `m.login.terms`.
    Terms,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Password, Self::Dummy, Self::RegistrationToken, Self::Terms];

    /// Its type in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "m.login.password",
            Self::Dummy => "m.login.dummy",
            Self::RegistrationToken => "m.login.registration_token",
            Self::Terms => "m.login.terms",
        }
    }

    /// The stage called `name`.
    #[must_use]
    pub fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// In a row.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Dummy => 2,
            Self::RegistrationToken => 3,
            Self::Terms => 4,
        }
    }

    /// The stage with `code`; `None` for one of another version of this program.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.code() == code)
    }
}
