//! Committed offsets over time: they expire, and their log does not grow for ever.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::config::Change;
use brokerless::coord::group::Strategy;
use brokerless::engine::{Cursor, Engine, Join, OpenOptions};
use brokerless::env::mem::MemDisk;
use brokerless::env::point::with_hook;
use brokerless::env::{Access, Clock};
use brokerless::types::OffsetAndMetadata;
use brokerless::{IsolationLevel, TopicPartition};

use crate::damage::warnings;
use crate::support::{ORDERS, batch_at};

const RETENTION: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);
/// A moment less than offsets are kept.
const ALMOST: Duration = Duration::from_millis(59_999);

/// A machine whose directory keeps offsets for a minute, and looks after them each millisecond.
fn machine(settings: &str) -> MemDisk {
    let disk = MemDisk::new();
    let env = disk.env();
    env.storage.create_dir(Path::new("/data")).unwrap();
    let path = Path::new("/data/brokerless.properties");
    let text = format!(
        "offsets.retention.minutes=1\noffsets.retention.check.interval.ms=1\n\
         offsets.topic.num.partitions=1\n{settings}"
    );
    env.storage.open(path, Access::Write).unwrap().write_at(0, text.as_bytes()).unwrap();
    disk
}

fn open(disk: &MemDisk) -> Arc<Engine> {
    let engine = Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap();
    for topic in [ORDERS, "other"] {
        engine.topic_or_create(topic).unwrap();
        let partition = engine.partition(&TopicPartition::new(topic, 0)).unwrap();
        if partition.ends().unwrap().log_end_offset == 0 {
            partition.append(&mut batch_at(0, &["a", "b", "c"])).unwrap();
        }
    }
    engine
}

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 }
}

fn commit(engine: &Engine, group: &str, topic: &str, offset: i64) {
    engine.commit_offsets(group, &[(TopicPartition::new(topic, 0), at(offset))]).unwrap();
}

pub(crate) fn join(topic: &str) -> Join {
    Join {
        client_id: "c".into(),
        instance_id: None,
        topics: vec![topic.into()],
        strategies: vec![Strategy { name: "range".into(), own: false, user_data: Vec::new() }],
        cooperative: false,
        session_timeout: 10 * RETENTION,
        rebalance_timeout: 10 * RETENTION,
    }
}

/// The topics that a group has offsets of, after what has expired by now was taken away.
fn kept(disk: &MemDisk, engine: &Arc<Engine>, group: &str) -> Vec<String> {
    engine.expire_offsets(disk.clock().now()).unwrap();
    let committed = engine.committed_offsets(group).unwrap();
    let mut topics: Vec<_> =
        committed.keys().map(|partition| partition.topic.to_string()).collect();
    topics.sort_unstable();
    topics
}

/// Bytes of the log of committed offsets that can be read.
fn readable(engine: &Engine) -> usize {
    let partition = engine.partition(&TopicPartition::new("__consumer_offsets", 0)).unwrap();
    let (mut cursor, mut bytes) = (Cursor::new(0), 0);
    loop {
        let read = partition.read(&mut cursor, 1 << 20, IsolationLevel::ReadUncommitted).unwrap();
        if read.bytes.is_empty() {
            return bytes;
        }
        bytes += read.bytes.len();
    }
}

#[test]
fn more_offsets_expire_together_than_one_batch_can_hold() {
    let disk = machine("");
    let engine = open(&disk);
    engine.create_topic("wide", Some(40), &[]).unwrap();
    for number in 0..40 {
        engine.commit_offsets("g", &[(TopicPartition::new("wide", number), at(0))]).unwrap();
    }
    let small = ("max.message.bytes".to_owned(), Change::Set("500".to_owned()));
    engine.alter_topic("__consumer_offsets", &[small], false).unwrap();
    kept(&disk, &engine, "g");
    disk.clock().advance(RETENTION);

    assert_eq!(kept(&disk, &engine, "g"), [""; 0]);
}

#[test]
fn offsets_of_a_group_that_never_had_members_expire_each_by_its_commit() {
    let disk = machine("");
    let engine = open(&disk);
    commit(&engine, "g", ORDERS, 1);
    disk.clock().advance(MOMENT);
    commit(&engine, "g", "other", 2);

    disk.clock().advance(Duration::from_millis(59_998));
    assert_eq!(kept(&disk, &engine, "g"), [ORDERS, "other"]);
    disk.clock().advance(MOMENT);
    assert_eq!(kept(&disk, &engine, "g"), ["other"]);
    disk.clock().advance(MOMENT);
    assert_eq!(kept(&disk, &engine, "g"), [""; 0]);
}

