//! Rules apart from storage: they turn requests into records, and records into state.

pub mod assign;
pub mod group;
pub(crate) mod offsets;
pub(crate) mod schema;
