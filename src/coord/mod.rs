//! Rules apart from storage: they turn requests into records, and records into state.

pub(crate) mod offsets;
pub(crate) mod schema;