#[test]
fn offsets_that_expire_may_go_with_their_topic() {
    let disk = machine("");
    let (engine, other) = (open(&disk), open(&disk.process()));
    commit(&engine, "g", ORDERS, 1);
    assert_eq!(kept(&disk, &engine, "g"), [ORDERS]);
    disk.clock().advance(RETENTION);
    let decided = Cell::new(false);
    let delete = move |point| match point {
        "expire.decided" => decided.set(true),
        "offsets.found" if decided.take() => other.delete_topic("__consumer_offsets").unwrap(),
        _ => {}
    };

    let (_, told) = warnings::of(|| with_hook(delete, || kept(&disk, &engine, "g")));

    assert_eq!(told, [""; 0]);
}

#[test]
fn offsets_expire_when_their_group_was_empty_for_long_enough() {
    let disk = machine("");
    let engine = open(&disk);
    let member = engine.group("g").unwrap().join(join(ORDERS)).unwrap();
    commit(&engine, "g", ORDERS, 1);

    disk.clock().advance(5 * RETENTION);
    assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "a member lives");
    member.leave().unwrap();
    disk.clock().advance(ALMOST);
    assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "a moment too early");
    disk.clock().advance(MOMENT);

    assert_eq!(kept(&disk, &engine, "g"), [""; 0]);
    // Nothing is left of the group, so nothing more is written.
    let bytes = readable(&engine);
    disk.clock().advance(RETENTION);
    engine.expire_offsets(disk.clock().now()).unwrap();
    assert_eq!(readable(&engine), bytes);
}

#[test]
fn offsets_of_a_living_group_expire_where_nobody_subscribes() {
    let disk = machine("");
    let engine = open(&disk);
    let group = engine.group("g").unwrap();
    commit(&engine, "g", ORDERS, 1);
    commit(&engine, "g", "other", 1);
    let _member = group.join(join("other")).unwrap();

    disk.clock().advance(ALMOST);
    assert_eq!(kept(&disk, &engine, "g"), [ORDERS, "other"]);
    disk.clock().advance(MOMENT);

    assert_eq!(kept(&disk, &engine, "g"), ["other"]);
}

#[test]
fn a_group_whose_members_all_died_is_empty_from_when_that_is_seen() {
    for reopened in [false, true] {
        let disk = machine("");
        let engine = open(&disk);
        let victim = disk.process();
        let there = open(&victim);
        let member = there.group("g").unwrap().join(join(ORDERS)).unwrap();
        commit(&engine, "g", ORDERS, 1);
        assert_eq!(kept(&disk, &engine, "g"), [ORDERS]);
        disk.clock().advance(5 * RETENTION);
        victim.kill();
        drop((member, there));
        let engine = if reopened {
            drop(engine);
            open(&disk)
        } else {
            engine
        };

        assert_eq!(kept(&disk, &engine, "g"), [ORDERS]);
        disk.clock().advance(ALMOST);
        assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "reopened: {reopened}");
        disk.clock().advance(MOMENT);

        assert_eq!(kept(&disk, &engine, "g"), [""; 0], "reopened: {reopened}");
    }
}

#[test]
fn expiry_is_looked_for_once_an_interval_by_whichever_process() {
    let disk = machine("offsets.retention.check.interval.ms=60000");
    let (one, two) = (open(&disk), open(&disk.process()));
    commit(&one, "g", ORDERS, 1);
    assert_eq!(kept(&disk, &one, "g"), [ORDERS]);
    disk.clock().advance(ALMOST);
    commit(&one, "h", ORDERS, 1);
    assert_eq!(kept(&disk, &two, "g"), [ORDERS]);
    disk.clock().advance(MOMENT);

    assert_eq!(kept(&disk, &two, "g"), [""; 0]);
    disk.clock().advance(ALMOST);
    assert_eq!(kept(&disk, &one, "h"), [ORDERS], "the other has just looked");
    disk.clock().advance(MOMENT);
    assert_eq!(kept(&disk, &one, "h"), [""; 0]);
}

#[test]
fn who_looks_after_a_directory_lets_offsets_expire() {
    let disk = machine("");
    let engine = open(&disk);
    commit(&engine, "forgotten", ORDERS, 1);
    assert!(engine.tend(disk.clock().now()).unwrap() <= MOMENT, "they are looked after often");
    disk.clock().advance(RETENTION);

    engine.tend(disk.clock().now()).unwrap();

    assert!(engine.committed_offsets("forgotten").unwrap().is_empty());
}

