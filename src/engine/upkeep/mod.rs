//! What falls due by time alone, and is done by whichever process is there.

pub(super) mod chores;
pub(crate) mod compact;
mod jumps;
pub(super) mod retention;
pub(super) mod rounds;
pub(super) mod tend;
