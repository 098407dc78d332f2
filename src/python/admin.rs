//! [`Admin`]: the topics of one directory.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::groups::{self, Described, Failure, Named};
use super::{arguments, structs, wait};
use crate::client::{Engine, OpenOptions, directory};
use crate::error::Error;

/// The administration of one directory.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(super) struct Admin(Mutex<Option<Arc<Engine>>>);

impl Admin {
    fn engine(&self) -> PyResult<Arc<Engine>> {
        let engine = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        engine.ok_or_else(|| Error::Closed("admin client").into())
    }
}

#[pymethods]
impl Admin {
    #[new]
    #[pyo3(signature = (directory, *, read_only=false, allow_network_fs=false))]
    fn from_python(
        py: Python<'_>,
        directory: &str,
        read_only: bool,
        allow_network_fs: bool,
    ) -> PyResult<Self> {
        let options = OpenOptions { read_only, allow_network_fs };
        let engine = wait::call(py, || directory::open(Path::new(directory), options))?;
        Ok(Self(Mutex::new(Some(engine))))
    }

    #[pyo3(signature = (name, partitions=None, settings=None))]
    fn create_topic(
        &self,
        py: Python<'_>,
        name: &str,
        partitions: Option<i32>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let engine = self.engine()?;
        let settings = settings
            .into_iter()
            .flatten()
            .map(|(name, value)| Ok((name.str()?.to_string(), value.str()?.to_string())))
            .collect::<PyResult<Vec<_>>>()?;
        wait::call(py, || engine.create_topic(name, partitions, &settings)).map(drop)
    }

    fn create_partitions(&self, py: Python<'_>, name: &str, total: i32) -> PyResult<()> {
        let engine = self.engine()?;
        wait::call(py, || engine.create_partitions(name, total)).map(drop)
    }

    fn delete_topic(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let engine = self.engine()?;
        wait::call(py, || engine.delete_topic(name))
    }

    fn topics(&self, py: Python<'_>) -> PyResult<Vec<(String, String, i32, bool)>> {
        let engine = self.engine()?;
        let topics = wait::call(py, || engine.topics())?;
        Ok(topics
            .iter()
            .map(|topic| {
                let (name, id) = (topic.name.to_string(), topic.id.to_string());
                (name, id, topic.partition_count(), topic.internal)
            })
            .collect())
    }

    fn identity(&self, py: Python<'_>) -> PyResult<(String, i32)> {
        let engine = self.engine()?;
        wait::call(py, || engine.identity())
    }

    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Described<'py>>> {
        let engine = self.engine()?;
        let found = wait::call(py, || engine.groups())?;
        found.into_iter().map(|group| groups::described(py, group)).collect()
    }

    fn describe_group<'py>(
        &self,
        py: Python<'py>,
        group: &str,
    ) -> PyResult<Option<Described<'py>>> {
        let engine = self.engine()?;
        let found = wait::call(py, || engine.describe_group(group))?;
        found.map(|group| groups::described(py, group)).transpose()
    }

    fn committed<'py>(&self, py: Python<'py>, group: &str) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine()?;
        let committed = wait::call(py, || engine.committed_offsets(group))?;
        let dict = PyDict::new(py);
        for (id, offset) in &committed {
            dict.set_item(structs::from_partition(py, id)?, structs::from_offset(py, offset)?)?;
        }
        Ok(dict)
    }

    fn alter_offsets<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        offsets: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, Failure)>> {
        let (engine, offsets) = (self.engine()?, arguments::offsets(offsets)?);
        let altered = wait::call(py, || engine.group(group)?.alter_offsets(&offsets))?;
        groups::failures(py, offsets.into_iter().map(|(id, _)| id), &altered)
    }

    #[pyo3(signature = (group, resets, *, validate_only=false))]
    fn reset_offsets<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        resets: &Bound<'py, PyAny>,
        validate_only: bool,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, i64, Failure)>> {
        let (engine, to) = (self.engine()?, arguments::by_partition(resets, groups::reset_to)?);
        let done = wait::call(py, || engine.group(group)?.reset_offsets(&to, validate_only))?;
        groups::resets(py, to.into_iter().map(|(id, _)| id), &done)
    }

    fn delete_offsets<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        partitions: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, Failure)>> {
        let (engine, partitions) = (self.engine()?, structs::to_partitions(partitions)?);
        let done = wait::call(py, || engine.group(group)?.delete_offsets(&partitions))?;
        groups::failures(py, partitions, &done)
    }

    fn remove_members(
        &self,
        py: Python<'_>,
        group: &str,
        members: Vec<Named>,
    ) -> PyResult<Vec<Failure>> {
        let (engine, members) = (self.engine()?, groups::to_remove(members));
        let removed = wait::call(py, || engine.group(group)?.remove_members(&members))?;
        Ok(removed.iter().map(|outcome| groups::failure(py, outcome)).collect())
    }

    fn delete_group(&self, py: Python<'_>, group: &str) -> PyResult<()> {
        let engine = self.engine()?;
        wait::call(py, || engine.group(group)?.delete())
    }

    fn close(&self, py: Python<'_>) {
        let engine = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(engine));
    }
}
