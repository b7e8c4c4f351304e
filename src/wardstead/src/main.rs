//! wardstead
fn main() {}
