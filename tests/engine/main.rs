//! The engine through its public API, on real directories.

#![allow(clippy::unwrap_used)]

mod support;

mod admin;
mod alter;
mod calls;
mod compaction;
mod damage;
mod deaths;
mod deletion;
mod described;
mod expiry;
mod faults;
mod kafka;
mod logs;
mod losses;
mod members;
mod offsets;
mod openings;
mod producers;
mod recovery;
mod retention;
mod room;
mod seal;
mod settings;
mod swaps;
mod sync;
mod topics;
