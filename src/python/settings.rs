//! kafka-python's settings, read from a dictionary.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use super::serde::Codec;
use crate::client::OpenOptions;
use crate::config::{ConsumerConfig, ProducerConfig};
use crate::error::Error;
use crate::types::{Compression, Durability, IsolationLevel};

/// What a time without end is taken for.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A mapping of settings; None is as good as absent.
pub(super) struct Settings<'a, 'py>(pub(super) &'a Bound<'py, PyAny>);

impl<'py> Settings<'_, 'py> {
    pub(super) fn get(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(Some(self.0.call_method1("get", (name,))?).filter(|value| !value.is_none()))
    }

    fn read<T>(
        &self,
        name: &str,
        target: &mut T,
        why: &str,
        parse: impl FnOnce(&Bound<'py, PyAny>) -> Option<T>,
    ) -> PyResult<()> {
        if let Some(value) = self.get(name)? {
            *target = parse(&value).ok_or_else(|| invalid(name, &value, why))?;
        }
        Ok(())
    }

    fn number(&self, name: &str, target: &mut usize) -> PyResult<()> {
        self.read(name, target, "a whole number from 0 is due", |value| {
            let number: f64 = value.extract().ok()?;
            (number >= 0.0 && number.fract() == 0.0).then_some(number as usize)
        })
    }

    fn flag(&self, name: &str, target: &mut bool) -> PyResult<()> {
        self.read(name, target, "True or False is due", |value| value.is_truthy().ok())
    }

    fn text(&self, name: &str, target: &mut String) -> PyResult<()> {
        self.read(name, target, "a str is due", |value| value.extract().ok())
    }

    fn millis(&self, name: &str, target: &mut Duration) -> PyResult<()> {
        self.read(name, target, "a number of milliseconds from 0 is due", |value| {
            to_millis(value.extract().ok()?)
        })
    }

    pub(super) fn codec(&self, name: &str, method: &str) -> PyResult<Option<Codec>> {
        self.get(name)?.map(|given| Codec::new(&given, method)).transpose()
    }

    pub(super) fn open_options(&self) -> PyResult<OpenOptions> {
        let mut options = OpenOptions::default();
        self.flag("read_only", &mut options.read_only)?;
        self.flag("allow_network_fs", &mut options.allow_network_fs)?;
        Ok(options)
    }

    pub(super) fn producer(&self) -> PyResult<ProducerConfig> {
        let mut config = ProducerConfig::default();
        self.read("acks", &mut config.acks, "0, 1, -1 or 'all' is due", acks)?;
        self.millis("linger_ms", &mut config.linger)?;
        self.number("batch_size", &mut config.batch_size)?;
        self.read("compression_type", &mut config.compression, CODECS, compression)?;
        self.read("compression_level", &mut config.compression_level, "a level is due", |value| {
            value.extract().ok().map(Some)
        })?;
        self.number("max_request_size", &mut config.max_request_size)?;
        self.number("buffer_memory", &mut config.buffer_memory)?;
        self.millis("max_block_ms", &mut config.max_block)?;
        self.millis("delivery_timeout_ms", &mut config.delivery_timeout)?;
        self.flag("allow_auto_create_topics", &mut config.allow_auto_create_topics)?;
        self.text("client_id", &mut config.client_id)?;
        Ok(config)
    }

    pub(super) fn consumer(&self) -> PyResult<ConsumerConfig> {
        let mut config = ConsumerConfig::default();
        self.read("group_id", &mut config.group_id, "a str is due", |value| {
            value.extract().ok().map(Some)
        })?;
        self.read("group_instance_id", &mut config.group_instance_id, "a str is due", |value| {
            value.extract().ok().map(Some)
        })?;
        self.millis("session_timeout_ms", &mut config.session_timeout)?;
        self.millis("heartbeat_interval_ms", &mut config.heartbeat_interval)?;
        self.millis("max_poll_interval_ms", &mut config.max_poll_interval)?;
        if let Some(reset) = self.get("auto_offset_reset")? {
            config.auto_offset_reset = reset.str()?.to_str()?.parse()?;
        }
        self.flag("enable_auto_commit", &mut config.enable_auto_commit)?;
        self.millis("auto_commit_interval_ms", &mut config.auto_commit_interval)?;
        self.number("max_poll_records", &mut config.max_poll_records)?;
        self.number("fetch_min_bytes", &mut config.fetch_min_bytes)?;
        self.number("fetch_max_bytes", &mut config.fetch_max_bytes)?;
        self.millis("fetch_max_wait_ms", &mut config.fetch_max_wait)?;
        self.number("max_partition_fetch_bytes", &mut config.max_partition_fetch_bytes)?;
        self.number("max_decompressed_bytes", &mut config.max_decompressed_bytes)?;
        self.flag("check_crcs", &mut config.check_crcs)?;
        let levels = "'read_uncommitted' or 'read_committed' is due";
        self.read("isolation_level", &mut config.isolation_level, levels, isolation_level)?;
        self.flag("exclude_internal_topics", &mut config.exclude_internal_topics)?;
        self.flag("allow_auto_create_topics", &mut config.allow_auto_create_topics)?;
        self.text("client_id", &mut config.client_id)?;
        Ok(config)
    }

    /// `consumer_timeout_ms`; None: an iteration waits for as long as it takes.
    pub(super) fn consumer_timeout(&self) -> PyResult<Option<Duration>> {
        let mut timeout = FOREVER;
        if let Some(given) = self.get("consumer_timeout_ms")?
            && given.extract::<f64>().is_ok_and(|given| given >= 0.0)
        {
            self.millis("consumer_timeout_ms", &mut timeout)?;
        }
        Ok((timeout < FOREVER).then_some(timeout))
    }
}

impl Settings<'_, '_> {
    /// `default_api_timeout_ms`.
    pub(super) fn api_timeout(&self) -> PyResult<Duration> {
        let mut timeout = Duration::from_secs(60);
        self.millis("default_api_timeout_ms", &mut timeout)?;
        Ok(timeout)
    }
}

const CODECS: &str = "None, 'none', 'gzip', 'snappy', 'lz4' or 'zstd' is due";

fn to_millis(millis: f64) -> Option<Duration> {
    if millis.is_nan() || millis < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(millis / 1000.0).map_or(FOREVER, |time| time.min(FOREVER)))
}

fn acks(value: &Bound<'_, PyAny>) -> Option<Durability> {
    if value.is_instance_of::<PyBool>() {
        return None;
    }
    let text = value.str().ok()?;
    match text.to_str().ok()? {
        "0" => Some(Durability::Accepted),
        "1" => Some(Durability::Written),
        "-1" | "all" => Some(Durability::Durable),
        _ => None,
    }
}

fn compression(value: &Bound<'_, PyAny>) -> Option<Compression> {
    Compression::from_name(value.cast::<PyString>().ok()?.to_str().ok()?)
}

fn isolation_level(value: &Bound<'_, PyAny>) -> Option<IsolationLevel> {
    let number = value.extract::<i32>().ok();
    let name = value.extract::<String>().unwrap_or_default();
    match (number, name.as_str()) {
        (Some(0), _) | (None, "read_uncommitted") => Some(IsolationLevel::ReadUncommitted),
        (Some(1), _) | (None, "read_committed") => Some(IsolationLevel::ReadCommitted),
        _ => None,
    }
}

fn invalid(name: &str, value: &Bound<'_, PyAny>, why: &str) -> PyErr {
    let value = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
    Error::InvalidConfig { name: name.to_owned(), value, why: why.to_owned() }.into()
}
