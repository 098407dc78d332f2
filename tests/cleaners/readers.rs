//! Processes that consume: one follows the logs, the other one reads them again and again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Polled, Step};
use brokerless::config::{ConsumerConfig, OffsetReset};
use brokerless::engine::Engine;
use brokerless::{Error, TopicPartition};

use crate::pass::{Memory, Pass};
use crate::support::{Dice, arg, say};
use crate::{BOTH, STREAM, TABLE, TOPICS, id, open, partition};

fn consumer(engine: &Arc<Engine>, reset: OffsetReset) -> Consumer {
    let config = ConsumerConfig { auto_offset_reset: reset, ..ConsumerConfig::default() };
    Consumer::new(engine.clone(), config).unwrap()
}

fn is_over() -> bool {
    Path::new(&arg("stop")).exists()
}

/// Records, or where a log starts whose next record is gone.
fn poll(consumer: &Consumer, most: usize) -> Result<Vec<Polled>, (TopicPartition, i64)> {
    match consumer.poll(Duration::from_millis(1), most) {
        Ok(Step::Records(polled)) => Ok(polled),
        Err(Error::OffsetOutOfRange { partition, start, .. }) => Err((partition, start)),
        other => panic!("{other:?}"),
    }
}

fn take(pass: &mut Pass, polled: &Polled, memory: &mut Memory) {
    polled.records().for_each(|record| pass.take(&record.unwrap(), memory));
}

/// Goes on at the end of all logs, and does nothing for a while now and then, so that it falls
/// behind.
pub(crate) fn follower() {
    let engine = open(Path::new(&arg("dir")));
    let consumer = consumer(&engine, OffsetReset::None);
    consumer.assign(&TOPICS.map(id)).unwrap();
    let mut logs = HashMap::new();
    for topic in TOPICS {
        consumer.seek(&id(topic), 0).unwrap();
        logs.insert(id(topic), (Pass::new(topic == STREAM, 0), Memory::new()));
    }
    let (mut dice, mut records, mut jumps) = (Dice::new(1), 0, 0);
    say("ready");
    while !is_over() {
        match poll(&consumer, 30) {
            Ok(all) => {
                for polled in &all {
                    let (pass, memory) = logs.get_mut(polled.topic_partition()).unwrap();
                    take(pass, polled, memory);
                    records += polled.len();
                }
            }
            Err((partition, start)) => {
                assert_ne!(&*partition.topic, TABLE);
                logs.get_mut(&partition).unwrap().0.jump(start);
                consumer.seek(&partition, start).unwrap();
                jumps += 1;
            }
        }
        if dice.chance(15) {
            std::thread::sleep(dice.millis(0, 300));
        }
    }
    say(&format!("followed {records} records, {jumps} jumps"));
    consumer.close(false).unwrap();
}

/// Reads each log from its beginning to its end, and again.
pub(crate) fn repeater() {
    let engine = open(Path::new(&arg("dir")));
    let mut memories = TOPICS.map(|_| Memory::new());
    let (mut passes, mut jumps) = (0, 0);
    let strict = consumer(&engine, OffsetReset::None);
    let lenient = consumer(&engine, OffsetReset::Earliest);
    say("ready");
    while !is_over() {
        for (topic, memory) in TOPICS.iter().zip(&mut memories) {
            let consumer = if *topic == STREAM { &lenient } else { &strict };
            jumps += read_all(&engine, consumer, topic, memory).0;
            passes += 1;
        }
    }
    assert!(passes > 0);
    say(&format!("read {passes} logs, {jumps} jumps"));
}

/// Of each writer the last number in a topic.
pub(crate) fn pass_over(engine: &Arc<Engine>, topic: &str) -> BTreeMap<String, u64> {
    let consumer = consumer(engine, OffsetReset::None);
    read_all(engine, &consumer, topic, &mut Memory::new()).1
}

/// Gives how often records were found to be gone, and the last number of each writer.
fn read_all(
    engine: &Arc<Engine>,
    consumer: &Consumer,
    topic: &str,
    memory: &mut Memory,
) -> (usize, BTreeMap<String, u64>) {
    let (id, log) = (id(topic), partition(engine, topic));
    let start = || log.ends().unwrap().log_start_offset;
    // So that it may be gone when the first poll comes.
    let from = start();
    consumer.assign(std::slice::from_ref(&id)).unwrap();
    consumer.seek(&id, from).unwrap();
    let (mut pass, mut jumps) = (Pass::new(topic == STREAM, from), 0);
    let mut dice = Dice::new(from as u64);
    loop {
        if dice.chance(5) {
            std::thread::sleep(dice.millis(0, 50));
        }
        match poll(consumer, 10) {
            Ok(all) => {
                for polled in &all {
                    let first = polled.records().next().unwrap().unwrap().offset;
                    if topic == STREAM && first > pass.next() {
                        assert!(start() >= first, "{} was passed over", pass.next());
                        pass.jump(first);
                        jumps += 1;
                    }
                    take(&mut pass, polled, memory);
                }
            }
            Err((_, start)) => {
                assert_eq!(topic, BOTH);
                pass.jump(start);
                consumer.seek(&id, start).unwrap();
                jumps += 1;
                continue;
            }
        }
        // Only now: what was passed over may have a successor that came meanwhile.
        if pass.next() >= log.ends().unwrap().log_end_offset {
            return (jumps, pass.end(memory));
        }
    }
}
