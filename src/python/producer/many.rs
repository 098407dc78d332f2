//! The records of one call of `send_many`: whole runs of them at once, and one future for all.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyBytesMethods, PyList};

use super::{Common, Open};
use crate::client::{Delivery, Outgoing};
use crate::python::errors;
use crate::python::payload::headers_size;
use crate::python::producer::future::FutureRecordMetadata;
use crate::python::producer::metadata::Sizes;

impl Open {
    /// Sends a record for each of `values`, with the key beside it if there are keys.
    pub(super) fn send_many<'py>(
        &self,
        common: &Common<'_, 'py>,
        values: &Bound<'py, PyAny>,
        keys: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<FutureRecordMetadata> {
        let py = values.py();
        let none = py.None().into_bound(py);
        if keys.is_none()
            && self.key.is_none()
            && self.value.is_none()
            && self.partitioner.is_none()
            && let Ok(list) = values.cast_exact::<PyList>()
        {
            return self.send_list(common, list);
        }
        let mut keys = keys.map(PyAnyMethods::try_iter).transpose()?;
        let mut batches = Batches::default();
        let mut send = |value: &Bound<'py, PyAny>| -> PyResult<()> {
            let (delivery, sizes) = match &mut keys {
                None => self.send(common, value, &none)?,
                Some(keys) => {
                    let missing = || errors::argument_value(py, "there are fewer keys than values");
                    let key = keys.next().ok_or_else(missing)??;
                    self.send(common, value, &key)?
                }
            };
            batches.add(1, delivery, sizes);
            Ok(())
        };
        let all = match values.cast_exact::<PyList>() {
            Ok(list) => list.iter().try_for_each(|value| send(&value)),
            Err(_) => values.try_iter()?.try_for_each(|value| send(&value?)),
        };
        all.map_err(|error| batches.tell(py, error))?;
        batches
            .into_future()
            .ok_or_else(|| errors::argument_value(py, "there are no values to send"))
    }

    /// Sends values as they are, whole runs of them at once.
    fn send_list(
        &self,
        common: &Common<'_, '_>,
        values: &Bound<'_, PyList>,
    ) -> PyResult<FutureRecordMetadata> {
        let py = values.py();
        let none = py.None().into_bound(py);
        let values: Vec<_> = values.iter().collect();
        let mut batches = Batches::default();
        let mut rest = &values[..];
        while !rest.is_empty() {
            let run = leading_bytes(rest);
            let mut sent = 0;
            while sent < run.len().max(1) {
                let more = self.send_run(common, run.get(sent..).unwrap_or_default(), &mut batches);
                if more == 0 {
                    let one = self.send(common, &rest[sent], &none);
                    let (delivery, sizes) = one.map_err(|error| batches.tell(py, error))?;
                    batches.add(1, delivery, sizes);
                }
                sent += more.max(1);
            }
            rest = &rest[sent..];
        }
        let empty = || errors::argument_value(py, "there are no values to send");
        batches.into_future().ok_or_else(empty)
    }

    /// Sends the first of `values` without waiting, and gives how many.
    fn send_run(&self, common: &Common<'_, '_>, values: &[&[u8]], batches: &mut Batches) -> usize {
        let like = Outgoing {
            topic: common.topic_name,
            partition: common.partition,
            timestamp: common.timestamp,
            key: None,
            value: None,
            headers: common.encoded_headers,
        };
        let Some((count, delivery)) = self.client.try_send_run(&like, values) else {
            return 0;
        };
        let value = values[count - 1].len() as i32;
        let headers = headers_size(common.encoded_headers);
        batches.add(count, delivery, Sizes { key: -1, value, headers });
        count
    }
}

/// The first values that are plain bytes, up to as many as one call is worth.
fn leading_bytes<'a>(values: &'a [Bound<'_, PyAny>]) -> Vec<&'a [u8]> {
    values
        .iter()
        .take(LONGEST_RUN)
        .map_while(|value| value.cast_exact::<PyBytes>().ok())
        .map(PyBytesMethods::as_bytes)
        .collect()
}

const LONGEST_RUN: usize = 4096;

/// So many open batches are recognized; one of more is kept twice, which is no harm.
const LOOK_BACK: usize = 64;

/// One delivery of each batch that the records of one call went to, and how many of them stand
/// before its first.
#[derive(Default)]
struct Batches {
    deliveries: Vec<(usize, Delivery)>,
    last: Option<(usize, Delivery, Sizes)>,
    records: usize,
}

impl Batches {
    fn add(&mut self, records: usize, delivery: Delivery, sizes: Sizes) {
        let first = match &self.last {
            Some((first, last, _)) if last.same_batch(&delivery) => *first,
            _ => self.records,
        };
        self.records += records;
        let Some((before, last, _)) = self.last.replace((first, delivery, sizes)) else { return };
        let mut known = self.deliveries.iter().rev().take(LOOK_BACK);
        if before != first && !known.any(|(_, known)| known.same_batch(&last)) {
            self.deliveries.push((before, last));
        }
    }

    /// Has the error of a record say how many were sent before it.
    fn tell(&self, py: Python<'_>, error: PyErr) -> PyErr {
        errors::tell_sent(py, &error, self.records);
        error
    }

    fn into_future(mut self) -> Option<FutureRecordMetadata> {
        let (first, last, sizes) = self.last?;
        self.deliveries.push((first, last));
        Some(FutureRecordMetadata::of_many(self.deliveries, sizes))
    }
}
