//! What `Consumer` promises.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Outgoing, Step};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::record::BatchBuilder;
use brokerless::record::control::{ControlType, EndTransactionMarker};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, Error, TopicPartition};

use crate::shared::{LONG, Reader, World, get, read, tp, value};

const SECOND: Duration = Duration::from_secs(1);

fn earliest() -> ConsumerConfig {
    ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() }
}

fn in_group(group: &str) -> ConsumerConfig {
    ConsumerConfig { group_id: Some(group.into()), ..earliest() }
}

fn topics(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A world whose topic `t` has `partitions` partitions with `each` records.
fn filled(partitions: i32, each: u32) -> World {
    let world = World::with_topic("t", partitions, &[]);
    (0..partitions).for_each(|partition| world.fill("t", partition, 0..each));
    world
}

fn assigned(world: &World, config: ConsumerConfig, partitions: &[i32]) -> Reader {
    let reader = world.consumer(config);
    let partitions: Vec<_> = partitions.iter().copied().map(tp).collect();
    reader.0.assign(&partitions).unwrap();
    reader
}

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
fn a_seek_into_a_batch_skips_what_is_before() {
    let world = filled(1, 100);
    let reader = assigned(&world, earliest(), &[0]);
    reader.poll(SECOND, 90);

    for offset in [42, 0, 99] {
        reader.0.seek(&tp(0), offset).unwrap();
        assert_eq!(reader.0.position(&tp(0)).unwrap(), offset);
        assert_eq!(reader.poll(SECOND, 1), [(0, offset, offset as u32)]);
    }
}

#[test]
fn a_seek_moves_to_either_end() {
    let world = filled(2, 10);
    let reader = assigned(&world, earliest(), &[0, 1]);

    reader.0.seek_to_end(&[]).unwrap();
    assert_eq!(reader.0.position(&tp(0)).unwrap(), 10);
    assert_eq!(reader.drain(), []);
    reader.0.seek_to_beginning(&[tp(1)]).unwrap();
    assert_eq!(reader.0.position(&tp(1)).unwrap(), 0);

    assert_eq!(reader.drain().len(), 10);
}

#[test]
fn what_is_not_assigned_cannot_be_moved() {
    let world = filled(2, 1);
    let reader = assigned(&world, earliest(), &[0]);
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::IllegalState(_)));

    assert!(refused(reader.0.seek(&tp(1), 0)));
    assert!(refused(reader.0.seek_to_end(&[tp(0), tp(1)])));
    assert!(refused(reader.0.pause(&[tp(1)])));
    assert!(refused(reader.0.position(&tp(1)).map(drop)));
    assert!(matches!(reader.0.seek(&tp(0), -1), Err(Error::InvalidArgument(_))));
    assert!(matches!(reader.0.subscribe(&topics(&["t"])), Err(Error::IllegalState(_))));
}

#[test]
fn without_an_offset_the_rule_decides() {
    let world = filled(1, 5);
    // So that now is later than the last record.
    std::thread::sleep(Duration::from_millis(2));
    let first = |auto_offset_reset| {
        let reader = assigned(&world, ConsumerConfig { auto_offset_reset, ..earliest() }, &[0]);
        reader.0.position(&tp(0))
    };

    assert_eq!(first(OffsetReset::Earliest).unwrap(), 0);
    assert_eq!(first(OffsetReset::Latest).unwrap(), 5);
    assert_eq!(first(OffsetReset::ByDuration(Duration::from_secs(3_600))).unwrap(), 0);
    assert_eq!(first(OffsetReset::ByDuration(Duration::ZERO)).unwrap(), 5);
    assert!(matches!(first(OffsetReset::None), Err(Error::NoOffsetForPartition(_))));
}

