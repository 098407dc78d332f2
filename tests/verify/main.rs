//! The check of a directory, and its repair.

#![allow(clippy::unwrap_used)]

mod cases;
mod support;

mod disk;
mod dump;
mod golden;
mod killed;
mod kinds;
mod live;
mod told;
