//! Filters that clients store, to name them by a short id (Client-Server API, Filtering).
//!
//! The id follows from the filter, so that the same one is stored once, whichever device and node.

use sha2::{Digest as _, Sha256};
use wardstead_engine::{Batch, Expect, Losing, PageLimit, ScanRange};
use wardstead_limits::own_data as limits;
use wardstead_store::StoreError;

use crate::{
    Accounts, AccountsError,
    tables::{FILTERS, FilterRow, filter_key},
};

impl Accounts {
    /// Stores the filter `json` for `user`, and gives its id, [`limits::FILTER_ID_CHARS`] long. `json` is written in the one way in which the
    /// caller writes equal filters.
    ///
    /// # Errors
    /// `TooLarge` beyond [`limits::FILTER_BYTES`] and [`limits::FILTER_ROWS_PER_USER`]; the store's.
    pub async fn put_filter(&self, user: u64, json: &str) -> Result<String, AccountsError> {
        if json.len() > limits::FILTER_BYTES {
            return Err(AccountsError::TooLarge("one filter"));
        }
        let hash = Sha256::digest(json.as_bytes());
        let mut id = format!("{:032x}", u128::from_be_bytes(std::array::from_fn(|at| hash[at])));
        id.truncate(limits::FILTER_ID_CHARS);
        let key = filter_key(user, &id);
        if self.store.get(&FILTERS, &key).await?.is_some() {
            return Ok(id);
        }
        let others = ScanRange::scope(FILTERS.id(), user);
        let (others, _) = self.store.scan(&FILTERS, &others, PageLimit::rows(limits::FILTER_ROWS_PER_USER)).await?;
        if others.len() >= limits::FILTER_ROWS_PER_USER {
            return Err(AccountsError::TooLarge("filters of one user"));
        }
        let mut batch = Batch::new();
        batch.expect(key.clone(), Expect::Absent, Losing::Done(key.clone()));
        FILTERS.put(&mut batch, key, &FilterRow { json: json.to_owned() });
        match self.store.commit(batch).await {
            Ok(_) | Err(StoreError::Lost(Losing::Done(_))) => Ok(id),
            Err(error) => Err(error.into()),
        }
    }

    /// The filter of `user` with this id, as JSON. One read. `None`: there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn filter(&self, user: u64, id: &str) -> Result<Option<String>, AccountsError> {
        // What is longer is no id, and may be longer than a key.
        if id.len() != limits::FILTER_ID_CHARS {
            return Ok(None);
        }
        let found = self.store.get(&FILTERS, &filter_key(user, id)).await?;
        Ok(found.map(|found| found.row.json))
    }
}
