//! Processes that are stopped (`SIGSTOP`) while they hold a lock: the others do not wait for ever,
//! and what the stopped ones do later harms nothing.

#![allow(clippy::unwrap_used)]
// The places at which they stop are in no other build.
#![cfg(debug_assertions)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Outgoing, Producer, Step};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Cursor, Engine, OpenOptions, Partition, with_patience};
use brokerless::env::{Env, point};
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::types::Durability;
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};
use rustix::process::{Signal, getpid, kill_process};

use support::{Ahead, Deadline, Process, arg, say};

support::roles!(holder);

/// How long the others have patience here.
const PATIENCE: Duration = Duration::from_millis(150);

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

fn partition(engine: &Engine, topic: &str) -> Arc<Partition> {
    engine.partition(&TopicPartition::new(topic, 0)).unwrap()
}

fn append(partition: &Partition, value: &str) -> Result<i64, Error> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1_000, None, Some(value.as_bytes()), &[]);
    Ok(partition.append(&mut builder.finish().unwrap())?.base_offset)
}

fn values(partition: &Partition) -> Vec<String> {
    let (mut cursor, mut found) = (Cursor::new(0), Vec::new());
    loop {
        let chunk = partition.read(&mut cursor, 1000, IsolationLevel::ReadUncommitted).unwrap();
        if chunk.bytes.is_empty() {
            return found;
        }
        let mut rest = chunk.bytes;
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            for record in Batch::decode(rest.split_to(size), 1 << 20).unwrap().records() {
                let value = record.unwrap().value.unwrap().to_vec();
                found.push(String::from_utf8(value).unwrap());
            }
        }
    }
}

