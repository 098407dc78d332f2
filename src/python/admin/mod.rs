//! [`Admin`]: the topics of one directory.

mod configs;
mod groups;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::client::{Engine, Id, OpenOptions, Place, Topic, checked_topic, directory, tender};
use crate::config::{DirectoryConfig, group};
use crate::error::{Error, Result};
use crate::python::admin::configs::{Row, Wish};
use crate::python::admin::groups::{Described, Failure, Named};
use crate::python::{arguments, structs, wait};
use crate::types::{IsolationLevel, TopicPartition};

/// Name, id, internal, and the leader epoch of each partition.
type TopicRow = (String, String, bool, Vec<i32>);
/// Offset, timestamp and leader epoch.
type Found = (i64, i64, i32);
const NOWHERE: Found = (-1, -1, -1);

/// Checks a topic that is to be made in a directory that is to be made, and gives the number of
/// its partitions.
#[pyfunction]
#[pyo3(signature = (name, partitions=None, settings=None))]
pub(super) fn check_topic(
    name: &str,
    partitions: Option<i32>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<i32> {
    let (partitions, _) =
        checked_topic(&DirectoryConfig::default(), name, partitions, &texts(settings)?)?;
    Ok(partitions)
}

/// The administration of one directory.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(super) struct Admin(Mutex<Option<Arc<Engine>>>);

impl Admin {
    fn engine(&self) -> PyResult<Arc<Engine>> {
        let engine = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        engine.ok_or_else(|| Error::Closed("admin client").into())
    }
}

/// Settings by name, as texts.
fn texts(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let settings = settings.into_iter().flatten();
    let text = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((name.str()?.to_string(), value.str()?.to_string()))
    };
    settings.map(text).collect()
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
    ) -> PyResult<Vec<Row>> {
        let (engine, settings) = (self.engine()?, texts(settings)?);
        let topic = wait::call(py, || engine.create_topic(name, partitions, &settings))?;
        Ok(configs::rows(topic.config.describe(&engine.config())))
    }

    #[pyo3(signature = (name, partitions=None, settings=None))]
    fn check_topic(
        &self,
        py: Python<'_>,
        name: &str,
        partitions: Option<i32>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Vec<Row>> {
        let (engine, settings) = (self.engine()?, texts(settings)?);
        let config = wait::call(py, || engine.check_topic(name, partitions, &settings))?;
        Ok(configs::rows(config.describe(&engine.config())))
    }

    fn create_partitions(&self, py: Python<'_>, name: &str, total: i32) -> PyResult<()> {
        let engine = self.engine()?;
        wait::call(py, || engine.create_partitions(name, total)).map(drop)
    }

    fn check_partitions(&self, py: Python<'_>, name: &str, total: i32) -> PyResult<()> {
        let engine = self.engine()?;
        wait::call(py, || engine.check_partitions(name, total))
    }

    #[pyo3(signature = (name, topic_id=None))]
    fn delete_topic(&self, py: Python<'_>, name: &str, topic_id: Option<&str>) -> PyResult<()> {
        let engine = self.engine()?;
        let unknown = || Error::unknown_topic(name);
        let id = topic_id.map(|text| Id::parse(text).ok_or_else(unknown)).transpose()?;
        wait::call(py, || match id {
            Some(id) => engine.delete_topic_of(name, id),
            None => engine.delete_topic(name),
        })
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

    fn describe_topics(&self, py: Python<'_>) -> PyResult<Vec<TopicRow>> {
        let engine = self.engine()?;
        wait::call(py, || {
            let topics = engine.topics()?;
            let describe = |topic: &Arc<Topic>| {
                let epochs = engine.leader_epochs(topic)?;
                Ok((topic.name.to_string(), topic.id.to_string(), topic.internal, epochs))
            };
            topics.iter().map(describe).collect()
        })
    }

    #[pyo3(signature = (places, *, read_committed=false))]
    fn look_up<'py>(
        &self,
        py: Python<'py>,
        places: &Bound<'py, PyAny>,
        read_committed: bool,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, Found)>> {
        let (engine, places) = (self.engine()?, arguments::by_partition(places, groups::place)?);
        let isolation = if read_committed {
            IsolationLevel::ReadCommitted
        } else {
            IsolationLevel::ReadUncommitted
        };
        let find = |(id, place): &(TopicPartition, Place)| {
            let found = engine.partition(id)?.look_up(*place, isolation)?;
            Ok(found.map_or(NOWHERE, |found| (found.offset, found.timestamp, found.leader_epoch)))
        };
        let found = wait::call(py, || places.iter().map(find).collect::<Result<Vec<_>>>())?;
        let found = places.iter().zip(found);
        found.map(|((id, _), found)| Ok((structs::from_partition(py, id)?, found))).collect()
    }

    fn delete_records(
        &self,
        py: Python<'_>,
        topic: &str,
        partition: i32,
        before: i64,
    ) -> PyResult<i64> {
        let (engine, id) = (self.engine()?, TopicPartition::new(topic, partition));
        wait::call(py, || engine.partition(&id)?.delete_records(before))
    }

    fn log_size(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<u64> {
        let (engine, id) = (self.engine()?, TopicPartition::new(topic, partition));
        wait::call(py, || engine.partition(&id)?.size())
    }

    fn topic_configs(&self, py: Python<'_>, name: &str) -> PyResult<Vec<Row>> {
        let engine = self.engine()?;
        let unknown = || Error::unknown_topic(name);
        let settings = wait::call(py, || {
            let topic = engine.topic(name)?.ok_or_else(unknown)?;
            Ok(topic.config.describe(&engine.config()))
        })?;
        Ok(configs::rows(settings))
    }

    fn directory_configs(&self) -> PyResult<Vec<Row>> {
        Ok(configs::rows(self.engine()?.config().describe()))
    }

    fn group_configs(&self) -> PyResult<Vec<Row>> {
        self.engine()?;
        Ok(configs::rows(group::describe()))
    }

    #[pyo3(signature = (name, changes, *, validate_only=false))]
    fn alter_topic(
        &self,
        py: Python<'_>,
        name: &str,
        changes: Vec<Wish>,
        validate_only: bool,
    ) -> PyResult<()> {
        let (engine, changes) = (self.engine()?, configs::changes(changes)?);
        wait::call(py, || engine.alter_topic(name, &changes, validate_only))
    }

    #[pyo3(signature = (changes, *, validate_only=false))]
    fn alter_directory(
        &self,
        py: Python<'_>,
        changes: Vec<Wish>,
        validate_only: bool,
    ) -> PyResult<()> {
        let (engine, changes) = (self.engine()?, configs::changes(changes)?);
        wait::call(py, || engine.alter_directory(&changes, validate_only))
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
        let done = wait::call(py, || {
            if validate_only {
                engine.preview_reset(group, &to)
            } else {
                engine.group(group)?.reset_offsets(&to)
            }
        })?;
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
        py.detach(|| engine.map(tender::let_go));
    }
}