#[test]
fn many_commits_leave_a_small_log() {
    const COMMITS: i64 = 4_000;
    let disk = machine("offsets.topic.segment.bytes=4096\nlog.cleaner.backoff.ms=0");
    let (engine, other) = (open(&disk), open(&disk.process()));
    let number = |partition| TopicPartition::new("wide", partition);
    engine.create_topic("wide", Some(10), &[]).unwrap();
    for partition in 0..10 {
        let log = engine.partition(&number(partition)).unwrap();
        log.append(&mut batch_at(0, &["a", "b"])).unwrap();
    }
    for n in 0..COMMITS {
        let offsets: Vec<_> = (0..10).map(|partition| (number(partition), at(n))).collect();
        engine.commit_offsets("g", &offsets).unwrap();
        if n % 50 == 0 {
            other.tend(disk.clock().now()).unwrap();
        }
    }

    let env = disk.env();
    let folder = Path::new("/data/__consumer_offsets-0");
    let files = env.storage.list(folder).unwrap();
    assert!(files.len() < 150, "{} files", files.len());
    let size = |name: &String| env.storage.open(&folder.join(name), Access::Read)?.len();
    let bytes: u64 = files.iter().filter_map(|entry| size(&entry.name).ok()).sum();
    assert!(bytes < 400_000, "{bytes} bytes");
    for engine in [&engine, &other, &open(&disk.process())] {
        let committed = engine.committed_offsets("g").unwrap();
        assert!((0..10).all(|partition| committed[&number(partition)] == at(COMMITS - 1)));
    }
}

#[test]
fn a_topic_of_offsets_whose_folders_are_not_made_yet_has_nothing_that_expires() {
    let disk = machine("");
    let engine = open(&disk);
    let other = open(&MemDisk::process(&disk));
    let look = move |point| {
        if point == "topics.written" {
            other.expire_offsets(1_000_000).unwrap();
        }
    };

    with_hook(look, || engine.topic_or_create("__consumer_offsets")).unwrap();
}

#[test]
fn nothing_expires_at_the_first_look_at_a_directory() {
    let disk = machine("");
    let engine = open(&disk);
    commit(&engine, "g", ORDERS, 1);
    disk.clock().advance(5 * RETENTION);

    assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "the clock may be wrong");

    disk.clock().advance(MOMENT);
    assert_eq!(kept(&disk, &engine, "g"), [""; 0]);
}

#[test]
fn offsets_expire_in_their_time_in_a_slow_round_too() {
    let disk = machine("");
    let engine = open(&disk);
    commit(&engine, "g", ORDERS, 1);
    engine.tend(disk.clock().now()).unwrap();
    disk.clock().advance(Duration::from_secs(300));
    let clock = disk.clone();
    let slow = move |point| {
        if point == "retain.round" {
            clock.clock().advance(Duration::from_secs(10));
        }
    };

    with_hook(slow, || engine.tend(disk.clock().now())).unwrap();

    assert!(engine.committed_offsets("g").unwrap().is_empty());
}

/// Ten years, in milliseconds.
const YEARS: i64 = 10 * 365 * 24 * 3_600_000;

#[test]
fn nothing_expires_by_a_jump_of_the_clock_but_all_in_its_time() {
    for jump in [YEARS, -24 * 3_600_000, 10_000_000] {
        let disk = machine("");
        let engine = open(&disk);
        commit(&engine, "g", ORDERS, 1);
        assert_eq!(kept(&disk, &engine, "g"), [ORDERS]);

        disk.clock().set_now(disk.clock().now() + jump);
        assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "{jump}");
        disk.clock().advance(ALMOST);
        assert_eq!(kept(&disk, &engine, "g"), [ORDERS], "{jump}");

        // Time has gone by, but by a clock that was set back it still lies ahead.
        let ahead = u64::try_from(-jump).map_or(Duration::ZERO, Duration::from_millis);
        for _ in 0..3 {
            disk.clock().advance(RETENTION + ahead);
            engine.expire_offsets(disk.clock().now()).unwrap();
        }
        assert!(kept(&disk, &engine, "g").is_empty(), "{jump}");
    }
}

#[test]
fn no_member_is_taken_out_by_a_jump_of_the_clock() {
    for jump in [YEARS, -24 * 3_600_000] {
        let disk = machine("");
        let engine = open(&disk);
        let group = engine.group("g").unwrap();
        let membership = group.join(join(ORDERS)).unwrap();
        group.sweep(disk.clock().monotonic()).unwrap();

        disk.clock().set_now(disk.clock().now() + jump);

        assert!(!group.sweep(disk.clock().monotonic()).unwrap());
        assert!(group.state().unwrap().member(membership.uid()).is_some(), "{jump}");
    }
}
