//! [`FutureRecordMetadata`]: the result of one `send`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::client::{Delivery, DeliveryResult};
use crate::error::Error;
use crate::python::callback::{self, Callback};
use crate::python::gate;
use crate::python::producer::metadata::{RecordMetadata, Sizes};
use crate::python::{errors, wait};

/// The result of one `send`, or of one `send_many`.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(crate) struct FutureRecordMetadata {
    pending: Pending,
    sizes: Sizes,
    /// What the user sees, made when first asked for.
    outcome: PyOnceLock<Outcome>,
}

enum Pending {
    One(Delivery),
    /// One of each batch, and how many records stand before its first; never empty, and the last
    /// one is the last record's.
    Many(Box<[(usize, Delivery)]>),
}

enum Outcome {
    Value(Py<RecordMetadata>),
    Exception(Py<PyAny>),
}

/// Which results a callback is for.
#[derive(Clone, Copy)]
enum On {
    Success,
    Failure,
}

impl FutureRecordMetadata {
    pub(super) fn new(delivery: Delivery, sizes: Sizes) -> Self {
        Self { pending: Pending::One(delivery), sizes, outcome: PyOnceLock::new() }
    }

    /// The future of several records; `sizes` are the last one's.
    pub(super) fn of_many(deliveries: Vec<(usize, Delivery)>, sizes: Sizes) -> Self {
        let pending = Pending::Many(deliveries.into_boxed_slice());
        Self { pending, sizes, outcome: PyOnceLock::new() }
    }

    fn done(&self) -> bool {
        match &self.pending {
            Pending::One(delivery) => delivery.is_done(),
            Pending::Many(all) => all.iter().all(|(_, delivery)| delivery.is_done()),
        }
    }

    fn result(&self) -> Option<DeliveryResult> {
        match &self.pending {
            Pending::One(delivery) => delivery.result(),
            Pending::Many(all) => all_results(all),
        }
    }

    fn outcome(&self, py: Python<'_>) -> PyResult<Option<&Outcome>> {
        if let Some(outcome) = self.outcome.get(py) {
            return Ok(Some(outcome));
        }
        self.result().map(|result| self.settle(py, &result)).transpose()
    }

    fn settle(&self, py: Python<'_>, result: &DeliveryResult) -> PyResult<&Outcome> {
        self.outcome.get_or_try_init(py, || {
            Ok(match result {
                Ok(sent) => Outcome::Value(Py::new(py, RecordMetadata::of(sent, self.sizes))?),
                Err(error) => {
                    let raised = errors::exception(py, error);
                    if let Pending::Many(all) = &self.pending {
                        errors::tell_sent(py, &raised, sent_before_failure(all));
                    }
                    Outcome::Exception(raised.into_value(py).into_any())
                }
            })
        })
    }

    /// Calls back with the result that is known if it is of the kind asked for.
    fn run(
        &self,
        py: Python<'_>,
        result: &DeliveryResult,
        on: On,
        call: &Callback,
    ) -> PyResult<()> {
        match (self.settle(py, result)?, on) {
            (Outcome::Value(value), On::Success) => {
                gate::call(py, || call.call(py, value.bind(py)))
            }
            (Outcome::Exception(raised), On::Failure) => {
                gate::call(py, || call.call(py, raised.bind(py)))
            }
            _ => Ok(()),
        }
    }

    /// Runs `then` once: now if the record is complete, else in the thread that completes it.
    fn when_done(&self, then: impl FnOnce(&DeliveryResult) + Send + 'static) {
        match &self.pending {
            Pending::One(delivery) => delivery.on_done(Box::new(then)),
            Pending::Many(all) => when_all_done(all, then),
        }
    }
}

/// The first failure, or the last record's metadata; none while one is pending.
fn all_results(all: &[(usize, Delivery)]) -> Option<DeliveryResult> {
    let results = all.iter().map(|(before, delivery)| Some((*before, delivery.result()?)));
    let mut results = results.collect::<Option<Vec<_>>>()?;
    let failures = results.iter().enumerate().filter(|(_, (_, result))| result.is_err());
    match failures.min_by_key(|(_, (before, _))| *before) {
        Some((first, _)) => Some(results.swap_remove(first).1),
        None => results.pop().map(|(_, result)| result),
    }
}

