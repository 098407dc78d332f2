//! A directory, and the ways the tests look into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{
    Consumer, Delivery, Outgoing, Polled, Producer, RecordMetadata, Step, directory,
};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Cursor, Engine, OpenOptions};
use brokerless::env::{Clock, Env};
use brokerless::record::Batch;
use brokerless::types::Durability;
use brokerless::{IsolationLevel, TopicPartition};
use tempfile::TempDir;

pub(crate) const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A directory with an engine on it.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_properties("")
    }

    /// A directory with such a `brokerless.properties`.
    pub(crate) fn with_properties(text: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("brokerless.properties"), text).unwrap();
        let engine = directory::open(dir.path(), OpenOptions::default()).unwrap();
        Self { engine, dir }
    }

    /// A directory in which time goes as this clock says.
    pub(crate) fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let dir = TempDir::new().unwrap();
        let env = Env { clock, ..Env::system() };
        let engine = Engine::open(dir.path(), OpenOptions::default(), env).unwrap();
        Self { engine, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory closed and opened again.
    pub(crate) fn reopened(self) -> Self {
        let Self { engine, dir } = self;
        drop(engine);
        let engine = directory::open(dir.path(), OpenOptions::default()).unwrap();
        Self { engine, dir }
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

/// A consumer, and short ways to use it.
pub(crate) struct Reader(pub(crate) Consumer);

impl World {
    pub(crate) fn consumer(&self, config: ConsumerConfig) -> Reader {
        Reader(Consumer::new(self.engine.clone(), config).unwrap())
    }

    /// Sends values to a partition and waits for them.
    pub(crate) fn fill(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = u32>) {
        let acks = Durability::Written;
        let producer = self.producer(ProducerConfig { acks, ..ProducerConfig::default() });
        for number in values {
            let bytes = number.to_be_bytes();
            let record = Outgoing { partition: Some(partition), ..value(topic, &bytes) };
            producer.send(&record).unwrap();
        }
        producer.close(LONG).unwrap();
    }
}

impl Reader {
    /// The next records: partition, offset, value.
    pub(crate) fn poll(&self, timeout: Duration, max: usize) -> Vec<(i32, i64, u32)> {
        loop {
            match self.0.poll(timeout, max).unwrap() {
                Step::Records(polled) => return read(&polled),
                Step::Interrupted | Step::Assigned(_) | Step::Revoked(_) | Step::Lost(_) => {}
                Step::Assign(task) => panic!("{task:?}"),
            }
        }
    }

    pub(crate) fn poll_now(&self) -> Vec<(i32, i64, u32)> {
        self.poll(Duration::ZERO, 500)
    }

    /// Polls until there is nothing more.
    pub(crate) fn drain(&self) -> Vec<(i32, i64, u32)> {
        let mut all = Vec::new();
        loop {
            let some = self.poll_now();
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }
}

pub(crate) fn read(polled: &[Polled]) -> Vec<(i32, i64, u32)> {
    let mut all = Vec::new();
    for some in polled {
        let before = all.len();
        for record in some.records() {
            let record = record.unwrap();
            let number = u32::from_be_bytes(record.value.unwrap().try_into().unwrap());
            all.push((some.topic_partition().partition, record.offset, number));
        }
        assert_eq!(all.len() - before, some.len());
        assert!(all.last().unwrap().1 < some.next_offset());
    }
    all
}

pub(crate) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn earliest() -> ConsumerConfig {
    ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() }
}

pub(crate) fn in_group(group: &str) -> ConsumerConfig {
    ConsumerConfig { group_id: Some(group.into()), ..earliest() }
}

pub(crate) fn topics(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A world whose topic `t` has `partitions` partitions with `each` records.
pub(crate) fn filled(partitions: i32, each: u32) -> World {
    let world = World::with_topic("t", partitions, &[]);
    (0..partitions).for_each(|partition| world.fill("t", partition, 0..each));
    world
}

pub(crate) fn assigned(world: &World, config: ConsumerConfig, partitions: &[i32]) -> Reader {
    let reader = world.consumer(config);
    let partitions: Vec<_> = partitions.iter().copied().map(tp).collect();
    reader.0.assign(&partitions).unwrap();
    reader
}