#[test]
fn an_offset_outside_the_log_follows_the_rule() {
    let world = filled(1, 5);
    let reader = assigned(&world, earliest(), &[0]);
    reader.0.seek(&tp(0), 1_000).unwrap();
    assert_eq!(reader.drain().len(), 5);

    let none = ConsumerConfig { auto_offset_reset: OffsetReset::None, ..earliest() };
    let strict = assigned(&world, none, &[0]);
    strict.0.seek(&tp(0), 1_000).unwrap();

    let result = strict.0.poll(Duration::ZERO, 500);
    assert!(matches!(result, Err(Error::OffsetOutOfRange { offset: 1_000, end: 5, .. })));
    strict.0.seek(&tp(0), 4).unwrap();
    assert_eq!(strict.drain(), [(0, 4, 4)]);
}

#[test]
fn committed_offsets_are_where_the_next_consumer_starts() {
    let world = filled(2, 10);
    let config = ConsumerConfig { enable_auto_commit: false, ..in_group("g") };
    let first = world.consumer(config.clone());
    first.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(first.poll(SECOND, 13).len(), 13);

    let committed = first.0.commit(None).unwrap();
    first.0.close(true).unwrap();

    assert_eq!(committed.iter().map(|(_, commit)| commit.offset).sum::<i64>(), 13);
    let second = world.consumer(config);
    second.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(second.drain().len(), 7);
}

#[test]
fn an_explicit_commit_keeps_its_metadata() {
    let world = filled(1, 10);
    let reader = assigned(&world, in_group("g"), &[0]);
    let commit = OffsetAndMetadata { offset: 4, metadata: "by hand".into(), leader_epoch: -1 };

    reader.0.commit(Some(&[(tp(0), commit.clone())])).unwrap();

    assert_eq!(reader.0.committed(&tp(0)).unwrap(), Some(commit));
    assert_eq!(world.consumer(in_group("other")).0.committed(&tp(0)).unwrap(), None);
    let groupless = assigned(&world, earliest(), &[0]);
    assert!(matches!(groupless.0.commit(None), Err(Error::IllegalState(_))));
    assert!(matches!(groupless.0.committed(&tp(0)), Err(Error::IllegalState(_))));
}

#[test]
fn positions_are_committed_at_the_poll_after_the_interval() {
    let world = filled(1, 10);
    let interval = ConsumerConfig { auto_commit_interval: Duration::ZERO, ..in_group("g") };
    let reader = assigned(&world, interval, &[0]);
    let committed = || reader.0.committed(&tp(0)).unwrap().map(|commit| commit.offset);

    assert_eq!(reader.poll(SECOND, 4).len(), 4);
    // What was just handed out is not done yet.
    assert_ne!(committed(), Some(4));
    assert_eq!(reader.poll(SECOND, 4).len(), 4);

    assert_eq!(committed(), Some(4));
}

#[test]
fn closing_commits_unless_it_is_told_not_to() {
    for (autocommit, expected) in [(true, Some(4)), (false, None)] {
        let world = filled(1, 10);
        let reader = assigned(&world, in_group("g"), &[0]);
        reader.poll(SECOND, 4);

        reader.0.close(autocommit).unwrap();
        reader.0.close(autocommit).unwrap();

        let committed = world.consumer(in_group("g")).0.committed(&tp(0)).unwrap();
        assert_eq!(committed.map(|commit| commit.offset), expected);
        assert!(matches!(reader.0.poll(SECOND, 1), Err(Error::Closed(_))));
    }
}

#[test]
fn a_second_member_of_a_group_is_refused_until_the_first_leaves() {
    let world = filled(1, 1);
    let first = world.consumer(in_group("g"));
    first.0.subscribe(&topics(&["t"])).unwrap();
    first.drain();
    let second = world.consumer(in_group("g"));
    second.0.subscribe(&topics(&["t"])).unwrap();

    let refused = second.0.poll(Duration::ZERO, 1);
    assert!(matches!(refused, Err(Error::GroupInUse(group)) if group == "g"));
    first.0.close(true).unwrap();

    assert_eq!(second.drain(), []);
}

