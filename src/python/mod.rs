//! The Python module `brokerless._brokerless`: conversions and nothing else.

#![allow(dead_code)] // the clients that use these come next

mod errors;
mod metadata;
mod named;
mod record;
mod structs;

use pyo3::prelude::*;

/// The compiled half of the Python package `brokerless`.
#[pymodule(gil_used = false)]
mod _brokerless {
    #[pymodule_export]
    use super::metadata::RecordMetadata;
    #[pymodule_export]
    use super::record::ConsumerRecord;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
