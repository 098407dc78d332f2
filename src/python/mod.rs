//! The module `brokerless._brokerless`: conversions between Python and Rust, and nothing else.

use pyo3::prelude::*;

/// The compiled part of the package.
#[pymodule]
mod _brokerless {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
