//! Producers and consumers on a real directory.

#![allow(clippy::unwrap_used)] // In tests, also outside their functions.

#[path = "../support/ahead.rs"]
mod ahead;
mod assignments;
mod closing;
mod consumer;
mod faults;
mod golden;
mod groups;
mod history;
mod offsets;
mod producer;
mod settings;
mod shared;
mod tending;
