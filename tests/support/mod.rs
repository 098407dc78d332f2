//! Real processes for tests: a test binary starts itself again, in a role.
//!
//! ```ignore
//! mod support;
//! use support::{Process, arg, say};
//!
//! support::roles!(writer);
//!
//! fn writer() {
//!     let dir = arg("dir");
//!     say("ready");
//! }
//!
//! #[test]
//! fn a_writer_gets_ready() {
//!     let mut writer = Process::start("writer", &[("dir", "/tmp/x")]);
//!     assert_eq!(writer.hear(), "ready");
//!     writer.kill();
//! }
//! ```
#![allow(dead_code, unused_imports)] // each test binary takes what it needs

mod ahead;
mod deadline;
mod dice;
mod loud;
mod process;

pub(crate) use ahead::Ahead;
pub(crate) use deadline::{Deadline, eventually};
pub(crate) use dice::Dice;
pub(crate) use loud::loud;
pub(crate) use process::{Process, arg, play, say};

/// Declares the functions that a [`Process`] can be started as. Adds a test, in which the
/// process lives; without a role it does nothing.
macro_rules! roles {
    ($($role:ident),+ $(,)?) => {
        #[test]
        fn in_a_role() {
            $crate::support::play(&[$((stringify!($role), $role as fn())),+]);
        }
    };
}
pub(crate) use roles;
