//! Retention: what goes and what stays, and that nobody is misled whoever dies when.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::mem::{MemDisk, Repeat};
use brokerless::env::{Access, Clock, Env, point};
use brokerless::record::BatchInfo;
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{ORDERS, batch_at, read_from};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// What `retention.ms` is in these tests.
const KEPT: &str = "3600000";

fn open(disk: &MemDisk) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env())
}

/// A topic whose segments have two batches, made if there is none.
fn partition_with(engine: &Engine, more: &[(&str, &str)]) -> Result<Arc<Partition>, Error> {
    let settings = [("segment.bytes", "160"), ("index.interval.bytes", "40")];
    let settings: Vec<_> = settings
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    match engine.create_topic(ORDERS, None, &settings) {
        Ok(_) | Err(Error::TopicAlreadyExists(_)) => {}
        Err(error) => return Err(error),
    }
    engine.partition(&TopicPartition::new(ORDERS, 0))
}

fn partition(engine: &Engine) -> Result<Arc<Partition>, Error> {
    partition_with(engine, &[("retention.ms", KEPT)])
}

/// Appends a record whose value is its offset, now.
fn append(disk: &MemDisk, partition: &Partition) -> Result<(), Error> {
    let value = partition.ends()?.log_end_offset.to_string();
    partition.append(&mut batch_at(disk.clock().now(), &[&value])).map(drop)
}

/// Appends so many records, a minute from each other.
fn append_slowly(disk: &MemDisk, partition: &Partition, count: usize) {
    for _ in 0..count {
        append(disk, partition).unwrap();
        disk.clock().advance(MINUTE);
    }
}

fn start(partition: &Partition) -> i64 {
    partition.ends().unwrap().log_start_offset
}

/// All that can be read is there, one record behind the other.
fn check_records(partition: &Partition, what: &str) {
    let ends = partition.ends().unwrap();
    let due: Vec<_> =
        (ends.log_start_offset..ends.log_end_offset).map(|n| (n, n.to_string())).collect();
    assert_eq!(read_from(partition, ends.log_start_offset), due, "{what}");
}

/// Files by what is behind the first dot of their names.
fn files(disk: &MemDisk) -> BTreeMap<String, Vec<i64>> {
    let mut files: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for entry in disk.env().storage.list(Path::new("/data/orders-0")).unwrap() {
        if let Some((Ok(offset), kind)) =
            entry.name.split_once('.').map(|(offset, kind)| (offset.parse(), kind.to_owned()))
        {
            files.entry(kind).or_default().push(offset);
        }
    }
    for offsets in files.values_mut() {
        offsets.sort_unstable();
    }
    files
}

fn now(disk: &MemDisk) -> i64 {
    disk.clock().now()
}

#[test]
fn segments_without_a_record_younger_than_the_time_go() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    append_slowly(&disk, &partition, 10);
    assert_eq!(files(&disk)["log"], [0, 2, 4, 6, 8]);

    disk.clock().advance(minutes(53));
    assert!(partition.retain_if_due(now(&disk)).unwrap());

    // Record 3 is 67 - 7 = 60 minutes old, and not more.
    assert_eq!(start(&partition), 2);
    check_records(&partition, "after");
    assert!(matches!(
        partition.read(&mut Cursor::new(1), 100, IsolationLevel::ReadUncommitted),
        Err(Error::OffsetOutOfRange { start: 2, end: 10, .. })
    ));
    assert!(!partition.retain_if_due(now(&disk)).unwrap());
    disk.clock().advance(Duration::from_millis(1));
    assert!(partition.retain_if_due(now(&disk)).unwrap());
    assert_eq!(start(&partition), 4);
}

#[test]
fn files_are_renamed_and_removed_after_the_delay_with_indexes_and_snapshots() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let settings = [("retention.ms", KEPT), ("file.delete.delay.ms", "5000")];
    let partition = partition_with(&engine, &settings).unwrap();
    append_slowly(&disk, &partition, 10);
    disk.clock().advance(minutes(55));

    partition.retain_if_due(now(&disk)).unwrap();

    let left = files(&disk);
    assert_eq!((&left["log"][..], &left["log.deleted"][..]), (&[4, 6, 8][..], &[0, 2][..]));
    assert_eq!(left["index.deleted"], [0, 2]);
    assert_eq!(left["timeindex.deleted"], [0, 2]);
    assert_eq!(left["snapshot"], [4, 6, 8]);
    disk.clock().advance(Duration::from_millis(4_999));
    engine.tend(now(&disk)).unwrap();
    assert!(files(&disk).contains_key("log.deleted"));
    disk.clock().advance(Duration::from_millis(1));
    engine.tend(now(&disk)).unwrap();

    let kinds: Vec<_> = files(&disk).into_keys().collect();
    assert_eq!(kinds, ["index", "log", "snapshot", "timeindex"]);
}

