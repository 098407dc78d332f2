//! Producers and consumers on a disk that fails.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokerless::Error;
use brokerless::client::{Consumer, Delivery, DeliveryResult, Producer, Step, flush_all};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::clock::SystemClock;
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Clock, Env, Mode, Storage};
use brokerless::types::Durability;

use crate::ahead::Ahead;
use crate::shared::{LONG, SECOND, get, read, tp, value};

const DIR: &str = "/data";

fn open(disk: &MemDisk) -> Result<Arc<Engine>, Error> {
    open_by(disk, Arc::new(SystemClock))
}

fn open_by(disk: &MemDisk, clock: Arc<dyn Clock>) -> Result<Arc<Engine>, Error> {
    let env = Env { storage: Arc::new(disk.clone()), clock };
    Engine::open(Path::new(DIR), OpenOptions::default(), env)
}

/// A topic `t` of one partition, with one record in it.
fn started() -> (MemDisk, Arc<Engine>) {
    started_by(Arc::new(SystemClock))
}

fn started_by(clock: Arc<dyn Clock>) -> (MemDisk, Arc<Engine>) {
    let disk = MemDisk::new();
    let engine = open_by(&disk, clock).unwrap();
    engine.create_topic("t", Some(1), &[]).unwrap();
    send(&producer(&engine, Durability::Durable), 0).unwrap();
    (disk, engine)
}

fn producer(engine: &Arc<Engine>, acks: Durability) -> Producer {
    let config = ProducerConfig { acks, ..ProducerConfig::default() };
    Producer::new(engine.clone(), config).unwrap()
}

fn send(producer: &Producer, number: u32) -> DeliveryResult {
    let delivery = producer.send(&value("t", &number.to_be_bytes()));
    delivery.map_err(Arc::new).and_then(|delivery| delivery.wait(LONG).unwrap())
}

/// All records, by a new process.
fn numbers(disk: &MemDisk) -> Vec<u32> {
    let config =
        ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() };
    let consumer = Consumer::new(open(&disk.process()).unwrap(), config).unwrap();
    consumer.assign(&[tp(0)]).unwrap();
    let mut all = Vec::new();
    loop {
        let Step::Records(polled) = consumer.poll(Duration::ZERO, 3).unwrap() else { panic!() };
        if polled.is_empty() {
            return all;
        }
        all.extend(read(&polled).iter().map(|record| record.2));
    }
}

#[test]
fn a_full_disk_fails_the_delivery_and_nothing_else() {
    let (disk, engine) = started();
    let producer = producer(&engine, Durability::Written);

    disk.fail_call(Call::Write, 1, ErrorKind::StorageFull, Repeat::Forever);
    let failed = send(&producer, 1);
    disk.heal();
    let sent = send(&producer, 2);

    assert!(matches!(*failed.unwrap_err(), Error::Io { .. }));
    assert_eq!(sent.unwrap().offset, 1);
    assert_eq!(numbers(&disk), [0, 2]);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let (disk, engine) = started();
    let producer = producer(&engine, Durability::Durable);

    disk.fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);

    assert!(send(&producer, 1).is_err());
    assert!(send(&producer, 2).is_err());
    assert!(producer.flush(LONG).is_ok());
}

#[test]
fn whatever_call_fails_every_delivery_is_decided_and_told_truly() {
    for n in 1.. {
        let (disk, engine) = started();
        let producer = producer(&engine, Durability::Written);
        let before = disk.calls();
        disk.fail(n, ErrorKind::Other, Repeat::Once);

        let sent: Vec<u32> = (1..6).filter(|&number| send(&producer, number).is_ok()).collect();

        let calls = disk.calls() - before;
        disk.heal();
        producer.close(LONG).unwrap();
        let found = numbers(&disk);
        let told: Vec<u32> = std::iter::once(0).chain(sent).collect();
        assert_eq!(found, told, "call {n}");
        if n > calls {
            return;
        }
    }
}

#[test]
fn the_death_of_the_disk_decides_all_deliveries() {
    let (disk, engine) = started();
    let linger = Duration::from_millis(20);
    let config = ProducerConfig { linger, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let sent: Vec<_> =
        (1..100_u32).map(|n| producer.send(&value("t", &n.to_be_bytes())).unwrap()).collect();

    disk.kill();

    assert!(sent.iter().all(|delivery| delivery.wait(LONG).is_ok()));
}

/// A partition that nobody can append to until the guard's lock is released.
struct Stuck(Box<dyn brokerless::env::Lock>);

impl Stuck {
    fn new(disk: &MemDisk) -> Self {
        let lock = disk.process().lock_dir(&Path::new(DIR).join("t-0")).unwrap();
        lock.acquire(Mode::Exclusive).unwrap();
        Self(lock)
    }

    fn end(self) {
        self.0.release().unwrap();
    }
}

#[test]
fn a_record_that_is_waited_for_takes_the_lock_of_its_partition_once() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let hook = Arc::new(move |call| {
        count.fetch_add(usize::from(call == Call::Acquire), Ordering::Relaxed);
    });
    let engine = open(&MemDisk::new().with_hook(hook)).unwrap();
    engine.create_topic("t", Some(1), &[]).unwrap();
    let producer = producer(&engine, Durability::Written);
    send(&producer, 0).unwrap();
    let before = taken.load(Ordering::Relaxed);

    (1..=10).for_each(|number| drop(send(&producer, number).unwrap()));

    assert_eq!(taken.load(Ordering::Relaxed) - before, 10);
}

