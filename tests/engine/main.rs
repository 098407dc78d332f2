//! The engine through its public API, on real directories.

#![allow(clippy::unwrap_used)]

mod support;

mod compaction;
mod damage;
mod faults;
mod groups;
mod kafka;
mod logs;
mod members;
mod recovery;
mod settings;
mod tend;
mod topics;