#[test]
fn what_the_dead_were_about_to_remove_goes_too() {
    let disk = MemDisk::new();
    let other = open(&disk).unwrap();
    let there = partition(&other).unwrap();
    append_slowly(&disk, &there, 10);
    let victim = disk.process();
    let engine = open(&victim).unwrap();
    disk.clock().advance(HOUR);
    assert!(partition(&engine).unwrap().retain_if_due(now(&disk)).unwrap());
    victim.kill();
    drop(engine);

    // The time counts from when they are first seen.
    assert!(!there.retain_if_due(now(&disk)).unwrap());
    assert!(files(&disk).contains_key("log.deleted"));
    disk.clock().advance(MINUTE);
    there.retain_if_due(now(&disk)).unwrap();

    assert!(!files(&disk).contains_key("log.deleted"));
}

#[test]
fn the_last_one_out_removes_what_it_was_to_remove_later() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    append_slowly(&disk, &partition, 10);
    disk.clock().advance(HOUR);
    partition.retain_if_due(now(&disk)).unwrap();

    drop((partition, engine));

    assert!(!files(&disk).contains_key("log.deleted"));
}

#[test]
fn as_many_segments_go_as_leave_the_size() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition_with(&engine, &[("retention.bytes", "400")]).unwrap();
    append_slowly(&disk, &partition, 20);
    let before = partition.size().unwrap();

    assert!(partition.retain_if_due(now(&disk)).unwrap());

    let after = partition.size().unwrap();
    assert!(before > 1_000 && (400..560).contains(&after), "{before}, {after}");
    check_records(&partition, "after");
    assert!(!partition.retain_if_due(now(&disk)).unwrap());
}

#[test]
fn a_log_of_which_all_is_due_begins_a_new_segment() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    append_slowly(&disk, &here, 5);
    let mut cursor = Cursor::new(0);
    there.read(&mut cursor, 1, IsolationLevel::ReadUncommitted).unwrap();
    disk.clock().advance(HOUR);

    assert!(here.retain_if_due(now(&disk)).unwrap());

    assert_eq!((start(&here), start(&there)), (5, 5));
    assert_eq!(files(&disk)["log"], [5]);
    assert!(matches!(
        there.read(&mut cursor, 1, IsolationLevel::ReadUncommitted),
        Err(Error::OffsetOutOfRange { .. })
    ));
    append(&disk, &there).unwrap();
    append(&disk, &here).unwrap();
    assert!(!here.retain_if_due(now(&disk)).unwrap());
    check_records(&here, "here");
    check_records(&there, "there");
    drop((here, there, engine, other));
    let again = open(&disk).unwrap();
    check_records(&self::partition(&again).unwrap(), "again");
    assert_eq!(start(&self::partition(&again).unwrap()), 5);
}

#[test]
fn records_without_a_timestamp_are_as_old_as_their_file() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    for value in ["0", "1", "2"] {
        partition.append(&mut batch_at(-1, &[value])).unwrap();
    }

    disk.clock().advance(HOUR);
    assert!(!partition.retain_if_due(now(&disk)).unwrap());
    disk.clock().advance(Duration::from_millis(1));
    assert!(partition.retain_if_due(now(&disk)).unwrap());

    assert_eq!(start(&partition), 3);
}

#[test]
fn a_compacted_log_keeps_what_is_old() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let settings = [("retention.ms", KEPT), ("cleanup.policy", "compact")];
    let partition = partition_with(&engine, &settings).unwrap();
    append_slowly(&disk, &partition, 5);
    disk.clock().advance(10 * HOUR);

    assert!(!partition.retain_if_due(now(&disk)).unwrap());

    assert_eq!(start(&partition), 0);
}

