//! What lies in a directory is the user's alone, and is not trusted.

#![allow(clippy::unwrap_used)]

mod busy;
mod modes;
mod names;
mod planted;
#[path = "../support/mod.rs"]
mod support;

use modes::worker;

support::roles!(worker);
