//! What falls due by time alone, and is done by whichever process is there.

pub(super) mod chores;
pub(crate) mod compact;
pub(super) mod expiry;
mod jumps;
pub(super) mod retention;
pub(super) mod rounds;