#[test]
fn readers_of_every_process_have_their_data_or_are_told() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    append_slowly(&disk, &here, 40);
    let mut readers = Vec::new();
    for steps in 0..40 {
        for reader in [&here, &there] {
            let mut cursor = Cursor::new(0);
            for _ in 0..steps {
                reader.read(&mut cursor, 1, IsolationLevel::ReadUncommitted).unwrap();
            }
            readers.push((reader, cursor));
        }
    }
    disk.clock().advance(minutes(40));

    assert!(there.retain_if_due(now(&disk)).unwrap());
    append_slowly(&disk, &here, 10);

    assert_eq!(start(&here), 20);
    for (reader, mut cursor) in readers {
        let from = cursor.offset();
        let read = reader.read(&mut cursor, 1, IsolationLevel::ReadUncommitted);
        match read {
            Ok(_) => assert!(from >= 20 && cursor.offset() == from + 1, "{from}"),
            Err(Error::OffsetOutOfRange { start: 20, .. }) => assert!(from < 20, "{from}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(here.offset_for_time(0).unwrap().unwrap().offset, 20);
    assert_eq!(there.offset_for_time(0).unwrap().unwrap().offset, 20);
}

#[test]
fn nothing_goes_by_a_jump_of_the_clock_but_all_in_its_time() {
    const YEARS: i64 = 10 * 365 * 24 * 3_600_000;
    for jump in [YEARS, -24 * 3_600_000, 10_000_000] {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let partition = partition(&engine).unwrap();
        engine.tend(now(&disk)).unwrap();
        append_slowly(&disk, &partition, 5);

        disk.clock().set_now(now(&disk) + jump);
        engine.tend(now(&disk)).unwrap();
        assert_eq!(start(&partition), 0, "{jump}");
        disk.clock().advance(minutes(54));
        engine.tend(now(&disk)).unwrap();
        assert!(!partition.retain_if_due(now(&disk)).unwrap(), "{jump}");

        // Time has gone by, but by a clock that was set back the records still lie ahead.
        let ahead = u64::try_from(-jump).map_or(Duration::ZERO, Duration::from_millis);
        disk.clock().advance(HOUR + ahead);
        engine.tend(now(&disk)).unwrap();
        assert_eq!(start(&partition), 5, "{jump}");
    }
}

#[test]
fn what_is_due_goes_in_a_slow_round_too() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    engine.tend(now(&disk)).unwrap();
    append_slowly(&disk, &partition, 5);
    disk.clock().advance(2 * HOUR);
    let clock = disk.clone();
    let slow = move |point| {
        if point == "retain.round" {
            clock.clock().advance(minutes(10));
        }
    };

    point::with_hook(slow, || engine.tend(now(&disk))).unwrap();

    assert_eq!(start(&partition), 5);
}

#[test]
fn a_round_is_made_once_an_interval_by_whichever_process_over_all_logs() {
    let disk = MemDisk::new();
    let (one, two) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let log = partition(&one).unwrap();
    one.create_topic("other", Some(2), &[("retention.ms".into(), KEPT.into())]).unwrap();
    let unused = |engine: &Engine| engine.partition(&TopicPartition::new("other", 1)).unwrap();
    append(&disk, &log).unwrap();
    append(&disk, &unused(&one)).unwrap();

    // The first one to look only begins to count.
    disk.clock().advance(2 * HOUR);
    one.tend(now(&disk)).unwrap();
    assert_eq!(start(&log), 0);
    disk.clock().advance(minutes(4) + Duration::from_millis(59_999));
    two.tend(now(&disk)).unwrap();
    assert_eq!(start(&log), 0, "a moment too early");
    disk.clock().advance(Duration::from_millis(1));
    two.tend(now(&disk)).unwrap();
    assert_eq!((start(&log), start(&unused(&one))), (1, 1));

    append(&disk, &log).unwrap();
    disk.clock().advance(MINUTE);
    one.tend(now(&disk)).unwrap();
    disk.clock().advance(2 * HOUR);
    drop((log, one, two));

    // Also where nobody uses them: a program that comes for a moment now and then.
    let visitor = open(&disk).unwrap();
    visitor.tend(now(&disk)).unwrap();
    assert_eq!(start(&partition(&visitor).unwrap()), 2);
}

#[test]
fn records_are_deleted_up_to_an_offset_that_may_lie_in_a_segment() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    append_slowly(&disk, &here, 10);

    assert_eq!(there.delete_records(5).unwrap(), 5);

    assert_eq!((start(&here), start(&there)), (5, 5));
    assert_eq!(files(&disk)["log"], [4, 6, 8]);
    check_records(&here, "here");
    assert_eq!(here.delete_records(3).unwrap(), 5, "the log never starts earlier again");
    assert!(matches!(here.delete_records(11), Err(Error::OffsetOutOfRange { end: 10, .. })));
    assert!(matches!(here.delete_records(-2), Err(Error::OffsetOutOfRange { .. })));
    // Nothing of it was synced but what this needs.
    let crashed = open(&disk.after_crash(0)).unwrap();
    let crashed = partition(&crashed).unwrap();
    assert_eq!(start(&crashed), 5);
    assert!(crashed.ends().unwrap().log_end_offset >= 5);
    check_records(&crashed, "after a crash");
    assert_eq!(here.delete_records(-1).unwrap(), 10);
    append(&disk, &there).unwrap();
    check_records(&here, "all deleted");
    drop((here, there, engine, other));
    let again = open(&disk).unwrap();
    assert_eq!(start(&partition(&again).unwrap()), 10);
    check_records(&partition(&again).unwrap(), "again");
}

