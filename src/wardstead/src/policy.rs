//! What `--dev` relaxes.

use wardstead_identity::{FailedLogins, HashCost, IdentityConfig, Registration};

use crate::config::{Config, RegistrationMode};

/// What a server lets pass. A configuration file decides registration and presence; everything else is strict in production and
/// relaxed in `--dev`, so that no file can hold a relaxation that somebody forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each read by the part that it concerns")]
pub struct Policy {
    /// Who may register.
    pub registration: Registration,
    /// Whether requests are limited in number per time, as configured.
    pub rate_limits: bool,
    /// How often a password may be wrong.
    pub failed_logins: FailedLogins,
    /// Whether passwords are hashed with the least work that argon2 takes.
    pub cheap_password_hash: bool,
    /// Whether a new password may be shorter than is good.
    pub short_passwords: bool,
    /// Whether presence is kept and sent.
    pub presence: bool,
    /// Whether anybody may publish a room in the room directory.
    pub room_publishing: bool,
    /// Whether outgoing requests may go to private and loopback addresses.
    pub private_addresses: bool,
    /// Whether the bus between the nodes carries nothing: for tests.
    pub cut_bus: bool,
}

impl Policy {
    /// The strict one.
    #[must_use]
    pub fn production(config: &Config) -> Self {
        Self {
            registration: match config.registration.mode {
                RegistrationMode::Token => Registration::Token,
                RegistrationMode::Closed => Registration::Closed,
            },
            rate_limits: true,
            failed_logins: config.limits.failed_login.limits(),
            cheap_password_hash: false,
            short_passwords: false,
            presence: config.presence.enabled,
            room_publishing: false,
            private_addresses: false,
            cut_bus: false,
        }
    }

    /// For development and tests.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            registration: Registration::Open,
            rate_limits: false,
            failed_logins: FailedLogins::default(),
            cheap_password_hash: true,
            short_passwords: true,
            presence: true,
            room_publishing: true,
            private_addresses: true,
            cut_bus: false,
        }
    }

    pub(crate) fn identity(self) -> IdentityConfig {
        let hash = if self.cheap_password_hash { HashCost::Cheap } else { HashCost::Production };
        let (registration, failed_logins) = (self.registration, self.failed_logins);
        let short_passwords = self.short_passwords;
        IdentityConfig { registration, hash, short_passwords, failed_logins, ..IdentityConfig::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::{FailedLogins, HashCost, Policy, Registration};
    use crate::config::{Config, Environment, tests::LEAST};

    #[test]
    fn dev_relaxes_everything_and_production_nothing() {
        let dev = Policy::dev();
        assert_eq!((dev.registration, dev.identity().hash), (Registration::Open, HashCost::Cheap));
        assert_eq!(dev.identity().failed_logins, FailedLogins::default());
        assert!(dev.identity().short_passwords);
        assert!(!dev.rate_limits && dev.presence && dev.room_publishing && dev.private_addresses);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, LEAST).unwrap();
        let strict = Policy::production(&Config::load_with(&path, Environment::default()).unwrap());
        assert_eq!((strict.registration, strict.identity().hash), (Registration::Token, HashCost::Production));
        assert_eq!(strict.identity().failed_logins, FailedLogins::production());
        assert!(!strict.identity().short_passwords);
        assert!(strict.rate_limits && !strict.presence && !strict.room_publishing && !strict.private_addresses);
        assert!(!strict.cut_bus && !dev.cut_bus);
    }
}
