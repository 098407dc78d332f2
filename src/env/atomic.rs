//! The atomics of the code that `tests/races` runs through every interleaving: there, this module
//! has those of the checker.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
