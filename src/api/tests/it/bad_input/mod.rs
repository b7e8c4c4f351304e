//! Bad input on each endpoint: the error that the specification names, never a failure of the server's own, and nothing stored.
//!
//! Each mounted endpoint gets the *kinds* of bad input that its method and path allow, by itself ([`kinds`]). What is known of an
//! endpoint beyond that (fields of its body, parameters of its query) is one line in [`rows`], and what only it can get wrong is a line
//! in [`cases`].

mod cases;
mod kinds;
mod rows;
mod state;
mod ward;