#[test]
fn what_is_deleted_was_on_the_disk_so_that_nothing_takes_its_place() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition_with(&engine, &[("segment.bytes", "100000")]).unwrap();
    (0..3).for_each(|_| append(&disk, &partition).unwrap());

    partition.delete_records(2).unwrap();

    let crashed = open(&disk.after_crash(0)).unwrap();
    let ends = self::partition(&crashed).unwrap().ends().unwrap();
    assert_eq!((ends.log_start_offset, ends.log_end_offset >= 2), (2, true), "{ends:?}");
}

#[test]
fn records_of_a_compacted_or_an_internal_topic_are_not_deleted() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let compacted = partition_with(&engine, &[("cleanup.policy", "compact")]).unwrap();
    append(&disk, &compacted).unwrap();
    engine.topic_or_create("__consumer_offsets").unwrap();
    let internal = engine.partition(&TopicPartition::new("__consumer_offsets", 0)).unwrap();

    assert!(matches!(compacted.delete_records(1), Err(Error::PolicyViolation { .. })));
    assert!(matches!(internal.delete_records(-1), Err(Error::InternalTopic(_))));
}

#[test]
fn the_youngest_record_is_found_wherever_it_is_but_before_the_start() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition_with(&engine, &[]).unwrap();
    assert_eq!(partition.max_timestamp().unwrap(), None);
    let times = [5_000, 9_000, 3_000, 8_000, 8_000, 1_000, 7_000];
    for time in times {
        partition.append(&mut batch_at(time, &["a", "b"])).unwrap();
    }
    let found = |partition: &Partition| {
        let found = partition.max_timestamp().unwrap().unwrap();
        (found.offset, found.timestamp)
    };

    assert_eq!(found(&partition), (3, 9_001));
    partition.delete_records(3).unwrap();
    assert_eq!(found(&partition), (3, 9_001));
    partition.delete_records(4).unwrap();
    assert_eq!(found(&partition), (7, 8_001));
    partition.delete_records(10).unwrap();

    assert_eq!(found(&partition), (13, 7_001));
}

/// Records that [`work`] appends.
const RECORDS: i64 = 12;

/// Appends, and deletes by retention and by wish; `during` is told when that begins and ends. Gives
/// up to where was told that nothing is left.
fn work(disk: &MemDisk, mut during: impl FnMut()) -> Result<i64, Error> {
    let engine = open(disk)?;
    let partition = partition(&engine)?;
    for _ in 0..RECORDS {
        append(disk, &partition)?;
        disk.clock().advance(MINUTE);
    }
    partition.sync(RECORDS)?;
    // Of the segments the first three are due.
    disk.clock().advance(minutes(53) + Duration::from_secs(30));
    during();
    let mut told = 0;
    if partition.retain_if_due(now(disk)).is_ok() {
        told = 6;
    }
    disk.clock().advance(MINUTE);
    let _ = engine.tend(now(disk));
    if let Ok(start) = partition.delete_records(9) {
        told = start;
    }
    during();
    Ok(told)
}

