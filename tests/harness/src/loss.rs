//! A broken promise, told apart from everything else that can go wrong in a test.

/// The server lost, doubled, reordered or gave away something.
#[derive(Debug)]
pub struct Loss(pub String);

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LOSS: {}", self.0)
    }
}

impl std::error::Error for Loss {}

/// Returns a [`Loss`] unless the condition holds.
#[macro_export]
macro_rules! promised {
    ($held:expr, $($what:tt)+) => {
        if !$held {
            return Err($crate::loss::Loss(format!($($what)+)).into());
        }
    };
}