#[test]
fn what_was_polled_ahead_counts_only_when_it_is_consumed() {
    let world = filled(1, 10);
    let reader = assigned(&world, in_group("g"), &[0]);
    let Step::Records(polled) = reader.0.poll_ahead(SECOND, 10).unwrap() else { panic!() };
    assert_eq!(reader.0.position(&tp(0)).unwrap(), 0);

    reader.0.consumed(&polled[0], 3);

    assert_eq!(reader.0.position(&tp(0)).unwrap(), 3);
    assert!(reader.0.is_current(&polled[0]));
    assert_eq!(reader.poll(SECOND, 1), [(0, 3, 3)]);
    assert!(!reader.0.is_current(&polled[0]));
    reader.0.consumed(&polled[0], 9);
    assert_eq!(reader.0.position(&tp(0)).unwrap(), 4);
}

#[test]
fn polling_ahead_goes_on_behind_what_was_consumed() {
    let world = filled(2, 700);
    let reader = assigned(&world, in_group("g"), &[0, 1]);

    let mut seen = Vec::new();
    loop {
        let Step::Records(polled) = reader.0.poll_ahead(Duration::ZERO, 50).unwrap() else {
            panic!()
        };
        if polled.is_empty() {
            break;
        }
        for some in &polled {
            reader.0.consumed(some, some.next_offset());
        }
        seen.extend(read(&polled));
    }

    assert_eq!(seen.len(), 1_400);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 1_400);
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

    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            world.fill("t", 1, [7]);
        });
        assert_eq!(reader.poll(Duration::from_secs(20), 500), [(1, 0, 7)]);
    });

    assert_eq!(reader.poll(Duration::from_millis(30), 500), []);
}

#[test]
fn a_waiting_poll_is_woken_and_does_not_look_by_the_clock() {
    const ROUNDS: u32 = 30;
    let world = World::with_topic("t", 1, &[]);
    let reader = assigned(&world, earliest(), &[0]);
    let producer = world.producer(ProducerConfig::default());
    let started = std::time::Instant::now();

    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(5));
                get(&producer.send(&value("t", &round.to_be_bytes())).unwrap());
            });
            assert_eq!(reader.poll(Duration::from_secs(20), 500).len(), 1);
        });
    }

    // Looking every 100 ms would take twice as long.
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
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

    std::thread::scope(|scope| {
        let polling = scope.spawn(|| {
            loop {
                match reader.0.poll(Duration::from_secs(20), 1) {
                    Ok(Step::Interrupted) => {}
                    other => return other,
                }
            }
        });
        std::thread::sleep(Duration::from_millis(30));
        reader.0.close(true).unwrap();

        assert!(matches!(polling.join().unwrap(), Err(Error::Closed(_))));
    });
}

#[test]
fn edges_times_and_lag_are_told() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(ProducerConfig::default());
    for number in 0..10_u32 {
        let bytes = number.to_be_bytes();
        let record =
            Outgoing { timestamp: Some(1_000 + i64::from(number) * 10), ..value("t", &bytes) };
        get(&producer.send(&record).unwrap());
    }
    let reader = assigned(&world, earliest(), &[0]);
    assert_eq!(reader.0.highwater(&tp(0)).unwrap(), None);
    reader.poll(SECOND, 4);

    assert_eq!(reader.0.beginning_offsets(&[tp(0)]).unwrap(), [(tp(0), 0)]);
    assert_eq!(reader.0.end_offsets(&[tp(0)]).unwrap(), [(tp(0), 10)]);
    assert_eq!(reader.0.highwater(&tp(0)).unwrap(), Some(10));
    assert_eq!(reader.0.lag(&tp(0)).unwrap(), Some(6));
    let times = [(tp(0), 1_035), (tp(0), 5_000)];
    let found = reader.0.offsets_for_times(&times).unwrap();
    assert_eq!(found[0].1.map(|found| (found.offset, found.timestamp)), Some((4, 1_040)));
    assert_eq!(found[1].1, None);
    let unknown = TopicPartition::new("nowhere", 0);
    assert!(matches!(reader.0.end_offsets(&[unknown]), Err(Error::UnknownTopicOrPartition(_))));
}

