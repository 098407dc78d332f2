//! What `Consumer` promises.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use brokerless::client::{Outgoing, Step};
use brokerless::config::{ConsumerConfig, ProducerConfig};
use brokerless::env::Clock;
use brokerless::env::clock::SystemClock;
use brokerless::env::wake::Woken;
use brokerless::types::Timestamp;
use brokerless::{Compression, Error};

use crate::shared::{
    LONG, SECOND, World, assigned, earliest, filled, get, in_group, topics, tp, value,
};

#[test]
fn the_first_poll_gives_what_is_there_at_once() {
    let world = filled(1, 3);
    let reader = assigned(&world, earliest(), &[0]);

    assert_eq!(reader.poll_now(), [(0, 0, 0), (0, 1, 1), (0, 2, 2)]);
    assert_eq!(reader.poll_now(), []);
}

#[test]
fn a_subscription_announces_its_partitions_before_their_records() {
    let world = filled(2, 1);
    let reader = world.consumer(earliest());
    reader.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(reader.0.assignment(), []);

    let step = reader.0.poll(Duration::ZERO, 500).unwrap();

    assert!(matches!(step, Step::Assigned(partitions) if partitions == [tp(0), tp(1)]));
    assert_eq!(reader.0.assignment(), [tp(0), tp(1)]);
    assert_eq!(reader.drain().len(), 2);
}

#[test]
fn what_compaction_emptied_holds_up_no_poll() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "200"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    let world = World::with_topic("t", 1, &settings);
    let producer = world.producer(ProducerConfig::default());
    for number in 0..20_u32 {
        let bytes = number.to_be_bytes();
        let record = Outgoing { key: Some(b"k"), partition: Some(0), ..value("t", &bytes) };
        producer.send(&record).unwrap().wait(LONG).unwrap().unwrap();
    }
    producer.close(LONG).unwrap();
    let log = world.engine.partition(&tp(0)).unwrap();

    // Somebody else may be at it just now.
    let found = (0..1_000).map(|_| {
        log.compact(i64::MAX).unwrap();
        assigned(&world, earliest(), &[0]).poll_now()
    });
    let last = found.inspect(|all| assert_eq!(all.last(), Some(&(0, 19, 19))));

    assert!(last.map(|all| all.len()).any(|len| len < 5));
}

#[test]
fn polls_go_through_batches_in_pieces() {
    let world = filled(1, 1_000);
    let reader = assigned(&world, earliest(), &[0]);

    let mut all = Vec::new();
    while all.len() < 1_000 {
        let some = reader.poll(SECOND, 7);
        assert!((1..=7).contains(&some.len()));
        assert_eq!(reader.0.position(&tp(0)).unwrap(), some.last().unwrap().1 + 1);
        all.extend(some);
    }

    assert!(all.iter().map(|record| record.2).eq(0..1_000));
}

#[test]
fn every_codec_is_read() {
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let world = World::with_topic("t", 1, &[]);
        let producer = world.producer(ProducerConfig { compression, ..ProducerConfig::default() });
        for number in 0..500_u32 {
            producer.send(&value("t", &number.to_be_bytes())).unwrap();
        }
        producer.flush(LONG).unwrap();
        let reader = assigned(&world, earliest(), &[0]);

        assert!(reader.drain().iter().map(|r| r.2).eq(0..500), "{compression:?}");
    }
}

#[test]
fn a_paused_partition_keeps_its_place() {
    let world = filled(2, 10);
    let reader = assigned(&world, earliest(), &[0, 1]);
    assert_eq!(reader.poll(SECOND, 3), [(0, 0, 0), (0, 1, 1), (0, 2, 2)]);

    reader.0.pause(&[tp(0)]).unwrap();
    assert_eq!(reader.0.paused(), [tp(0)]);
    assert!(reader.drain().iter().all(|record| record.0 == 1));
    reader.0.resume(&[tp(0)]).unwrap();

    assert_eq!(reader.drain().first(), Some(&(0, 3, 3)));
}

