//! A rebalance listener, and the pattern of a subscription.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PySet, PyString};

use crate::python::{callback, gate};

/// An object with `on_partitions_revoked` and `on_partitions_assigned`.
pub(super) struct Listener(Py<PyAny>);

impl Listener {
    pub(super) fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        for method in ["on_partitions_revoked", "on_partitions_assigned"] {
            if !given.hasattr(method)? {
                return Err(PyTypeError::new_err(format!(
                    "the listener {given:?} has no {method}"
                )));
            }
        }
        Ok(Self(given.clone().unbind()))
    }

    /// For the garbage collector: a listener often holds its consumer.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }

    /// Who was written before there was `on_partitions_lost` hears of a revocation instead.
    pub(super) fn tell(&self, method: &str, partitions: &Bound<'_, PySet>) -> PyResult<()> {
        let listener = self.0.bind(partitions.py());
        let known = listener.hasattr(method)?;
        let method = if known { method } else { "on_partitions_revoked" };
        gate::call(listener.py(), || listener.call_method1(method, (partitions,))).map(drop)
    }
}

/// A compiled pattern; a topic matches as with `re.match`.
pub(super) struct Pattern(Py<PyAny>);

impl Pattern {
    pub(super) fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let compiled = match given.cast::<PyString>() {
            Ok(text) => given.py().import("re")?.call_method1("compile", (text,))?,
            Err(_) => given.clone(),
        };
        Ok(Self(compiled.getattr("match")?.unbind()))
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        gate::enter(|py| match self.0.bind(py).call1((topic,)) {
            Ok(found) => found.is_truthy().unwrap_or(false),
            Err(raised) => {
                callback::log(py, "Error in a subscription's pattern", &raised);
                false
            }
        })
        .unwrap_or(false)
    }
}