#[test]
fn a_position_before_a_control_batch_or_behind_it_is_the_same() {
    let world = World::with_topic("t", 1, &[]);
    transaction(&world, 7, &[1, 2], ControlType::Commit);
    let reader = assigned(&world, earliest(), &[0]);

    assert_eq!(reader.drain(), [(0, 0, 1), (0, 1, 2)]);
    assert_eq!(reader.0.position(&tp(0)).unwrap(), 3);
}

fn append(world: &World, mut batch: Vec<u8>) {
    world.engine.partition(&tp(0)).unwrap().append(&mut batch).unwrap();
}

fn transactional(producer_id: i64, numbers: &[u32]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.set_producer(producer_id, 0, 0);
    builder.set_transactional();
    numbers_batch(builder, numbers)
}

fn numbers_batch(mut builder: BatchBuilder, numbers: &[u32]) -> Vec<u8> {
    for number in numbers {
        builder.append(1, None, Some(&number.to_be_bytes()), &[]);
    }
    builder.finish().unwrap()
}

fn marker(producer_id: i64, what: ControlType) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.set_producer(producer_id, 0, -1);
    builder.set_transactional();
    builder.set_control();
    let end = EndTransactionMarker { committed: what == ControlType::Commit, coordinator_epoch: 0 };
    builder.append(1, Some(&end.key()), Some(&end.value()), &[]);
    builder.finish().unwrap()
}

fn transaction(world: &World, producer_id: i64, numbers: &[u32], end: ControlType) {
    append(world, transactional(producer_id, numbers));
    append(world, marker(producer_id, end));
}

#[test]
fn a_damaged_batch_is_named_and_can_be_passed() {
    let world = World::with_topic("t", 1, &[]);
    for number in 0..3 {
        world.fill("t", 0, [number]);
    }
    let path = world.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let size = bytes.len() / 3;
    bytes[2 * size - 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let reader = assigned(&world, earliest(), &[0]);

    assert_eq!(reader.poll_now(), [(0, 0, 0)]);
    for _ in 0..2 {
        let error = reader.0.poll(SECOND, 500).unwrap_err();
        let Error::CorruptRecord { path: found, position, .. } = error else { panic!("{error}") };
        assert_eq!((found, position), (path.clone(), size as u64));
    }
    reader.0.seek(&tp(0), 2).unwrap();
    assert_eq!(reader.poll_now(), [(0, 2, 2)]);

    let trusting = ConsumerConfig { check_crcs: false, ..earliest() };
    assert_eq!(assigned(&world, trusting, &[0]).drain().len(), 3);
}

#[test]
fn a_group_reads_on_in_another_process_of_its_directory() {
    let world = filled(1, 10);
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe(&topics(&["t"])).unwrap();
    assert_eq!(reader.poll(SECOND, 6).len(), 6);
    reader.0.close(true).unwrap();
    drop(reader);

    let world = world.reopened();
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe(&topics(&["t"])).unwrap();

    assert_eq!(reader.drain().first(), Some(&(0, 6, 6)));
}

#[test]
fn leaving_a_subscription_gives_its_partitions_back() {
    let world = filled(2, 1);
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe(&topics(&["t"])).unwrap();
    reader.drain();

    assert_eq!(reader.0.unsubscribe().unwrap(), [tp(0), tp(1)]);

    assert_eq!((reader.0.assignment(), reader.0.subscription()), (vec![], vec![]));
    assert_eq!(reader.poll_now(), []);
    let other = world.consumer(in_group("g"));
    other.0.subscribe(&topics(&["t"])).unwrap();
    other.drain();
    reader.0.assign(&[tp(1)]).unwrap();
    assert_eq!(reader.0.position(&tp(1)).unwrap(), 1);
}
