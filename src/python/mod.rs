//! The module `brokerless._brokerless`: conversions between Python and Rust, and nothing else.

mod admin;
mod arguments;
mod assign;
mod callback;
mod compaction;
mod consumer;
mod dump;
mod errors;
mod gate;
mod logs;
mod named;
mod payload;
mod producer;
mod serde;
mod settings;
mod structs;
mod verify;
mod wait;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::client;

/// The compiled half of the Python package `brokerless`.
#[pymodule(gil_used = false)]
mod _brokerless {
    use super::{Bound, PyModule, PyResult};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::admin::{Admin, check_topic};
    #[pymodule_export]
    use super::assign::assign_partitions;
    #[pymodule_export]
    use super::compaction::compact;
    #[pymodule_export]
    use super::consumer::Consumer;
    #[pymodule_export]
    use super::consumer::record::ConsumerRecord;
    #[pymodule_export]
    use super::dump::{LogDump, dump_index, dump_snapshot, dump_time_index, dump_transactions};
    #[pymodule_export]
    use super::producer::Producer;
    #[pymodule_export]
    use super::producer::future::FutureRecordMetadata;
    #[pymodule_export]
    use super::producer::metadata::RecordMetadata;
    #[pymodule_export]
    use super::verify::verify_directory;
    #[pymodule_export]
    use super::{close_all, flush_all, murmur2};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::logs::begin();
        super::end_in_order(module)?;
        super::follow_forks(module)
    }
}

/// Nothing that was sent is lost when a program just ends. The directories are closed last:
/// what is registered later runs earlier.
fn end_in_order(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let atexit = module.py().import("atexit")?;
    for ending in [wrap_pyfunction!(close_all, module)?, wrap_pyfunction!(flush_all, module)?] {
        atexit.call_method1("register", (ending,))?;
    }
    Ok(())
}

fn follow_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let os = module.py().import("os")?;
    if !os.hasattr("register_at_fork")? {
        return Ok(());
    }
    let hooks = PyDict::new(module.py());
    hooks.set_item("before", wrap_pyfunction!(before_fork, module)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, module)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, module)?)?;
    os.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (data, /))]
fn murmur2(data: &Bound<'_, PyAny>) -> PyResult<u32> {
    let bytes = payload::Payload::new(data, "key")?;
    Ok(client::partitioner::murmur2(bytes.get().unwrap_or_default()).cast_unsigned())
}

#[pyfunction]
fn flush_all(py: Python<'_>) -> PyResult<()> {
    let flush = py.detach(client::begin_flush_all);
    Ok(wait::until(py, None, |left| flush.wait(Some(left)))??)
}

#[pyfunction]
fn close_all(py: Python<'_>) -> PyResult<()> {
    let closed = gate::close(py);
    py.detach(client::directory::close_all);
    logs::hand_over(py)?;
    closed
}

#[pyfunction]
fn before_fork() {
    client::fork::before();
    logs::before_fork();
}

#[pyfunction]
fn after_fork_in_parent() {
    logs::after_fork_in_parent();
    client::fork::after_in_parent();
}

#[pyfunction]
fn after_fork_in_child() {
    logs::after_fork_in_child();
    gate::after_fork_in_child();
    client::fork::after_in_child();
}