/// Does something and stops itself the first time it comes to a certain place.
fn holder() {
    let dir = arg("dir");
    let place = arg("place");
    let hook = move |name: &'static str| {
        if name == place {
            say("stopping");
            kill_process(getpid(), Signal::STOP).unwrap();
            // Another thread may be the one that takes the signal, and this one runs on until then.
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let engine = open(Path::new(&dir));
    point::with_hook(hook, || match &*arg("work") {
        "append" => drop(append(&partition(&engine, "orders"), "late").unwrap()),
        "create" => drop(engine.create_topic("new", Some(1), &[]).unwrap()),
        other => panic!("{other}"),
    });
    say("done");
}

/// A directory with two topics, and a process that stopped at `place` in its work.
struct Scene {
    dir: tempfile::TempDir,
    holder: Process,
}

impl Scene {
    fn new(work: &str, place: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        for topic in ["orders", "other"] {
            engine.create_topic(topic, Some(1), &[]).unwrap();
            append(&partition(&engine, topic), "first").unwrap();
        }
        drop(engine);
        let path = dir.path().to_str().unwrap();
        let args = [("dir", path), ("work", work), ("place", place)];
        let mut holder = Process::start("holder", &args);
        assert_eq!(holder.hear(), "stopping");
        holder.wait_until_stopped();
        Self { dir, holder }
    }

    fn open(&self) -> Arc<Engine> {
        open(self.dir.path())
    }

    fn go_on(&mut self) {
        self.holder.go_on();
        assert_eq!(self.holder.hear(), "done");
    }
}

#[track_caller]
fn in_vain<T: std::fmt::Debug>(work: impl FnOnce() -> Result<T, Error>) {
    let result = with_patience(PATIENCE, work);
    let in_vain = matches!(result, Err(Error::Timeout { .. } | Error::HeldAlone { .. }));
    assert!(in_vain, "{result:?}");
}

#[test]
fn an_append_gives_up_while_another_process_is_stopped_in_one() {
    for place in ["append.turn", "append.intent", "append.written", "append.published"] {
        let mut scene = Scene::new("append", place);
        let engine = scene.open();
        let orders = partition(&engine, "orders");

        in_vain(|| append(&orders, "mine"));

        assert_eq!(values(&orders)[0], "first", "{place}");
        assert_eq!(append(&partition(&engine, "other"), "mine").unwrap(), 1, "{place}");
        scene.go_on();
        assert_eq!(append(&orders, "mine").unwrap(), 2, "{place}");
        assert_eq!(values(&orders), ["first", "late", "mine"], "{place}");
    }
}

#[test]
fn a_producer_fails_what_it_cannot_deliver_and_delivers_the_rest() {
    let mut scene = Scene::new("append", "append.written");
    let delivery_timeout = Duration::from_secs(20);
    let config =
        ProducerConfig { acks: Durability::Written, delivery_timeout, ..ProducerConfig::default() };
    let clock = Arc::new(Ahead::default());
    let env = Env { clock: clock.clone(), ..Env::system() };
    let engine = Engine::open(scene.dir.path(), OpenOptions::default(), env).unwrap();
    let producer = Producer::new(engine, config).unwrap();
    let send = |topic| {
        let record = Outgoing { topic, value: Some(b"mine"), ..Outgoing::default() };
        producer.send(&record).unwrap()
    };

    let held_up = send("orders");
    let others: Vec<_> = (0..5).map(|_| send("other")).collect();

    let far = Some(Deadline::far().left());
    for delivery in others {
        delivery.wait(far).unwrap().unwrap();
    }
    clock.advance(delivery_timeout);
    let failed = held_up.wait(far).unwrap().unwrap_err();
    assert!(matches!(*failed, Error::Timeout { .. } | Error::HeldAlone { .. }), "{failed:?}");
    producer.close(far).unwrap();
    scene.go_on();
    assert_eq!(values(&partition(&scene.open(), "orders")), ["first", "late"]);
}

#[test]
fn nobody_waits_for_ever_for_one_who_is_stopped_in_a_recovery() {
    let mut scene = Scene::new("append", "recovery.done");
    let engine = scene.open();
    let reset = OffsetReset::Earliest;
    let config = ConsumerConfig { auto_offset_reset: reset, ..ConsumerConfig::default() };
    let consumer = Consumer::new(engine, config).unwrap();
    let ids = ["orders", "other"].map(|topic| TopicPartition::new(topic, 0));
    consumer.assign(&ids).unwrap();

    let mut seen = Vec::new();
    for _ in 0..3 {
        let Ok(Step::Records(polled)) = consumer.poll(Duration::ZERO, 500) else { panic!() };
        seen.extend(polled.iter().map(|some| some.topic_partition().clone()));
    }
    assert_eq!(seen, ids[1..]);
    in_vain(|| consumer.position(&ids[0]));

    scene.go_on();
    let Ok(Step::Records(polled)) = consumer.poll(Deadline::far().left(), 500) else { panic!() };
    assert_eq!(polled[0].topic_partition(), &ids[0]);
}

#[test]
fn topics_are_not_made_nor_removed_while_another_process_is_stopped_in_that() {
    for place in ["topics.locked", "topics.begun", "topics.written", "topics.folder"] {
        let mut scene = Scene::new("create", place);
        let engine = scene.open();

        in_vain(|| engine.create_topic("mine", Some(1), &[]));
        in_vain(|| engine.delete_topic("other"));

        assert_eq!(append(&partition(&engine, "orders"), "mine").unwrap(), 1, "{place}");
        scene.go_on();
        engine.create_topic("mine", Some(1), &[]).unwrap();
        for topic in ["new", "mine", "orders", "other"] {
            assert!(engine.topic(topic).unwrap().is_some(), "{place}: {topic}");
        }
    }
}

#[test]
fn a_topic_can_be_deleted_while_a_process_is_stopped_in_it() {
    let mut scene = Scene::new("append", "append.written");
    let engine = scene.open();

    engine.delete_topic("orders").unwrap();

    assert!(engine.topic("orders").unwrap().is_none());
    engine.create_topic("unconcerned", Some(1), &[]).unwrap();
    // Its folder is in the way.
    in_vain(|| engine.create_topic("orders", Some(1), &[]));
    scene.go_on();
    engine.create_topic("orders", Some(1), &[]).unwrap();
    assert_eq!(append(&partition(&engine, "orders"), "mine").unwrap(), 0);
    assert_eq!(values(&partition(&engine, "orders")), ["mine"]);
}