/// Opens the directory again: what was not due must be there, and what was told to be gone not.
fn check(disk: &MemDisk, told: i64, what: &str) {
    let engine = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let partition = partition(&engine).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ends = partition.ends().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!((told..=9).contains(&ends.log_start_offset), "{what}: {ends:?}, {told}");
    assert!(ends.log_end_offset >= RECORDS, "{what}: {ends:?}");
    check_records(&partition, what);
    append(disk, &partition).unwrap();
    // After a crash it is doubted once that so much time went by.
    for _ in 0..2 {
        disk.clock().advance(2 * HOUR);
        engine.tend(now(disk)).unwrap();
    }
    partition.retain_if_due(now(disk)).unwrap();
    assert!(start(&partition) > RECORDS, "{what}");
    append(disk, &partition).unwrap();
    check_records(&partition, what);
    assert_eq!(files(disk)["log"].len(), 1, "{what}");
}

#[test]
fn a_crash_before_every_call_leaves_what_is_not_due_and_nothing_in_part() {
    let disk = MemDisk::new();
    let (working, crashes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let hook = {
        let (disk, working, crashes) = (disk.clone(), working.clone(), crashes.clone());
        Arc::new(move |_| {
            if !working.load(Ordering::Relaxed) {
                return;
            }
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            for seed in [0, 1, call + 2, call + 1_000] {
                check(&disk.after_crash(seed), 0, &format!("call {call}, seed {seed}"));
            }
            check(&disk.copy(), 0, &format!("call {call}, processes"));
        })
    };

    let during = || {
        working.fetch_not(Ordering::Relaxed);
    };
    let told = work(&disk.clone().with_hook(hook), during).unwrap();

    assert_eq!(told, 9);
    assert!(crashes.load(Ordering::Relaxed) > 50);
    for seed in 0..20 {
        check(&disk.after_crash(seed), told, &format!("at the end, seed {seed}"));
    }
}

#[test]
fn every_call_that_fails_leaves_what_is_not_due_and_nothing_in_part() {
    let disk = MemDisk::new();
    let mut calls = Vec::new();
    work(&disk, || calls.push(disk.calls())).unwrap();
    let [from, to] = calls[..] else { panic!("one run") };
    for n in from + 1..=to {
        for repeat in [Repeat::Once, Repeat::Forever] {
            let disk = MemDisk::new();
            disk.fail(n, ErrorKind::StorageFull, repeat);
            let told = work(&disk, || ()).unwrap_or(0);
            disk.heal();

            check(&disk.after_crash(n), told, &format!("call {n}, {repeat:?}, crash"));
            check(&disk, told, &format!("call {n}, {repeat:?}"));
        }
    }
}

/// One process dies before the n-th call of its retention; another one reads, appends and retains.
#[test]
fn a_process_that_dies_at_any_call_of_retention_disturbs_nobody() {
    for n in 1.. {
        let disk = MemDisk::new();
        let other = open(&disk).unwrap();
        let there = partition(&other).unwrap();
        append_slowly(&disk, &there, 12);
        let mut cursor = Cursor::new(8);
        there.read(&mut cursor, 1, IsolationLevel::ReadUncommitted).unwrap();
        let victim = disk.process();
        let calls = Arc::new(AtomicU64::new(u64::MAX / 2));
        let doomed = open_doomed(&victim, &calls, n);
        let doomed = partition(&doomed).unwrap();
        doomed.ends().unwrap();
        disk.clock().advance(minutes(53) + Duration::from_secs(30));
        calls.store(0, Ordering::Relaxed);

        let survived = doomed.retain_if_due(now(&disk)).is_ok() && doomed.delete_records(7).is_ok();

        check_records(&there, &format!("call {n}"));
        there.read(&mut cursor, 1, IsolationLevel::ReadUncommitted).unwrap();
        append(&disk, &there).unwrap();
        disk.clock().advance(2 * HOUR);
        assert!(there.retain_if_due(now(&disk)).unwrap(), "call {n}");
        assert_eq!(start(&there), 13, "call {n}");
        append(&disk, &there).unwrap();
        check_records(&there, &format!("call {n}, in the end"));
        drop(doomed);
        if survived {
            assert!(n > 30, "only {n} calls");
            return;
        }
    }
}

/// The engine of a process that dies before its n-th call from when `calls` is set to 0.
fn open_doomed(victim: &MemDisk, calls: &Arc<AtomicU64>, n: u64) -> Arc<Engine> {
    let (process, calls) = (victim.clone(), calls.clone());
    let hook = Arc::new(move |_| {
        if calls.fetch_add(1, Ordering::Relaxed) + 1 == n {
            process.kill();
        }
    });
    let env: Env = victim.clone().with_hook(hook).env();
    Engine::open(Path::new("/data"), OpenOptions::default(), env).unwrap()
}

#[test]
fn who_only_reads_is_out_of_range_where_retention_went_beside_him_and_then_reads_what_is_left() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let settings = [("retention.ms", KEPT), ("file.delete.delay.ms", "0")];
    let written = partition_with(&engine, &settings).unwrap();
    append_slowly(&disk, &written, 10);
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let looking = Engine::open(Path::new("/data"), options, disk.env()).unwrap();
    let looked_at = looking.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    let mut cursor = Cursor::new(0);
    let mut read = || looked_at.read(&mut cursor, 1, IsolationLevel::ReadUncommitted);
    read().unwrap();
    disk.clock().advance(minutes(55));

    assert!(written.retain_if_due(now(&disk)).unwrap());
    assert_eq!(written.delete_records(5).unwrap(), 5);
    append(&disk, &written).unwrap();

    read().expect("the rest of a segment that is open");
    let gone = read().unwrap_err();
    assert!(matches!(gone, Error::OffsetOutOfRange { start: 5, offset: 2, .. }), "{gone:?}");
    check_records(&looked_at, "after it has looked again");
}

