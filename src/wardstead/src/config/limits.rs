//! `[limits]`

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use wardstead_api::{Group, GroupRates, RateLimits};
use wardstead_identity::FailedLogins;
use wardstead_limits::{Rate, accounts::FAILED_WINDOW_MS};

/// A rate; none with `"off"` or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting(Option<Rate>);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Setting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"off\" or a rate such as \"10/s, burst 100\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Setting, E> {
                if text == "off" {
                    Ok(Setting(None))
                } else {
                    text.parse().map(|rate| Setting(Some(rate))).map_err(E::custom)
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Setting, E> {
                if number == 0 {
                    Ok(Setting(None))
                } else {
                    Err(E::custom(format!("{number}: how many a second, a minute?")))
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Setting, E> {
                self.visit_i64(number.try_into().unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// A group of requests: the type of its section, whose defaults are its own.
macro_rules! group {
    ($(#[$doc:meta])+ $name:ident: account $account:literal, address $address:literal) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, confique::Config)]
        #[config(partial_attr(derive(Debug, Clone)))]
        #[config(partial_attr(serde(deny_unknown_fields)))]
        pub struct $name {
            /// By one account.
            #[config(default = $account)]
            pub account: Setting,

            /// By all at one address.
            #[config(default = $address)]
            pub address: Setting,
        }

        impl From<$name> for GroupRates {
            fn from(group: $name) -> Self {
                Self { account: group.account.0, address: group.address.0 }
            }
        }
    };
}

group!(
    /// `[limits.login]`
    Login: account "off", address "20/s, burst 600"
);
group!(
    /// `[limits.registration]`
    Registration: account "off", address "5/s, burst 300"
);
group!(
    /// `[limits.password]`
    Password: account "20/min, burst 20", address "20/s, burst 600"
);
group!(
    /// `[limits.send]`
    Send: account "10/s, burst 100", address "off"
);
group!(
    /// `[limits.join]`
    Join: account "5/s, burst 100", address "off"
);
group!(
    /// `[limits.invite]`
    Invite: account "5/s, burst 200", address "off"
);
group!(
    /// `[limits.create]`
    Create: account "1/s, burst 30", address "off"
);
group!(
    /// `[limits.search]`
    Search: account "10/s, burst 60", address "off"
);
group!(
    /// `[limits.token]`
    Token: account "2/s, burst 30", address "off"
);
group!(
    /// `[limits.upload]`
    Upload: account "2/s, burst 100", address "off"
);

/// `[limits.refresh]`
#[derive(Clone, Copy, Debug, Default, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Refresh {
    /// By one device.
    #[config(default = "10/min, burst 60")]
    pub device: Setting,

    /// By all at one address.
    #[config(default = "off")]
    pub address: Setting,
}

impl From<Refresh> for GroupRates {
    fn from(group: Refresh) -> Self {
        Self { account: group.device.0, address: group.address.0 }
    }
}

/// `[limits]`
#[derive(Clone, Copy, Debug, Default, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct Limits {
    /// Signing in, right or wrong. Nobody is known before, so there is nothing to count by account.
    #[config(nested)]
    pub login: Login,

    /// Wrong passwords, counted by all nodes together. While something is exhausted, no password is compared.
    #[config(nested)]
    pub failed_login: FailedLogin,

    /// Making an account, looking for a free name, testing a registration token.
    #[config(nested)]
    pub registration: Registration,

    /// What is confirmed with a password: a new password, removing devices, the end of an account.
    #[config(nested)]
    pub password: Password,

    /// Events: messages, state, redactions, moderation.
    #[config(nested)]
    pub send: Send,

    /// Joining and knocking.
    #[config(nested)]
    pub join: Join,

    /// People invited, one by one or with a new room.
    #[config(nested)]
    pub invite: Invite,

    /// Rooms made or upgraded.
    #[config(nested)]
    pub create: Create,

    /// Searching people and rooms.
    #[config(nested)]
    pub search: Search,

    /// Tokens for other devices and services.
    #[config(nested)]
    pub token: Token,

    /// New access tokens for refresh tokens.
    #[config(nested)]
    pub refresh: Refresh,

    /// Files uploaded.
    #[config(nested)]
    pub upload: Upload,
}

/// `[limits.failed_login]`
#[derive(Clone, Copy, Debug, Default, confique::Config)]
#[config(partial_attr(derive(Debug, Clone)))]
#[config(partial_attr(serde(deny_unknown_fields)))]
pub struct FailedLogin {
    /// For one account from one address.
    #[config(default = "2/min, burst 10")]
    pub account_at_address: Setting,

    /// For one account, from all addresses from which it has not signed in for months. It does not keep its owner from
    /// signing in at work.
    #[config(default = "1/min, burst 50")]
    pub account: Setting,

    /// From one address, for accounts that have not signed in there for months: somebody tries a password on everybody.
    #[config(default = "1/s, burst 300")]
    pub address: Setting,
}

impl Limits {
    /// Those of requests.
    #[must_use]
    pub fn requests(&self) -> RateLimits {
        let of = |group| match group {
            Group::Login => self.login.into(),
            Group::Registration => self.registration.into(),
            Group::Password => self.password.into(),
            Group::Send => self.send.into(),
            Group::Join => self.join.into(),
            Group::Invite => self.invite.into(),
            Group::Create => self.create.into(),
            Group::Search => self.search.into(),
            Group::Token => self.token.into(),
            Group::Refresh => self.refresh.into(),
            Group::Upload => self.upload.into(),
        };
        Group::ALL.into_iter().fold(RateLimits::default(), |limits, group| limits.with(group, of(group)))
    }

    /// What can be told only of all together.
    pub(super) fn check(&self) -> Result<(), String> {
        let FailedLogin { account_at_address, account, address } = self.failed_login;
        let named = [("account_at_address", account_at_address), ("account", account), ("address", address)];
        for (key, Setting(rate)) in named {
            if rate.is_some_and(|rate| rate.refill_us() > FAILED_WINDOW_MS * 1_000) {
                return Err(format!("limits.failed_login.{key}: the whole burst must come back within an hour"));
            }
        }
        Ok(())
    }
}

impl FailedLogin {
    /// Those of wrong passwords.
    #[must_use]
    pub fn limits(&self) -> FailedLogins {
        let Self { account_at_address, account, address } = *self;
        FailedLogins { pair: account_at_address.0, account: account.0, address: address.0 }
    }
}
