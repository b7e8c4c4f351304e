//! Committers and tails of several nodes under every order of their steps.

mod explore;
mod interleavings;
mod world;
