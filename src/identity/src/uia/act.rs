//! What somebody who is signed in confirms.

use ruma::OwnedDeviceId;

use super::Purpose;

/// An act that its user has to confirm. What was confirmed on a page or in an earlier request holds for this act alone: other
/// devices, another password are another act.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Act<'a> {
    /// `POST /account/password`.
    ChangePassword {
        /// The password to be.
        new_password: &'a str,
        /// Whether the other devices are signed out.
        logout_devices: bool,
    },
    /// `POST /account/deactivate`.
    Deactivate {
        /// Whether what the user wrote is hidden from those who come later.
        erase: bool,
    },
    /// `DELETE /devices/{deviceId}` and `POST /delete_devices`.
    DeleteDevices(&'a [OwnedDeviceId]),
    /// `POST /login/get_token`.
    MakeLoginToken,
    /// `POST /keys/device_signing/upload`, of other keys than there are: the keys as JSON.
    SetCrossSigningKeys(&'a str),
}

impl Act<'_> {
    /// What a page tells the user to confirm.
    pub(super) fn purpose(&self) -> Purpose {
        match self {
            Self::ChangePassword { .. } => Purpose::ChangePassword,
            Self::Deactivate { .. } => Purpose::Deactivate,
            Self::DeleteDevices(_) => Purpose::DeleteDevices,
            Self::MakeLoginToken => Purpose::MakeLoginToken,
            Self::SetCrossSigningKeys(_) => Purpose::SetCrossSigningKeys,
        }
    }

    /// Gives `take` what tells this act from others of its purpose.
    pub(super) fn parameters(&self, mut take: impl FnMut(&[u8])) {
        match self {
            Self::ChangePassword { new_password, logout_devices } => {
                take(&[u8::from(*logout_devices)]);
                take(new_password.as_bytes());
            }
            Self::Deactivate { erase } => take(&[u8::from(*erase)]),
            Self::MakeLoginToken => {}
            Self::SetCrossSigningKeys(keys) => take(keys.as_bytes()),
            Self::DeleteDevices(devices) => {
                let mut devices: Vec<&str> = devices.iter().map(|device| device.as_str()).collect();
                devices.sort_unstable();
                devices.dedup();
                for device in devices {
                    // With its length, so that no two lists look alike.
                    take(&(device.len() as u64).to_be_bytes());
                    take(device.as_bytes());
                }
            }
        }
    }
}
