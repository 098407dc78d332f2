//! The user's functions, called with nothing locked.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A function and the arguments that come before and beside its last one.
pub(super) struct Callback {
    function: Py<PyAny>,
    before: Option<Py<PyTuple>>,
    beside: Option<Py<PyDict>>,
}

impl Callback {
    pub(super) fn new(
        function: &Bound<'_, PyAny>,
        before: &Bound<'_, PyTuple>,
        beside: Option<&Bound<'_, PyDict>>,
    ) -> Self {
        Self {
            function: function.clone().unbind(),
            before: (!before.is_empty()).then(|| before.clone().unbind()),
            beside: beside
                .filter(|beside| !beside.is_empty())
                .map(|beside| beside.clone().unbind()),
        }
    }

    pub(super) fn plain(function: &Bound<'_, PyAny>) -> Self {
        Self { function: function.clone().unbind(), before: None, beside: None }
    }

    /// Calls it as `functools.partial` would.
    pub(super) fn call(&self, py: Python<'_>, last: &Bound<'_, PyAny>) -> PyResult<()> {
        let function = self.function.bind(py);
        if self.before.is_none() && self.beside.is_none() {
            return function.call1((last,)).map(drop);
        }
        let last = PyTuple::new(py, [last])?;
        let args = match &self.before {
            Some(before) => before.bind(py).as_sequence().concat(last.as_sequence())?.to_tuple()?,
            None => last,
        };
        let kwargs = self.beside.as_ref().map(|beside| beside.bind(py));
        function.call(args, kwargs).map(drop)
    }
}

/// Logs what a user's function raised. What is no `Exception` (Ctrl-C) is given back.
pub(super) fn log_exception(py: Python<'_>, what: &str, raised: PyErr) -> PyResult<()> {
    if !raised.is_instance_of::<PyException>(py) {
        return Err(raised);
    }
    log(py, what, &raised);
    Ok(())
}

/// Logs what a user's function raised in a thread of ours.
pub(super) fn log(py: Python<'_>, what: &str, raised: &PyErr) {
    let logged = py.import("logging").and_then(|logging| {
        let logger = logging.call_method1("getLogger", ("brokerless",))?;
        let details = PyDict::new(py);
        details.set_item("exc_info", raised.clone_ref(py))?;
        logger.call_method("error", (what,), Some(&details))
    });
    if logged.is_err() {
        raised.print(py);
    }
}
