//! The processes that work on the disk, and say what they were promised.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::TopicPartition;
use brokerless::client::{Outgoing, Producer, directory};
use brokerless::config::ProducerConfig;
use brokerless::engine::{Engine, OpenOptions as Opening};
use brokerless::types::{Durability, OffsetAndMetadata};

use crate::mounts::Failure;
use crate::sync_failures::stopped;

pub const TOPIC: &str = "orders";
pub const GROUP: &str = "group";
pub const PARTITIONS: i32 = 2;
/// The role of one that learns of a failed sync; it reads its input itself.
pub const STOPPING: &str = "stopping";
/// Sent before anything is waited for.
const BURST: u64 = 4;

/// Makes the topic that all work on: small segments, so that they are rolled all the time.
pub fn prepare(dir: &Path) -> Result<(), Failure> {
    let engine = directory::open(dir, Opening::default())?;
    let settings = [("segment.bytes".to_owned(), "50000".to_owned())];
    engine.create_topic(TOPIC, Some(PARTITIONS), &settings)?;
    Ok(())
}

/// Plays a role until it is killed.
pub fn play(role: &str, dir: &Path, marks: &Path, name: &str) -> Result<(), Failure> {
    if role != STOPPING {
        end_with_input();
    }
    let engine = directory::open(dir, Opening::default())?;
    let marks = Marks(OpenOptions::new().append(true).open(marks)?);
    match role {
        "writer" => write(&engine, &marks, name),
        "committer" => commit(&engine, &marks),
        "creator" => create(&engine, &marks, name),
        // A failed sync stops one partition: it writes to that alone.
        STOPPING => write_until_stopped(&engine, &marks, name),
        other => Err(format!("{other} is no role").into()),
    }
}

fn write_until_stopped(engine: &Arc<Engine>, marks: &Marks, name: &str) -> Result<(), Failure> {
    for life in 0.. {
        let written = write_to(engine, marks, &format!("{name}-{life}"), 1);
        match written.map_err(|error| error.to_string()) {
            Err(error) if error.contains("an earlier fdatasync") => return stopped(),
            // Of a file that is not in use yet: that append failed, and the next one rolls again.
            Err(error) if error.contains(".snapshot.tmp: ") => {}
            other => return Ok(other?),
        }
    }
    Ok(())
}

/// Whoever started us holds the other end: when that is killed, we go too.
fn end_with_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

/// Lines that say what was acknowledged.
struct Marks(File);

impl Marks {
    fn say(&self, text: &str) -> Result<(), Failure> {
        Ok((&self.0).write_all(text.as_bytes())?)
    }
}

/// What a record says: who wrote it, and its number; then some more.
fn value(name: &str, number: u64) -> Vec<u8> {
    let mut value = format!("{name} {number} ").into_bytes();
    let size = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    value.extend((0..size).map(|at| (at ^ number) as u8));
    value
}

pub fn is_value(value: &[u8], name: &str, number: u64) -> bool {
    value == self::value(name, number)
}

fn producer(engine: &Arc<Engine>) -> Result<Producer, Failure> {
    let config = ProducerConfig { acks: Durability::Durable, ..ProducerConfig::default() };
    Ok(Producer::new(engine.clone(), config)?)
}

fn write(engine: &Arc<Engine>, marks: &Marks, name: &str) -> Result<(), Failure> {
    write_to(engine, marks, name, PARTITIONS as u64)
}

/// Writes to so many partitions.
fn write_to(
    engine: &Arc<Engine>,
    marks: &Marks,
    name: &str,
    partitions: u64,
) -> Result<(), Failure> {
    let producer = producer(engine)?;
    let mut number = 0;
    loop {
        let mut sent = Vec::new();
        for number in number..number + BURST {
            let value = value(name, number);
            let partition = Some((number % partitions) as i32);
            let record = Outgoing {
                topic: TOPIC,
                partition,
                timestamp: None,
                key: None,
                value: Some(&value),
                headers: &[],
            };
            sent.push((number, producer.send(&record)?));
        }
        for (number, delivery) in sent {
            let at = delivery.wait(Some(Duration::from_secs(60)))??;
            let id = &at.topic_partition;
            marks.say(&format!(
                "record {} {} {} {name} {number}\n",
                id.topic, id.partition, at.offset
            ))?;
        }
        number += BURST;
    }
}

fn commit(engine: &Arc<Engine>, marks: &Marks) -> Result<(), Failure> {
    loop {
        for number in 0..PARTITIONS {
            let id = TopicPartition::new(TOPIC, number);
            let offset = engine.partition(&id)?.ends()?.log_end_offset;
            let commit = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 };
            engine.commit_offsets(GROUP, &[(id, commit)])?;
            marks.say(&format!("commit {TOPIC} {number} {offset}\n"))?;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Makes topics, and writes one record into each.
fn create(engine: &Arc<Engine>, marks: &Marks, name: &str) -> Result<(), Failure> {
    let producer = producer(engine)?;
    for number in 0.. {
        let topic = format!("{name}-{number}");
        engine.create_topic(&topic, None, &[])?;
        marks.say(&format!("topic {topic}\n"))?;
        let value = value(name, number);
        let record = Outgoing {
            topic: &topic,
            partition: Some(0),
            timestamp: None,
            key: None,
            value: Some(&value),
            headers: &[],
        };
        producer.send(&record)?.wait(Some(Duration::from_secs(60)))??;
        marks.say(&format!("record {topic} 0 0 {name} {number}\n"))?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