/// How many records stand before the first that failed: all these were sent.
fn sent_before_failure(all: &[(usize, Delivery)]) -> usize {
    let failed = |delivery: &Delivery| delivery.result().is_some_and(|result| result.is_err());
    let failures = all.iter().filter(|(_, delivery)| failed(delivery));
    failures.map(|(before, _)| *before).min().unwrap_or(0)
}

fn when_all_done(all: &[(usize, Delivery)], then: impl FnOnce(&DeliveryResult) + Send + 'static) {
    struct Rest<F> {
        left: AtomicUsize,
        deliveries: Box<[(usize, Delivery)]>,
        then: std::sync::Mutex<Option<F>>,
    }
    let rest = Arc::new(Rest {
        left: AtomicUsize::new(all.len()),
        deliveries: all.into(),
        then: std::sync::Mutex::new(Some(then)),
    });
    for (_, delivery) in all {
        let rest = Arc::clone(&rest);
        delivery.on_done(Box::new(move |result| {
            if rest.left.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
            let then = rest.then.lock().ok().and_then(|mut then| then.take());
            let whole = all_results(&rest.deliveries);
            if let Some(then) = then {
                then(whole.as_ref().unwrap_or(result));
            }
        }));
    }
}

fn add(this: &Bound<'_, FutureRecordMetadata>, on: On, callback: Callback) -> PyResult<()> {
    let py = this.py();
    let future = this.get();
    if let Some(result) = future.result() {
        return match future.run(py, &result, on, &callback) {
            Err(raised) => callback::log_exception(py, "Error processing callback", raised),
            Ok(()) => Ok(()),
        };
    }
    // The future is not held: many that wait for their callbacks keep the garbage collector busy.
    let sizes = future.sizes;
    future.when_done(move |result| {
        // None: the interpreter is gone, and with it everybody who could want to know.
        gate::enter(|py| {
            if let Err(raised) = run_later(py, result, on, &callback, sizes) {
                callback::log(py, "Error processing callback", &raised);
            }
        });
    });
    Ok(())
}

/// Calls back with a result of its own making if it is of the kind asked for.
fn run_later(
    py: Python<'_>,
    result: &DeliveryResult,
    on: On,
    callback: &Callback,
    sizes: Sizes,
) -> PyResult<()> {
    match (result, on) {
        (Ok(sent), On::Success) => {
            callback.call(py, Bound::new(py, RecordMetadata::of(sent, sizes))?.as_any())
        }
        (Err(error), On::Failure) => {
            callback.call(py, errors::exception(py, error).into_value(py).bind(py).as_any())
        }
        _ => Ok(()),
    }
}

#[pymethods]
impl FutureRecordMetadata {
    #[getter]
    fn is_done(&self) -> bool {
        self.done()
    }

    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Option<Py<RecordMetadata>>> {
        Ok(match self.outcome(py)? {
            Some(Outcome::Value(value)) => Some(value.clone_ref(py)),
            _ => None,
        })
    }

