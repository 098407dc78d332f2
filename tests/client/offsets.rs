//! What a consumer promises about positions and committed offsets.

use std::collections::HashSet;
use std::time::Duration;

use brokerless::client::{Outgoing, Step};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
#[cfg(debug_assertions)]
use brokerless::env::point;
use brokerless::record::BatchBuilder;
use brokerless::record::control::{ControlType, EndTransactionMarker};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};

use crate::shared::{
    SECOND, World, assigned, earliest, filled, get, in_group, read, topics, tp, value,
};

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
fn a_partition_without_a_position_does_not_hold_up_the_others_and_is_named() {
    let world = filled(3, 5);
    let strict = ConsumerConfig { auto_offset_reset: OffsetReset::None, ..in_group("g") };
    let reader = assigned(&world, strict, &[0, 1, 2]);
    let commit = OffsetAndMetadata { offset: 4, metadata: String::new(), leader_epoch: -1 };
    reader.0.commit(Some(&[(tp(0), commit.clone()), (tp(2), commit)])).unwrap();

    let failed = reader.0.poll(SECOND, 10).unwrap_err();

    assert_eq!(failed.partition(), Some(&tp(1)));
    assert_eq!(reader.0.position(&tp(1)).unwrap_err().partition(), Some(&tp(1)));
    assert_eq!(reader.0.position(&tp(0)).unwrap(), 4);
    assert_eq!(reader.0.position(&tp(2)).unwrap(), 4);
}

