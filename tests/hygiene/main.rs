//! What lies in a directory is the user's alone, and is not trusted.

#![allow(clippy::unwrap_used)]

mod bombs;
mod busy;
mod modes;
mod names;
mod planted;
mod shared_files;
#[path = "../support/mod.rs"]
mod support;

use bombs::{careful_reader, patient_reader};
use modes::worker;
use shared_files::unlucky;

support::roles!(worker, unlucky, careful_reader, patient_reader);
