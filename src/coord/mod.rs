//! Rules apart from storage: they turn requests into records, and records into state.

pub mod assign;
pub mod group;
pub(crate) mod offsets;
mod planted;
#[allow(dead_code, unused_imports, reason = "the groups that use it all are being built")]
pub(crate) mod schema;
