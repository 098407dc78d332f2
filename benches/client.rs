//! The way of a record through a producer and a consumer, in one process.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use brokerless::TopicPartition;
use brokerless::client::{Consumer, Outgoing, Producer, Step};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::types::Durability;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const RECORDS: u64 = 100_000;

struct World {
    engine: Arc<Engine>,
    _dir: TempDir,
}

fn world() -> World {
    let dir = TempDir::new().expect("a temporary folder");
    let engine = Engine::open(dir.path(), OpenOptions::default(), Env::system()).expect("open");
    engine.create_topic("t", Some(1), &[]).expect("a topic");
    World { engine, _dir: dir }
}

fn producer(world: &World, acks: Durability) -> Producer {
    let config = ProducerConfig { acks, ..ProducerConfig::default() };
    Producer::new(Arc::clone(&world.engine), config).expect("a producer")
}

fn record(value: &[u8]) -> Outgoing<'_> {
    Outgoing { topic: "t", value: Some(value), ..Outgoing::default() }
}

fn send_all(producer: &Producer, value: &[u8], records: u64) {
    for _ in 0..records {
        let record = record(value);
        if producer.try_send(&record).expect("sent").is_none() {
            producer.send(&record).expect("sent");
        }
    }
    producer.flush(None).expect("flushed");
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("send and flush");
    group.sample_size(10);
    for (size, records) in [(100, RECORDS), (1024, RECORDS / 5), (10_240, RECORDS / 50)] {
        let (world, value) = (world(), vec![7; size]);
        let producer = producer(&world, Durability::Written);
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{size} B"), |b| {
            b.iter(|| send_all(&producer, &value, records));
        });
    }
    group.finish();
}

/// What a call costs its caller: as long as the open batch has room.
fn call(c: &mut Criterion) {
    let world = world();
    let producer = producer(&world, Durability::Written);
    let value = [7; 100];
    c.bench_function("try_send of 100 B", |b| {
        b.iter(|| {
            loop {
                match producer.try_send(&record(black_box(&value))).expect("sent") {
                    Some(delivery) => break delivery,
                    None => drop(producer.send(&record(&value)).expect("sent")),
                }
            }
        });
    });
}

fn send_and_wait(c: &mut Criterion) {
    let mut group = c.benchmark_group("send and wait");
    for (name, acks) in [("acks=1", Durability::Written), ("acks=all", Durability::Durable)] {
        let world = world();
        let producer = producer(&world, acks);
        group.bench_function(name, |b| {
            b.iter(|| {
                let delivery = producer.send(&record(&[7; 100])).expect("sent");
                delivery.wait(None).expect("no signal").expect("delivered")
            });
        });
    }
    group.finish();
}

fn poll(c: &mut Criterion) {
    let mut group = c.benchmark_group("poll of 500");
    group.sample_size(10);
    for (size, records) in [(100, RECORDS), (1024, RECORDS / 5), (10_240, RECORDS / 50)] {
        let (world, value) = (world(), vec![7; size]);
        send_all(&producer(&world, Durability::Written), &value, records);
        let config = ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            ..ConsumerConfig::default()
        };
        let consumer = Consumer::new(Arc::clone(&world.engine), config).expect("a consumer");
        consumer.assign(&[TopicPartition::new("t", 0)]).expect("assigned");
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{size} B"), |b| {
            b.iter(|| {
                consumer.seek_to_beginning(&[]).expect("sought");
                assert_eq!(read_all(&consumer), records);
            });
        });
    }
    group.finish();
}

fn read_all(consumer: &Consumer) -> u64 {
    let mut count = 0;
    loop {
        match consumer.poll(Duration::ZERO, 500).expect("polled") {
            Step::Records(polled) if polled.is_empty() => return count,
            Step::Records(polled) => {
                for some in &polled {
                    for record in some.records() {
                        black_box(record.expect("a record"));
                        count += 1;
                    }
                }
            }
            _ => {}
        }
    }
}

criterion_group!(benches, call, send, send_and_wait, poll);
criterion_main!(benches);