#[test]
fn partitions_take_turns() {
    let world = World::with_topic("t", 3, &[]);
    for partition in 0..3 {
        let small = ProducerConfig { batch_size: 8_000, ..ProducerConfig::default() };
        let producer = world.producer(small);
        for number in 0..100_u32 {
            let mut bytes = vec![0; 4_000];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let record = Outgoing { partition: Some(partition), ..value("t", &bytes) };
            producer.send(&record).unwrap();
        }
        producer.close(LONG).unwrap();
    }
    let small = ConsumerConfig { max_partition_fetch_bytes: 10_000, ..earliest() };
    let reader = assigned(&world, small, &[0, 1, 2]);

    let Step::Records(polled) = reader.0.poll(SECOND, 90).unwrap() else { panic!() };

    let seen: HashSet<_> = polled.iter().map(|some| some.topic_partition().partition).collect();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_poll_reads_no_more_than_it_may_but_always_a_batch() {
    let world = filled(3, 100);
    let small = ConsumerConfig { fetch_max_bytes: 1, ..earliest() };
    let reader = assigned(&world, small, &[0, 1, 2]);

    let first = reader.poll(SECOND, 500);

    assert_eq!(first.iter().map(|record| record.0).collect::<HashSet<_>>().len(), 1);
    assert_eq!(first.len() + reader.drain().len(), 300);
}

#[test]
fn a_poll_waits_for_a_record_and_no_longer() {
    let world = World::with_topic("t", 2, &[]);
    let reader = assigned(&world, earliest(), &[0, 1]);

    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            world.fill("t", 1, [7]);
        });
        assert_eq!(reader.poll(Duration::from_secs(20), 500), [(1, 0, 7)]);
    });

    assert_eq!(reader.poll(Duration::from_millis(30), 500), []);
}

/// Time as it is, but who waits in the thread that made it is only woken by what he waits for.
#[derive(Debug)]
struct Sleepless {
    sleeper: ThreadId,
    waits: AtomicU32,
    timed_out: AtomicU32,
}

impl Clock for Sleepless {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    fn wait(&self, word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
        if thread::current().id() != self.sleeper {
            return SystemClock.wait(word, expected, timeout);
        }
        self.waits.fetch_add(1, Ordering::SeqCst);
        let woken = SystemClock.wait(word, expected, 20 * SECOND);
        self.timed_out.fetch_add(u32::from(woken == Woken::TimedOut), Ordering::SeqCst);
        woken
    }
}

#[test]
fn a_waiting_poll_is_woken_and_does_not_look_by_the_clock() {
    const ROUNDS: u32 = 30;
    let sleeper = thread::current().id();
    let clock = Arc::new(Sleepless { sleeper, waits: 0.into(), timed_out: 0.into() });
    let world = World::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    world.engine.create_topic("t", Some(1), &[]).unwrap();
    let reader = assigned(&world, earliest(), &[0]);
    let producer = world.producer(ProducerConfig::default());

    for round in 0..ROUNDS {
        let (waits, until) = (clock.waits.load(Ordering::SeqCst), Instant::now() + 60 * SECOND);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Until it sleeps, or is about to.
                while clock.waits.load(Ordering::SeqCst) == waits && Instant::now() < until {
                    thread::sleep(Duration::from_millis(1));
                }
                get(&producer.send(&value("t", &round.to_be_bytes())).unwrap());
            });
            assert_eq!(reader.poll(60 * SECOND, 500).len(), 1);
        });
        assert_eq!(clock.timed_out.load(Ordering::SeqCst), 0);
    }

    // Once a round; the system may wake somebody for nothing.
    let waits = clock.waits.load(Ordering::SeqCst);
    assert!((ROUNDS..2 * ROUNDS).contains(&waits), "{waits}");
}

