//! An open consumer: how it polls, and what it has in hand.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet};

use crate::client::{Consumer, Polled, Step, directory};
use crate::config::Assignor;
use crate::error::Error;
use crate::python::consumer::iteration::{Iteration, Next};
use crate::python::consumer::listener::Listener;
use crate::python::consumer::pace::Pace;
use crate::python::consumer::polled::{Failed, Reader, first_offset};
use crate::python::consumer::rebalance::Settled;
use crate::python::consumer::record::ConsumerRecord;
use crate::python::settings::Settings;
use crate::python::wait::{self, Deadline};
use crate::python::{errors, logs};
use crate::types::TopicPartition;

/// The longest poll without a look at Python's signals.
const SLICE: Duration = Duration::from_millis(100);

/// What a consumer is once its directory is open.
pub(super) struct Session {
    pub(super) client: Consumer,
    pub(super) directory: String,
    pub(super) reader: Reader,
    pub(super) listener: Mutex<Option<Arc<Listener>>>,
    /// The thread that is in the listener.
    pub(super) teller: Mutex<Option<ThreadId>>,
    /// What the listener raised first since the rebalance began.
    pub(super) raised: Mutex<Option<PyErr>>,
    /// The user's own ways to share partitions, if there are any.
    pub(super) strategies: Option<Py<PyAny>>,
    /// How long an iteration waits for a record.
    timeout: Option<Duration>,
    /// How long a call may take that says nothing of it.
    pub(super) api_timeout: Duration,
    iteration: Mutex<Iteration>,
    /// A thread is filling `iteration`.
    iterated: AtomicBool,
    pace: Mutex<Pace>,
    /// Some of `iteration` may have been sought, paused or given up.
    pub(super) touched: AtomicBool,
    /// The next poll raises it, unless its partition was sought meanwhile.
    failed: Mutex<Option<Failed>>,
}

impl Session {
    pub(super) fn new(
        py: Python<'_>,
        path: &str,
        settings: &Settings<'_, '_>,
        strategies: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut config = settings.consumer()?;
        if let Some(strategies) = strategies {
            config.assignors = strategies
                .getattr("offered")?
                .extract::<Vec<_>>()?
                .into_iter()
                .map(assignor)
                .collect();
        }
        let own = config.assignors.iter().any(|assignor| assignor.own);
        let strategies = strategies.filter(|_| own).map(|given| given.clone().unbind());
        let options = settings.open_options()?;
        let key = settings.codec("key_deserializer", "deserialize")?;
        let value = settings.codec("value_deserializer", "deserialize")?;
        let client = wait::call(py, || {
            Consumer::new(directory::open(Path::new(path), options)?, config.clone())
        })?;
        Ok(Self {
            client,
            directory: path.to_owned(),
            reader: Reader::new(key, value),
            listener: Mutex::default(),
            teller: Mutex::default(),
            raised: Mutex::default(),
            strategies,
            timeout: settings.consumer_timeout()?,
            api_timeout: settings.api_timeout()?,
            iteration: Mutex::default(),
            iterated: AtomicBool::new(false),
            pace: Mutex::default(),
            touched: AtomicBool::new(false),
            failed: Mutex::default(),
        })
    }

