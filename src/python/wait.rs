//! Waits that a signal interrupts: the GIL is released, and Python's handlers run at once.

use std::time::Duration;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::{errors, logs};
use crate::client::{keepers_of, with_patience};
use crate::error::{Error, Result};

/// The longest wait without a look at Python's signals: one that comes between that look and the
/// wait, or to another thread, is noticed only then.
const SLICE: Duration = Duration::from_millis(100);

/// How long a lock is waited for by who was told to stop, and only tidies up.
const BRIEF: Duration = Duration::from_millis(5);

/// What a longer time is taken for.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Kafka's `default.api.timeout.ms`.
const API_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `call` without the GIL, and again after signals whose handlers did not raise, and for a
/// minute while another process keeps a lock that it needs.
pub(super) fn call<T: Send>(
    py: Python<'_>,
    call: impl Fn() -> Result<T> + Send + Sync,
) -> PyResult<T> {
    let called = py.detach(|| with_patience(SLICE, &call));
    logs::hand_over(py)?;
    match called {
        Err(Error::Interrupted | Error::Timeout { .. } | Error::HeldAlone { .. }) => {
            py.check_signals()?;
            within(py, Some(API_TIMEOUT), call)
        }
        other => other.map_err(|error| errors::exception(py, &error)),
    }
}

/// Whether an error is one of those that end a program, as Ctrl-C raises it.
pub(super) fn is_interrupt(py: Python<'_>, error: &PyErr) -> bool {
    !error.is_instance_of::<PyException>(py)
}

/// Runs `call` without the GIL, with little patience and once.
pub(super) fn briefly<T: Send>(
    py: Python<'_>,
    call: impl Fn() -> Result<T> + Send + Sync,
) -> PyResult<T> {
    let called = py.detach(|| with_patience(BRIEF, &call));
    logs::hand_over(py)?;
    called.map_err(|error| errors::exception(py, &error))
}

/// As [`call`], with another limit; none waits for as long as it takes.
pub(super) fn within<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    call: impl Fn() -> Result<T> + Send + Sync,
) -> PyResult<T> {
    until(py, timeout, |_| call())?.map_err(|error| errors::exception(py, &error))
}

/// Runs `wait` with what is left of `timeout`, in slices, until it gives anything but
/// [`Error::Timeout`] before the time is up.
pub(super) fn until<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    wait: impl Fn(Duration) -> Result<T> + Send + Sync,
) -> PyResult<Result<T>> {
    let deadline = Deadline::new(py, timeout)?;
    loop {
        let left = deadline.left(py)?;
        let slice = left.min(SLICE);
        let waited = py.detach(|| with_patience(slice, || wait(slice)));
        logs::hand_over(py)?;
        match waited {
            Err(Error::Interrupted) => {}
            Err(Error::Timeout { .. } | Error::HeldAlone { .. }) if left > SLICE => {}
            Err(Error::Timeout { what, .. }) => {
                let after = timeout.unwrap_or_default();
                return Ok(Err(Error::Timeout { what, after }));
            }
            Err(Error::HeldAlone { path, .. }) => {
                let (after, keepers) = (timeout.unwrap_or_default(), keepers_of(&path));
                return Ok(Err(Error::HeldAlone { path, after, keepers }));
            }
            other => return Ok(other),
        }
        py.check_signals()?;
    }
}

/// When a wait ends, by Python's monotonic clock.
pub(super) struct Deadline(Option<f64>);

impl Deadline {
    pub(super) fn new(py: Python<'_>, timeout: Option<Duration>) -> PyResult<Self> {
        Ok(Self(match timeout {
            Some(timeout) if timeout.is_zero() => Some(0.0),
            Some(timeout) => Some(monotonic(py)? + timeout.as_secs_f64()),
            None => None,
        }))
    }

    /// The time left; none at the end.
    pub(super) fn left(&self, py: Python<'_>) -> PyResult<Duration> {
        Ok(match self.0 {
            Some(0.0) => Duration::ZERO,
            Some(end) => Duration::from_secs_f64((end - monotonic(py)?).clamp(0.0, 1e9)),
            None => FOREVER,
        })
    }
}

/// Python's monotonic clock, in seconds.
pub(super) fn monotonic(py: Python<'_>) -> PyResult<f64> {
    static MONOTONIC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MONOTONIC.import(py, "time", "monotonic")?.call0()?.extract()
}

/// A timeout in seconds; None waits for as long as it takes.
pub(super) fn seconds(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    timeout.map(|timeout| duration(py, timeout, 1.0)).transpose()
}

/// A timeout in milliseconds, or the one for calls that name none.
pub(super) fn millis_or(
    py: Python<'_>,
    timeout: Option<f64>,
    default: Duration,
) -> PyResult<Duration> {
    timeout.map_or(Ok(default), |timeout| millis(py, timeout))
}

/// A timeout in milliseconds.
pub(super) fn millis(py: Python<'_>, timeout: f64) -> PyResult<Duration> {
    duration(py, timeout, 1000.0)
}

fn duration(py: Python<'_>, time: f64, units_per_second: f64) -> PyResult<Duration> {
    if time.is_nan() || time < 0.0 {
        return Err(errors::argument_value(py, "a timeout must not be negative"));
    }
    Ok(Duration::try_from_secs_f64(time / units_per_second)
        .map_or(FOREVER, |time| time.min(FOREVER)))
}