#[test]
#[cfg(debug_assertions)]
fn a_topic_deleted_before_its_position_is_found_does_not_end_the_poll() {
    let world = filled(1, 5);
    world.engine.create_topic("u", Some(1), &[]).unwrap();
    let u = TopicPartition::new("u", 0);
    let at_once = ConsumerConfig { auto_commit_interval: Duration::ZERO, ..in_group("g") };
    let reader = world.consumer(at_once);
    reader.0.assign(&[tp(0), u.clone()]).unwrap();
    assert_eq!(reader.poll(SECOND, 3).len(), 3);
    reader.0.seek_to_beginning(&[u]).unwrap();

    // The poll commits between its look at the topics and that for positions.
    let engine = world.engine.clone();
    let hook = move |name| {
        if name == "commit.synced" {
            let _ = engine.delete_topic("u");
        }
    };
    let polled = point::with_hook(hook, || reader.0.poll(SECOND, 500));

    let Step::Records(records) = polled.unwrap() else { panic!() };
    assert_eq!(read(&records), [(0, 3, 3), (0, 4, 4)]);
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
fn a_position_that_was_committed_is_again_after_the_topic_of_offsets_was_deleted() {
    let world = filled(1, 4);
    let interval = ConsumerConfig { auto_commit_interval: Duration::ZERO, ..in_group("g") };
    let reader = assigned(&world, interval, &[0]);
    let committed = || reader.0.committed(&tp(0)).unwrap().map(|commit| commit.offset);
    assert_eq!(reader.drain().len(), 4);
    assert_eq!(committed(), Some(4));

    world.engine.delete_topic("__consumer_offsets").unwrap();
    assert_eq!(committed(), None);
    reader.poll(Duration::ZERO, 1);

    assert_eq!(committed(), Some(4));
}

#[test]
fn a_position_that_was_committed_is_again_after_its_topic_was_made_anew() {
    let world = filled(1, 4);
    let reader = assigned(&world, in_group("g"), &[0]);
    assert_eq!(reader.drain().len(), 4);
    reader.0.commit(None).unwrap();
    make_anew(&world);
    assert_eq!(reader.drain().len(), 6);
    reader.0.seek(&tp(0), 4).unwrap();

    reader.0.close(true).unwrap();

    let committed = world.consumer(in_group("g")).0.committed(&tp(0)).unwrap();
    assert_eq!(committed.map(|commit| commit.offset), Some(4));
}

#[test]
fn no_position_in_a_topic_that_is_gone_is_committed_for_one_of_its_name() {
    let world = filled(1, 4);
    let reader = assigned(&world, in_group("g"), &[0]);
    assert_eq!(reader.drain().len(), 4);
    make_anew(&world);

    assert_eq!(reader.0.commit(None).unwrap(), []);

    assert_eq!(reader.drain().len(), 6);
}

fn make_anew(world: &World) {
    world.engine.delete_topic("t").unwrap();
    world.engine.create_topic("t", Some(1), &[]).unwrap();
    world.fill("t", 0, 0..6);
}

#[test]
fn what_is_committed_and_in_use_is_committed_again_now_and_then() {
    let often = "offsets.topic.num.partitions=1\noffsets.retention.check.interval.ms=1";
    let world = World::with_properties(often);
    world.engine.create_topic("t", Some(1), &[]).unwrap();
    world.fill("t", 0, 0..4);
    let interval = ConsumerConfig { auto_commit_interval: Duration::ZERO, ..in_group("g") };
    let reader = assigned(&world, interval, &[0]);
    let log = TopicPartition::new("__consumer_offsets", 0);
    let look = || {
        // Longer than what is due is apart.
        std::thread::sleep(Duration::from_millis(2));
        reader.poll(Duration::ZERO, 10);
        let commits = world.engine.partition(&log).unwrap().ends().unwrap().log_end_offset;
        (commits, reader.0.committed(&tp(0)).unwrap().unwrap().offset)
    };
    reader.drain();

    let (before, committed) = look();
    assert_eq!(committed, 4);
    let (after, committed) = look();
    assert_eq!((after - before, committed), (1, 4));

    // What somebody else has committed since is not taken back.
    let commit = OffsetAndMetadata { offset: 2, metadata: String::new(), leader_epoch: -1 };
    world.engine.commit_offsets("g", &[(tp(0), commit)]).unwrap();
    assert_eq!(look(), (after + 1, 2));
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
fn of_many_partitions_too_only_what_was_consumed_counts() {
    let world = filled(3, 3);
    let reader = assigned(&world, in_group("g"), &[0, 1, 2]);
    let Step::Records(polled) = reader.0.poll_ahead(SECOND, 100).unwrap() else { panic!() };
    assert_eq!(read(&polled).len(), 9);
    let positions = || [0, 1, 2].map(|number| reader.0.position(&tp(number)).unwrap());
    assert_eq!(positions(), [0, 0, 0]);

    reader.0.consumed(polled.iter().find(|some| *some.topic_partition() == tp(1)).unwrap(), 2);

    assert_eq!(positions(), [0, 2, 0]);
    assert_eq!(reader.poll(SECOND, 100).len(), 7);
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

#[test]
fn what_may_not_be_read_yet_is_not_found_by_its_time() {
    let world = World::with_topic("t", 1, &[]);
    append(&world, transactional(7, &[1]));
    // Nothing of ours leaves a transaction open.
    let world = world.reopened();
    for (isolation_level, found) in
        [(IsolationLevel::ReadUncommitted, Some(0)), (IsolationLevel::ReadCommitted, None)]
    {
        let config = ConsumerConfig { isolation_level, ..earliest() };
        let reader = assigned(&world, config, &[0]);

        let times = reader.0.offsets_for_times(&[(tp(0), 1)]).unwrap();

        assert_eq!(times[0].1.map(|found| found.offset), found);
    }
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
fn leaving_a_subscription_gives_its_partitions_back() {
    let world = filled(2, 1);
    let reader = world.consumer(in_group("g"));
    reader.0.subscribe(&topics(&["t"])).unwrap();
    reader.drain();

    let farewell = reader.0.farewell().unwrap();
    assert!(matches!(farewell, Some(Step::Revoked(all)) if all == [tp(0), tp(1)]));
    reader.0.unsubscribe().unwrap();

    assert_eq!((reader.0.assignment(), reader.0.subscription()), (vec![], vec![]));
    assert_eq!(reader.poll_now(), []);
    let other = world.consumer(in_group("g"));
    other.0.subscribe(&topics(&["t"])).unwrap();
    other.drain();
    reader.0.assign(&[tp(1)]).unwrap();
    assert_eq!(reader.0.position(&tp(1)).unwrap(), 1);
}
