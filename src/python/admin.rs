//! [`Admin`]: the topics of one directory.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::wait;
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

    fn close(&self, py: Python<'_>) {
        let engine = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(engine));
    }
}
