//! How the store's errors are answered.

use wardstead_store::StoreError;

use crate::ApiError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.retryable() { Self::unavailable(error) } else { Self::internal(error) }
    }
}
