//! Apache Kafka's log, in your process.
//!
//! A storage engine with Kafka's semantics and file formats: one data directory,
//! shared by any number of processes and threads, and no broker.

// The modules stand in the order of their layers; `tests/layers.rs` holds them to it.
pub mod config;
pub mod error;
mod planted;
pub mod types;

pub mod env;
pub mod record;

pub mod coord;

mod log;

pub mod engine;

pub mod verify;

pub mod client;

#[cfg(any(debug_assertions, fuzzing))]
#[doc(hidden)]
pub mod fuzz;

#[cfg(feature = "python")]
mod python;

pub use error::{Corruption, Error, Result};
pub use types::{Compression, IsolationLevel, TimestampType, TopicPartition};