#[test]
fn few_bytes_are_waited_for_but_not_longer_than_the_limit() {
    let world = filled(1, 3);
    let fetch_max_wait = Duration::from_millis(60);
    let config = ConsumerConfig { fetch_min_bytes: 1_000, fetch_max_wait, ..earliest() };
    let reader = assigned(&world, config, &[0]);

    assert_eq!(reader.poll_now(), []);
    assert_eq!(reader.poll(Duration::from_secs(20), 500).len(), 3);
    world.fill("t", 0, 0..200);

    assert_eq!(reader.poll_now().len(), 200);
}

#[test]
fn no_more_bytes_are_waited_for_than_a_poll_takes() {
    let world = filled(1, 3);
    let all = ConsumerConfig { fetch_min_bytes: 1_000, fetch_max_bytes: 10, ..earliest() };
    let config = ConsumerConfig { fetch_max_wait: Duration::from_secs(600), ..all };

    assert_eq!(assigned(&world, config, &[0]).poll_now().len(), 3);
}

#[test]
fn new_partitions_are_assigned_after_a_revocation() {
    let world = filled(1, 1);
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(reader.drain().len(), 1);

    world.engine.create_partitions("t", 3).unwrap();
    world.fill("t", 2, [9]);

    let revoked = reader.0.poll(Duration::ZERO, 500).unwrap();
    assert!(matches!(revoked, Step::Revoked(partitions) if partitions == [tp(0)]));
    assert_eq!(reader.0.committed(&tp(0)).unwrap().unwrap().offset, 1);
    let assigned = reader.0.poll(Duration::ZERO, 500).unwrap();
    assert!(matches!(assigned, Step::Assigned(partitions) if partitions.len() == 3));
    assert_eq!(reader.drain(), [(2, 0, 9)]);
}

#[test]
fn a_pattern_finds_topics_made_later_but_not_internal_ones() {
    let world = World::new();
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe_pattern(Arc::new(|name| name != "no")).unwrap();
    assert_eq!(reader.drain(), []);

    for name in ["a", "no", "b"] {
        world.engine.create_topic(name, Some(1), &[]).unwrap();
        world.fill(name, 0, [1]);
    }

    assert_eq!(reader.poll(SECOND, 500).len(), 2);
    assert_eq!(reader.0.subscription(), ["a", "b"]);
}

#[test]
fn a_missing_topic_is_made_or_waited_for() {
    let world = World::new();
    let making = world.consumer(earliest());
    making.0.subscribe(&topics(&["made"])).unwrap();
    making.poll_now();
    assert_eq!(making.0.partitions_for("made").unwrap(), Some(1));

    let waits = ConsumerConfig { allow_auto_create_topics: false, ..earliest() };
    let waiting = world.consumer(waits);
    waiting.0.subscribe(&topics(&["late"])).unwrap();
    assert_eq!(waiting.poll_now(), []);
    assert_eq!(waiting.0.partitions_for("late").unwrap(), None);
    world.fill("late", 0, [5]);

    assert_eq!(waiting.poll(SECOND, 500), [(0, 0, 5)]);
}

#[test]
fn a_topic_made_anew_is_read_from_its_start() {
    let world = filled(1, 10);
    let reader = world.consumer(earliest());
    reader.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(reader.drain().len(), 10);

    world.engine.delete_topic("t").unwrap();
    world.fill("t", 0, 70..90);

    assert_eq!(reader.poll(SECOND, 1), [(0, 0, 70)]);
}

#[test]
fn closing_ends_the_poll_of_another_thread() {
    let world = filled(1, 0);
    let reader = assigned(&world, earliest(), &[0]);

    thread::scope(|scope| {
        let polling = scope.spawn(|| {
            loop {
                match reader.0.poll(Duration::from_secs(20), 1) {
                    Ok(Step::Interrupted) => {}
                    other => return other,
                }
            }
        });
        thread::sleep(Duration::from_millis(30));
        reader.0.close(true).unwrap();

        assert!(matches!(polling.join().unwrap(), Err(Error::Closed(_))));
    });
}