    /// For the garbage collector, which must not wait: what is in use is not garbage.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        for codec in self.reader.codecs() {
            codec.traverse(visit)?;
        }
        if let Some(strategies) = &self.strategies {
            visit.call(strategies)?;
        }
        match self.listener.try_lock() {
            Ok(listener) => listener.iter().try_for_each(|listener| listener.traverse(visit)),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn iteration(&self) -> MutexGuard<'_, Iteration> {
        lock(&self.iteration)
    }

    pub(super) fn next(&self, py: Python<'_>) -> PyResult<Option<Py<ConsumerRecord>>> {
        if !self.touched.load(Ordering::Relaxed)
            && let Some(record) = self.iteration().ready()
        {
            return Ok(Some(record));
        }
        self.next_made(py)
    }

    /// The next record, for which others may have to be polled or made first.
    fn next_made(&self, py: Python<'_>) -> PyResult<Option<Py<ConsumerRecord>>> {
        let _turn = Turn::take(&self.iterated)?;
        loop {
            if self.touched.load(Ordering::Relaxed) {
                self.touched.store(false, Ordering::Relaxed);
                drop(self.drop_stale());
                if self.client.is_closed() {
                    self.touched.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
            }
            let next = self.iteration().next(&self.client);
            match next {
                Next::Record(record) => return Ok(Some(record)),
                Next::Batch(polled) => {
                    let made = self.reader.read(py, &polled)?;
                    self.iteration().begin(polled, made);
                }
                Next::Failed(failed) => return Err(failed.error),
                Next::Nothing => {
                    if !self.refill(py)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Polls for the iteration; false when the time is up or the consumer is closed.
    fn refill(&self, py: Python<'_>) -> PyResult<bool> {
        let most = self.client.config().max_poll_records;
        let now = wait::monotonic(py)?;
        let records = lock(&self.pace).next(now, most);
        let polled = self.wait_for_records(py, self.timeout, records, true)?;
        let Some(polled) = polled.filter(|polled| !polled.is_empty()) else {
            return Ok(false);
        };
        self.iteration().fill(polled);
        let now = wait::monotonic(py)?;
        lock(&self.pace).begin(now);
        Ok(true)
    }

    /// Makes the record that failed the next one of its partition.
    fn rewind(&self, failed: Failed) -> Failed {
        // It fails where the partition was given up meanwhile, and then nothing is due.
        let _ = self.client.seek(&failed.partition, failed.offset);
        self.touched.store(true, Ordering::Relaxed);
        failed
    }

    /// Makes all of these come again.
    fn rewind_all(&self, all: &[Polled]) {
        for polled in all.iter().rev() {
            let _ = self.client.seek(polled.topic_partition(), first_offset(polled));
        }
    }

    /// Takes everything out of the iteration; it is to be dropped under no lock.
    pub(super) fn drain_iteration(&self) -> Iteration {
        self.iteration().take_all(&self.client)
    }

    pub(super) fn drop_stale(&self) -> Iteration {
        self.iteration().take_stale(&self.client)
    }

    /// Polls until there are records or the time is up; none when closed meanwhile.
    pub(super) fn wait_for_records(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        max_records: usize,
        ahead: bool,
    ) -> PyResult<Option<Vec<Polled>>> {
        let deadline = Deadline::new(py, timeout)?;
        loop {
            let left = deadline.left(py)?;
            let slice = left.min(SLICE);
            if self.has_raised() {
                match self.settle(py, slice) {
                    Ok(Settled::Now) => self.raise(py)?,
                    Ok(Settled::Step(step)) => self.carry_out(py, &step)?,
                    Ok(Settled::NotYet) if left == slice => return Ok(Some(Vec::new())),
                    Ok(Settled::NotYet) => {}
                    Err(Error::Closed(_)) => return Ok(None),
                    Err(error) => return Err(errors::exception(py, &error)),
                }
                py.check_signals()?;
                continue;
            }
            let step = py.detach(|| {
                if ahead {
                    self.client.poll_ahead(slice, max_records)
                } else {
                    self.client.poll(slice, max_records)
                }
            });
            if let Err(raised) = logs::hand_over(py) {
                if let Ok(Step::Records(polled)) = &step {
                    self.rewind_all(polled);
                }
                return Err(raised);
            }
            match step {
                Ok(Step::Records(polled)) if !polled.is_empty() || left == slice => {
                    return Ok(Some(polled));
                }
                Ok(Step::Records(_) | Step::Interrupted) | Err(Error::Interrupted) => {}
                Ok(step) => self.carry_out(py, &step)?,
                Err(Error::Closed(_)) => return Ok(None),
                Err(error) => return Err(errors::exception(py, &error)),
            }
            py.check_signals()?;
        }
    }

    /// The records by partition, up to the first of each that cannot be made.
    pub(super) fn to_dict<'py>(
        &self,
        py: Python<'py>,
        all: &[Polled],
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut lists: Vec<(&TopicPartition, Vec<Py<ConsumerRecord>>)> = Vec::new();
        let mut failures: Vec<Failed> = Vec::new();
        for polled in all {
            let partition = polled.topic_partition();
            if failures.iter().any(|failed| failed.partition == *partition) {
                continue;
            }
            let made = self.reader.read(py, polled)?;
            if let Some(failed) = made.failed {
                if !failed.error.is_instance_of::<PyException>(py) {
                    self.rewind_all(all);
                    return Err(failed.error); // Ctrl-C, and nothing was handed out
                }
                failures.push(self.rewind(failed));
            }
            match lists.iter_mut().rev().find(|(known, _)| *known == partition) {
                Some((_, records)) => records.extend(made.records),
                None => lists.push((partition, made.records)),
            }
        }
        let dict = PyDict::new(py);
        for (partition, records) in lists.into_iter().filter(|(_, records)| !records.is_empty()) {
            dict.set_item(self.pair(py, partition)?, PyList::new(py, records)?)?;
        }
        match failures.into_iter().next() {
            Some(failed) if dict.is_empty() => Err(failed.error),
            Some(failed) => {
                let _earlier = lock(&self.failed).replace(failed);
                Ok(dict)
            }
            None => Ok(dict),
        }
    }

    /// Raises what a record of the poll before failed with, if it is still the next one.
    pub(super) fn raise_failed(&self, py: Python<'_>) -> PyResult<()> {
        let Some(failed) = lock(&self.failed).take() else {
            return Ok(());
        };
        match py.detach(|| self.client.position(&failed.partition)) {
            Ok(position) if position == failed.offset => Err(failed.error),
            _ => Ok(()),
        }
    }

    pub(super) fn set_listener(&self, listener: Option<Arc<Listener>>) {
        let _before = std::mem::replace(&mut *lock(&self.listener), listener);
    }

    /// Records in hand may be stale from now on.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    pub(super) fn pair<'py>(
        &self,
        py: Python<'py>,
        partition: &TopicPartition,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.reader.place(py, partition)?.get().pair(py))
    }

    pub(super) fn set_of<'py>(
        &self,
        py: Python<'py>,
        partitions: &[TopicPartition],
    ) -> PyResult<Bound<'py, PySet>> {
        let set = PySet::empty(py)?;
        for partition in partitions {
            set.add(self.pair(py, partition)?)?;
        }
        Ok(set)
    }

    pub(super) fn dict_of<'py>(
        &self,
        py: Python<'py>,
        offsets: Vec<(TopicPartition, i64)>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (partition, offset) in offsets {
            dict.set_item(self.pair(py, &partition)?, offset)?;
        }
        Ok(dict)
    }
}

/// A strategy as `brokerless.assignors` describes it: its name, whether it is cooperative, whether
/// it is the user's own.
fn assignor((name, cooperative, own): (String, bool, bool)) -> Assignor {
    Assignor { name, cooperative, own }
}

/// The one thread that fills the iteration: two would give records twice.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(taken: &'a AtomicBool) -> PyResult<Self> {
        if taken.swap(true, Ordering::Acquire) {
            let why = "another thread iterates this consumer: one consumer per thread, or poll()";
            return Err(PyValueError::new_err(why));
        }
        Ok(Self(taken))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