/// Makes the last batch of the segment at `base` one that does not end.
fn damage(disk: &MemDisk, base: i64) {
    let path = format!("/data/orders-0/{base:020}.log");
    let file = disk.env().storage.open(Path::new(&path), Access::Update).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let first = BatchInfo::parse(&bytes).unwrap().size as u64;
    file.write_at(first + 8, &i32::MAX.to_be_bytes()).unwrap();
}

#[test]
fn damage_in_the_oldest_segment_keeps_it_no_longer_than_its_time_index_or_its_file_says() {
    // The file was last written when it was damaged, after ten minutes.
    for (indexed, wait, due) in [(true, 51, 2), (false, 60, 10)] {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let partition = partition(&engine).unwrap();
        append_slowly(&disk, &partition, 10);
        damage(&disk, 0);
        if !indexed {
            let path = format!("/data/orders-0/{:020}.timeindex", 0);
            disk.env().storage.open(Path::new(&path), Access::Update).unwrap().set_len(0).unwrap();
        }

        disk.clock().advance(minutes(wait));
        assert!(!partition.retain_if_due(now(&disk)).unwrap(), "{indexed}");
        disk.clock().advance(minutes(1));
        assert!(partition.retain_if_due(now(&disk)).unwrap(), "{indexed}");

        assert_eq!(start(&partition), due, "{indexed}");
    }
}

#[test]
fn damage_in_the_oldest_segment_does_not_keep_what_is_beyond_the_size() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let limits = [("retention.ms", KEPT), ("retention.bytes", "400")];
    let partition = partition_with(&engine, &limits).unwrap();
    append_slowly(&disk, &partition, 20);
    let first_kept = files(&disk)["log"][7];
    damage(&disk, first_kept);

    assert!(partition.retain_if_due(now(&disk)).unwrap());

    assert_eq!(start(&partition), first_kept);
}

#[test]
fn a_segment_that_compaction_has_emptied_holds_up_none_behind_it() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let both = [("cleanup.policy", "compact,delete"), ("retention.ms", KEPT)];
    let partition = partition_with(&engine, &both).unwrap();
    append_slowly(&disk, &partition, 10);
    disk.clock().advance(minutes(45));
    assert!(partition.compact(now(&disk)).unwrap());
    let first =
        disk.env().storage.open(Path::new(&format!("/data/orders-0/{:020}.log", 0)), Access::Read);
    assert_eq!(first.unwrap().len().unwrap(), 0);

    disk.clock().advance(minutes(14));
    assert!(partition.retain_if_due(now(&disk)).unwrap());

    assert_eq!(start(&partition), 8);
}