    #[getter]
    fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(match self.outcome(py)? {
            Some(Outcome::Exception(raised)) => Some(raised.clone_ref(py)),
            _ => None,
        })
    }

    fn succeeded(&self) -> bool {
        matches!(self.result(), Some(Ok(_)))
    }

    fn failed(&self) -> bool {
        matches!(self.result(), Some(Err(_)))
    }

    fn retriable(&self) -> bool {
        matches!(self.result(), Some(Err(error)) if error.is_retriable())
    }

    #[pyo3(signature = (timeout=None))]
    fn get(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<RecordMetadata>> {
        let outcome = match self.outcome(py)? {
            Some(outcome) => outcome,
            None => self.settle(py, &self.wait(py, timeout)?)?,
        };
        match outcome {
            Outcome::Value(value) => Ok(value.clone_ref(py)),
            Outcome::Exception(raised) => Err(PyErr::from_value(raised.bind(py).clone())),
        }
    }

    #[pyo3(signature = (f, /, *args, **kwargs))]
    fn add_callback<'py>(
        this: Bound<'py, Self>,
        f: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        add(&this, On::Success, Callback::new(f, args, kwargs))?;
        Ok(this)
    }

    #[pyo3(signature = (f, /, *args, **kwargs))]
    fn add_errback<'py>(
        this: Bound<'py, Self>,
        f: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        add(&this, On::Failure, Callback::new(f, args, kwargs))?;
        Ok(this)
    }

    #[pyo3(signature = (f, /, *args, **kwargs))]
    fn add_both<'py>(
        this: Bound<'py, Self>,
        f: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        add(&this, On::Success, Callback::new(f, args, kwargs))?;
        add(&this, On::Failure, Callback::new(f, args, kwargs))?;
        Ok(this)
    }

    #[pyo3(signature = (future, /))]
    fn chain<'py>(
        this: Bound<'py, Self>,
        future: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        add(&this, On::Success, Callback::plain(&future.getattr("success")?))?;
        add(&this, On::Failure, Callback::plain(&future.getattr("failure")?))?;
        Ok(this)
    }

    /// Awaits it in the running asyncio loop.
    fn __await__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
        let waiter = event_loop.call_method0("create_future")?;
        if this.get().done() {
            resolve(&waiter, this)?;
        } else {
            let (event_loop, target, future) =
                (event_loop.unbind(), waiter.clone().unbind(), this.clone().unbind());
            this.get().when_done(move |_| {
                gate::enter(|py| {
                    // A closed loop has nobody left who awaits.
                    let _ = wrap_pyfunction!(resolve, py).and_then(|resolve| {
                        event_loop.call_method1(
                            py,
                            "call_soon_threadsafe",
                            (resolve, target, future),
                        )
                    });
                });
            });
        }
        waiter.call_method0("__await__")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match self.outcome(py)? {
            None => "<FutureRecordMetadata pending>".to_owned(),
            Some(Outcome::Value(value)) => {
                format!("<FutureRecordMetadata {}>", value.bind(py).repr()?)
            }
            Some(Outcome::Exception(raised)) => {
                format!("<FutureRecordMetadata failed: {}>", raised.bind(py).repr()?)
            }
        })
    }
}

/// Hands a result to the asyncio future that waits for it, in its loop.
#[pyfunction]
fn resolve(waiter: &Bound<'_, PyAny>, future: &Bound<'_, FutureRecordMetadata>) -> PyResult<()> {
    let py = waiter.py();
    if waiter.call_method0("done")?.is_truthy()? {
        return Ok(()); // cancelled
    }
    match future.get().outcome(py)? {
        Some(Outcome::Value(value)) => waiter.call_method1("set_result", (value,))?,
        Some(Outcome::Exception(raised)) => waiter.call_method1("set_exception", (raised,))?,
        None => return Err(errors::illegal_state(py, "the future is not complete")),
    };
    Ok(())
}

impl FutureRecordMetadata {
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<DeliveryResult> {
        let limit = wait::seconds(py, timeout)?;
        let waited = match &self.pending {
            Pending::One(delivery) => wait::until(py, limit, |left| delivery.wait(Some(left)))?,
            Pending::Many(all) => wait::until(py, limit, |left| wait_for_all(all, left))?,
        };
        waited.map_err(|error| match error {
            Error::Timeout { .. } => errors::named(
                py,
                "KafkaTimeoutError",
                format!(
                    "the record was not acknowledged within {} seconds",
                    timeout.unwrap_or(0.0)
                ),
            ),
            other => other.into(),
        })
    }
}

/// Waits for each in turn; they complete in nearly this order.
fn wait_for_all(
    all: &[(usize, Delivery)],
    timeout: Duration,
) -> crate::error::Result<DeliveryResult> {
    for (_, delivery) in all {
        drop(delivery.wait(Some(timeout))?);
    }
    all_results(all).ok_or(Error::IllegalState("a delivery is not complete after its wait"))
}