#[test]
fn send_waits_for_memory_as_long_as_it_may() {
    let (disk, engine) = started();
    let stuck = Stuck::new(&disk);
    let (buffer_memory, max_block) = (3_000, Duration::from_millis(40));
    let config = ProducerConfig { buffer_memory, max_block, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let big = [1; 1_000];

    let mut sent: Vec<Delivery> = Vec::new();
    let error = loop {
        match producer.send(&value("t", &big)) {
            Ok(delivery) => sent.push(delivery),
            Err(error) => break error,
        }
    };
    let flush = producer.flush(Some(Duration::from_millis(10)));
    let close = producer.close(Some(Duration::from_millis(10)));
    stuck.end();

    assert!(matches!(error, Error::Timeout { after, .. } if after == max_block), "{error}");
    assert!(matches!(flush, Err(Error::Timeout { .. })));
    assert!(matches!(close, Err(Error::Timeout { .. })));
    assert!((1..=3).contains(&sent.len()));
    for delivery in &sent {
        get(delivery);
    }
    producer.close(LONG).unwrap();
}

#[test]
fn a_wait_ends_in_time_while_another_process_has_the_partition() {
    let (disk, engine) = started();
    let stuck = Stuck::new(&disk);
    let short = Some(Duration::from_millis(20));

    for linger in [Duration::ZERO, Duration::from_secs(60)] {
        let config = ProducerConfig { linger, ..ProducerConfig::default() };
        let producer = Producer::new(engine.clone(), config).unwrap();
        let delivery = producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();

        assert!(matches!(delivery.wait(short), Err(Error::Timeout { .. })));
        assert!(matches!(producer.flush(short), Err(Error::Timeout { .. })));
        assert!(matches!(producer.close(short), Err(Error::Timeout { .. })));
    }
    stuck.end();

    flush_all(LONG).unwrap();
    assert_eq!(numbers(&disk), [0, 1, 1]);
}

#[test]
fn a_batch_that_waited_too_long_fails() {
    let clock = Arc::new(Ahead::default());
    let (disk, engine) = started_by(clock.clone());
    let stuck = Stuck::new(&disk);
    let delivery_timeout = 20 * SECOND;
    let config = ProducerConfig { delivery_timeout, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let send = || producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();

    let under_way = send();
    let late = loop {
        // Until the sender has taken the first batch.
        std::thread::sleep(Duration::from_millis(1));
        let next = send();
        if !next.same_batch(&under_way) {
            break next;
        }
    };

    clock.advance(delivery_timeout);
    // Also the one that was tried already: nothing of it is in the log.
    for delivery in [under_way, late] {
        let failed = delivery.wait(LONG).unwrap().unwrap_err();
        assert!(matches!(*failed, Error::Timeout { .. }), "{failed:?}");
    }
    stuck.end();
    assert_eq!(get(&send()).offset, 1);
    assert_eq!(numbers(&disk), [0, 1]);
}

#[test]
fn one_stuck_partition_does_not_hold_up_the_others() {
    let (disk, engine) = started();
    engine.create_topic("other", Some(1), &[]).unwrap();
    let producer = producer(&engine, Durability::Written);
    let stuck = Stuck::new(&disk);

    let held_up = producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();
    for number in 0..20_u32 {
        get(&producer.send(&value("other", &number.to_be_bytes())).unwrap());
        assert!(!held_up.is_done());
    }
    stuck.end();

    assert_eq!(get(&held_up).offset, 1);
}

#[test]
fn what_waits_for_a_stuck_partition_keeps_its_order() {
    let (disk, engine) = started();
    let config =
        ProducerConfig { acks: Durability::Written, batch_size: 1, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let stuck = Stuck::new(&disk);
    let mut deliveries = Vec::new();
    for number in 1..=30_u32 {
        deliveries.push(producer.send(&value("t", &number.to_be_bytes())).unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    stuck.end();

    let offsets: Vec<_> = deliveries.iter().map(|delivery| get(delivery).offset).collect();

    assert_eq!(offsets, (1..=30).collect::<Vec<_>>());
    assert_eq!(numbers(&disk), (0..=30).collect::<Vec<_>>());
}

#[test]
fn a_producer_whose_partition_is_stuck_closes_in_time() {
    let (disk, engine) = started();
    let producer = producer(&engine, Durability::Written);
    let stuck = Stuck::new(&disk);
    let held_up = producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();

    let closed = producer.close(Some(Duration::from_millis(50)));

    assert!(matches!(closed, Err(Error::Timeout { .. })), "{closed:?}");
    assert!(!held_up.is_done());
    stuck.end();
    producer.close(LONG).unwrap();
    assert_eq!(get(&held_up).offset, 1);
}

#[test]
fn what_is_abandoned_fails_and_is_not_sent() {
    let (disk, engine) = started();
    let stuck = Stuck::new(&disk);
    let linger = Duration::from_secs(60);
    let config = ProducerConfig { linger, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let held_up = producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();

    producer.abandon(Duration::from_millis(7));
    let failed = held_up.wait(LONG).unwrap().unwrap_err();
    stuck.end();
    producer.close(LONG).unwrap();

    assert!(
        matches!(*failed, Error::Timeout { after, .. } if after.as_millis() == 7),
        "{failed:?}"
    );
    assert_eq!(numbers(&disk), [0]);
}

#[test]
fn a_producer_that_had_no_time_to_close_lets_go_of_the_directory_at_the_end() {
    let (disk, engine) = started();
    let producer = producer(&engine, Durability::Written);
    let stuck = Stuck::new(&disk);
    let held_up = producer.send(&value("t", &1_u32.to_be_bytes())).unwrap();
    let open = Arc::downgrade(&engine);
    drop(engine);
    assert!(producer.close(Some(Duration::from_millis(50))).is_err());
    assert!(open.strong_count() > 0);

    stuck.end();
    producer.close(LONG).unwrap();

    assert_eq!(get(&held_up).offset, 1);
    assert_eq!(open.strong_count(), 0);
}
