//! A directory, and the ways the tests look into it.

use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Delivery, Outgoing, Producer, RecordMetadata, directory};
use brokerless::config::ProducerConfig;
use brokerless::engine::{Cursor, Engine, OpenOptions};
use brokerless::record::Batch;
use brokerless::{IsolationLevel, TopicPartition};
use tempfile::TempDir;

pub(crate) const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A directory with an engine on it.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    _dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let engine = directory::open(dir.path(), OpenOptions::default()).unwrap();
        Self { engine, _dir: dir }
    }

    pub(crate) fn with_topic(name: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let world = Self::new();
        let settings: Vec<_> =
            settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        world.engine.create_topic(name, Some(partitions), &settings).unwrap();
        world
    }

    pub(crate) fn producer(&self, config: ProducerConfig) -> Producer {
        Producer::new(self.engine.clone(), config).unwrap()
    }

    /// Values of a partition, in order, by the engine alone.
    pub(crate) fn values(&self, topic: &str, partition: i32) -> Vec<Vec<u8>> {
        self.records(topic, partition).into_iter().map(|(_, value)| value).collect()
    }

    pub(crate) fn records(&self, topic: &str, partition: i32) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        let partition = self.engine.partition(&TopicPartition::new(topic, partition)).unwrap();
        let mut cursor = Cursor::new(0);
        let mut found = Vec::new();
        loop {
            let level = IsolationLevel::ReadUncommitted;
            let chunk = partition.read(&mut cursor, 1 << 20, level).unwrap();
            if chunk.bytes.is_empty() {
                return found;
            }
            for batch in batches(chunk.bytes) {
                for record in batch.records() {
                    let record = record.unwrap();
                    let value = record.value.unwrap_or_default().to_vec();
                    found.push((record.key.map(<[u8]>::to_vec), value));
                }
            }
        }
    }
}

fn batches(mut bytes: bytes::Bytes) -> Vec<Batch> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let size = brokerless::record::BatchInfo::parse(&bytes).unwrap().size;
        found.push(Batch::decode(bytes.split_to(size), 1 << 30).unwrap());
    }
    found
}

pub(crate) fn value<'a>(topic: &'a str, value: &'a [u8]) -> Outgoing<'a> {
    Outgoing { topic, value: Some(value), ..Outgoing::default() }
}

pub(crate) fn get(delivery: &Delivery) -> RecordMetadata {
    delivery.wait(LONG).unwrap().unwrap()
}
