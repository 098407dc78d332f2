//! A client that was closed lets go of the directory, though somebody still holds it.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use brokerless::Error;
use brokerless::client::{Consumer, Producer, with_patience};
use brokerless::config::{ConsumerConfig, ProducerConfig};
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use tempfile::TempDir;

use crate::shared::{LONG, Reader, SECOND, World, get, in_group, topics, value};

/// A directory that is open only as long as its clients want it.
struct Left {
    dir: TempDir,
    engine: Weak<Engine>,
}

impl World {
    fn leave(self) -> Left {
        let Self { engine, dir } = self;
        Left { dir, engine: Arc::downgrade(&engine) }
    }
}

impl Left {
    fn is_open(&self) -> bool {
        self.engine.strong_count() > 0
    }

    /// Whether it is marked as closed in good order, and another may have it, as soon as what runs
    /// in the background has ended.
    fn is_closed(&self) -> bool {
        let until = Instant::now() + 20 * SECOND;
        while (self.is_open() || !is_marked(self.dir.path())) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_marked(self.dir.path()) && is_free(self.dir.path())
    }
}

fn is_marked(dir: &Path) -> bool {
    dir.join(".kafka_cleanshutdown").exists()
}

fn is_free(dir: &Path) -> bool {
    let open = || Engine::open(dir, OpenOptions::default(), Env::system());
    with_patience(SECOND, open).is_ok()
}

fn world() -> World {
    World::with_topic("t", 1, &[])
}

#[test]
fn a_closed_producer_lets_go_of_the_directory() {
    let world = world();
    let producer = world.producer(ProducerConfig::default());
    let left = world.leave();
    let sent = producer.send(&value("t", b"v")).unwrap();
    assert!(left.is_open());

    producer.close(LONG).unwrap();

    assert!(left.is_closed());
    assert_eq!(get(&sent).offset, 0);
}

#[test]
fn a_closed_producer_answers_as_before() {
    let world = world();
    let producer = world.producer(ProducerConfig::default());
    get(&producer.send(&value("t", b"v")).unwrap());
    let _left = world.leave();
    let before = producer.metrics();

    producer.close(LONG).unwrap();

    assert_eq!(producer.metrics(), before);
    assert!(matches!(producer.send(&value("t", b"v")), Err(Error::Closed("producer"))));
    assert!(matches!(producer.partitions("t"), Err(Error::Closed("producer"))));
    producer.flush(LONG).unwrap();
    producer.close(LONG).unwrap();
}

#[test]
fn a_closed_member_lets_go_of_the_directory() {
    let world = world();
    world.fill("t", 0, [7]);
    let member = world.consumer(in_group("g"));
    member.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(member.poll(20 * SECOND, 500), [(0, 0, 7)]);
    let left = world.leave();
    assert!(left.is_open());

    member.0.close(true).unwrap();

    assert!(left.is_closed());
}

#[test]
fn a_closed_consumer_answers_as_before() {
    let world = world();
    let Reader(consumer) = world.consumer(ConsumerConfig::default());
    let _left = world.leave();

    consumer.close(true).unwrap();

    assert!(matches!(consumer.topics(), Err(Error::Closed("consumer"))));
    assert!(matches!(consumer.poll(SECOND, 1), Err(Error::Closed("consumer"))));
    assert_eq!(consumer.assignment(), []);
    assert!(!consumer.metrics().is_empty());
    consumer.close(true).unwrap();
}

#[test]
fn the_directory_stays_open_for_the_last_of_its_clients() {
    let world = world();
    let first = world.producer(ProducerConfig::default());
    let last = world.producer(ProducerConfig::default());
    let left = world.leave();

    first.close(LONG).unwrap();

    assert!(left.is_open() && !is_marked(left.dir.path()));
    assert_eq!(get(&last.send(&value("t", b"v")).unwrap()).offset, 0);
    last.close(LONG).unwrap();
    assert!(left.is_closed());
}

#[test]
fn a_consumer_closed_in_a_poll_lets_go_of_the_directory() {
    let world = world();
    let Reader(consumer) = world.consumer(in_group("g"));
    consumer.subscribe(&topics(&["t"])).unwrap();
    let left = world.leave();

    std::thread::scope(|scope| {
        let polling = scope.spawn(|| until_closed(&consumer));
        std::thread::sleep(Duration::from_millis(20));
        consumer.close(true).unwrap();
        polling.join().unwrap();
    });

    assert!(left.is_closed());
}

fn until_closed(consumer: &Consumer) {
    loop {
        match consumer.poll(Duration::from_secs(60), 500) {
            Ok(_) => {}
            Err(Error::Closed(_)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_dropped_producer_lets_go_of_the_directory() {
    let world = world();
    let producer: Producer = world.producer(ProducerConfig::default());
    let sent = producer.send(&value("t", b"v")).unwrap();
    let left = world.leave();

    drop(producer);

    assert_eq!(get(&sent).offset, 0);
    assert!(left.is_closed());
}
