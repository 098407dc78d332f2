//! Compaction: what it keeps, and that nobody loses anything whoever dies when.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use brokerless::config::Change;
use brokerless::engine::{Cursor, Engine, OpenOptions, Partition, with_patience};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, Clock, Env, point};
use brokerless::record::control::EndTransactionMarker;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};

use crate::support::ORDERS;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Offset, key and value of a record.
pub(crate) type Found = (i64, String, Option<String>);

pub(crate) fn open(disk: &MemDisk) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env())
}

pub(crate) fn partition(engine: &Engine) -> Result<Arc<Partition>, Error> {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "400"),
        ("index.interval.bytes", "80"),
        ("min.cleanable.dirty.ratio", "0.5"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match engine.create_topic(ORDERS, None, &settings) {
        Ok(_) | Err(Error::TopicAlreadyExists(_)) => {}
        Err(error) => return Err(error),
    }
    engine.partition(&TopicPartition::new(ORDERS, 0))
}

pub(crate) fn batch(records: &[(&str, Option<&str>)]) -> Vec<u8> {
    batch_of(Compression::None, records)
}

fn batch_of(codec: Compression, records: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, None);
    for (key, value) in records {
        let value = value.map(str::as_bytes);
        builder.append(1_000, Some(key.as_bytes()), value, &[("h", Some(b"x"))]);
    }
    builder.finish().unwrap()
}

/// The keys of number `n`: of each sixth number one is not used again.
fn keys(n: usize) -> [String; 2] {
    [if n % 6 == 5 { format!("u{n}") } else { format!("k{}", n % 4) }, format!("j{}", n % 5)]
}

/// Appends the number `n` under its two keys.
pub(crate) fn append(partition: &Partition, n: usize) -> Result<(), Error> {
    let ([one, two], value) = (keys(n), n.to_string());
    let records = [(one.as_str(), Some(value.as_str())), (two.as_str(), Some(value.as_str()))];
    partition.append(&mut batch(&records)).map(drop)
}

/// What the keys hold after the first `count` numbers.
pub(crate) fn model(count: usize) -> BTreeMap<String, usize> {
    (0..count).flat_map(|n| keys(n).map(|key| (key, n))).collect()
}

fn read_on(partition: &Partition, cursor: &mut Cursor, max_bytes: usize) -> Vec<Found> {
    let from = cursor.offset();
    let chunk = partition.read(cursor, max_bytes, IsolationLevel::ReadUncommitted).unwrap();
    let (mut rest, mut found) = (chunk.bytes, Vec::new());
    while !rest.is_empty() {
        let size = BatchInfo::parse(&rest).unwrap().size;
        let batch = Batch::decode(rest.split_to(size), usize::MAX).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for record in batch.records().map(Result::unwrap).filter(|it| it.offset >= from) {
            assert_eq!(record.headers.iter().next(), Some(("h", Some(&b"x"[..]))));
            found.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
        }
    }
    found
}

pub(crate) fn read_from(partition: &Partition, offset: i64) -> Vec<Found> {
    let mut cursor = Cursor::new(offset);
    let mut all = Vec::new();
    while cursor.offset() < partition.ends().unwrap().log_end_offset {
        all.extend(read_on(partition, &mut cursor, 200));
    }
    assert!(all.is_sorted_by(|a, b| a.0 < b.0), "{all:?}");
    all
}

/// The last value of each key, as a number; each record must stand where it was appended.
pub(crate) fn state(found: &[Found]) -> BTreeMap<String, usize> {
    let mut state = BTreeMap::new();
    for (offset, key, value) in found {
        let number: usize = value.as_ref().unwrap().parse().unwrap();
        assert_eq!(*offset as usize / 2, number, "{key}");
        state.insert(key.clone(), number);
    }
    state
}

pub(crate) fn logs(disk: &MemDisk) -> usize {
    let env = disk.env();
    let names = env.storage.list(Path::new("/data/orders-0")).unwrap();
    names.iter().filter(|entry| entry.name.len() == 24 && &entry.name[20..] == ".log").count()
}

#[test]
fn the_last_record_of_each_key_stays_where_it_was() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    (0..40).for_each(|n| append(&partition, n).unwrap());
    let (before, segments) = (read_from(&partition, 0), logs(&disk));

    // The second one has small segments to put together.
    assert!(partition.compact(0).unwrap());
    (40..44).for_each(|n| append(&partition, n).unwrap());
    let before = [before, read_from(&partition, 80)].concat();
    assert!(partition.compact(0).unwrap());

    let after = read_from(&partition, 0);
    assert_eq!(state(&after), model(44));
    assert!(after.iter().all(|record| before.contains(record)));
    assert!(after.len() < 30, "{}", after.len());
    assert!(logs(&disk) < segments - 2, "{} of {segments}", logs(&disk));
    for (offset, ..) in &before {
        let from = after.iter().filter(|record| record.0 >= *offset).cloned().collect::<Vec<_>>();
        assert_eq!(read_from(&partition, *offset), from, "from {offset}");
    }
    drop((partition, engine));
    assert_eq!(read_from(&self::partition(&open(&disk).unwrap()).unwrap(), 0), after);
}

#[test]
fn compaction_is_due_when_more_than_the_ratio_is_dirty() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let mut compactions = Vec::new();
    for n in 0..200 {
        append(&partition, n).unwrap();
        if partition.compact_if_due(0).unwrap() {
            compactions.push(n);
        }
    }

    assert!(!partition.compact_if_due(0).unwrap());
    assert!((5..100).contains(&compactions.len()), "{compactions:?}");
    assert!(logs(&disk) <= 25, "{}", logs(&disk));
    assert_eq!(state(&read_from(&partition, 0)), model(200));
}

#[test]
fn compaction_comes_to_an_end_beside_a_writer_that_is_faster() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    (0..40).for_each(|n| append(&here, n).unwrap());
    let rounds = Arc::new(AtomicU64::new(0));
    let hook = {
        let rounds = rounds.clone();
        move |name| {
            // Enough for another segment, as long as one may hope.
            if name == "compact.cleaned" && rounds.fetch_add(1, Ordering::Relaxed) < 5 {
                (0..10).for_each(|n| append(&there, n).unwrap());
            }
        }
    };

    assert!(point::with_hook(hook, || here.compact(0)).unwrap());

    assert_eq!(rounds.load(Ordering::Relaxed), 1);
}

#[test]
fn a_tombstone_goes_when_it_was_seen_for_long_enough() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let put = |records: &[(&str, Option<&str>)]| drop(partition.append(&mut batch(records)));
    put(&[("a", Some("1")), ("b", Some("2"))]);
    put(&[("a", None), ("c", Some("3"))]);
    let roll = || (0..8).for_each(|_| put(&[("pad", Some("0"))]));
    let of_a = || read_from(&partition, 0).into_iter().filter(|it| it.1 == "a").collect::<Vec<_>>();

    roll();
    partition.compact(5).unwrap();
    assert_eq!(of_a(), [(2, "a".to_owned(), None)], "seen for the first time");
    roll();
    partition.compact(5 + DAY - 1).unwrap();
    assert_eq!(of_a(), [(2, "a".to_owned(), None)], "a moment too early");
    roll();
    partition.compact(5 + DAY).unwrap();

    assert_eq!(of_a(), []);
    let left = read_from(&partition, 0);
    assert!(left.contains(&(1, "b".to_owned(), Some("2".to_owned()))));
    assert!(left.contains(&(3, "c".to_owned(), Some("3".to_owned()))));
}

/// A batch of a transaction of producer 7.
pub(crate) fn transactional(sequence: i32, key: &str, value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.set_producer(7, 0, sequence);
    builder.set_transactional();
    builder.append(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[("h", Some(b"x"))]);
    builder.finish().unwrap()
}

/// The end of one.
pub(crate) fn marker(committed: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.set_producer(7, 0, -1);
    builder.set_transactional();
    builder.set_control();
    let end = EndTransactionMarker { committed, coordinator_epoch: 0 };
    builder.append(1_000, Some(&end.key()), Some(&end.value()), &[("h", Some(b"x"))]);
    builder.finish().unwrap()
}

#[test]
fn what_was_committed_stays_when_nothing_is_left_of_what_was_aborted_before_it() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let log = partition(&engine).unwrap();
    let ends =
        [transactional(0, "a", "1"), marker(false), transactional(1, "b", "2"), marker(true)];
    for mut batch in ends {
        log.append(&mut batch).unwrap();
    }
    drop((log, engine));
    let engine = open(&disk).unwrap();
    let log = partition(&engine).unwrap();
    let holds = |value| {
        let chunk = log.read(&mut Cursor::new(0), 10_000, IsolationLevel::ReadUncommitted).unwrap();
        chunk.bytes.windows(3).any(|bytes| bytes == value)
    };

    for round in 1..5 {
        (0..8).for_each(|_| drop(log.append(&mut batch(&[("pad", Some("0"))]))));
        log.compact(round * 2 * DAY).unwrap();
        assert!(holds(b"b\x022"), "after {round} rounds");
    }

    assert!(!holds(b"a\x021"));
}

#[test]
fn a_tombstone_whose_time_is_over_goes_when_asked_though_nothing_was_appended() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let put = |key, value| drop(partition.append(&mut batch(&[(key, value)])));
    put("a", None);
    (0..8).for_each(|_| put("pad", Some("0")));
    let has_a = || read_from(&partition, 0).iter().any(|it| it.1 == "a");
    assert!(partition.compact(5).unwrap());

    assert!(!partition.compact(5 + DAY - 1).unwrap(), "a moment too early");
    assert!(!partition.compact_if_due(5 + DAY).unwrap(), "a broker lets it stay");
    assert!(has_a());
    assert!(partition.compact(5 + DAY).unwrap());

    assert!(!has_a());
    assert!(!partition.compact(5 + 2 * DAY).unwrap(), "nothing is left to do");
}

/// The sizes of the segments' logs, in order.
pub(crate) fn sizes(disk: &MemDisk) -> Vec<u64> {
    let (env, dir) = (disk.env(), Path::new("/data/orders-0"));
    let names = env.storage.list(dir).unwrap().into_iter().map(|entry| entry.name);
    let mut logs: Vec<String> = names.filter(|name| name[name.len() - 4..] == *".log").collect();
    logs.sort();
    let size = |name: &String| env.storage.open(&dir.join(name), Access::Read).unwrap().len();
    logs.iter().map(|name| size(name).unwrap()).collect()
}

#[test]
fn of_what_is_outdated_nothing_is_left_but_what_tells_where_it_ended() {
    // A batch without records tells that the first one took the place of seven.
    for (first, after_two) in [("a", vec![61, 276, 276]), ("b", vec![276, 0, 276, 276])] {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let partition = partition(&engine).unwrap();
        // Each fills more than half a segment.
        let append = |key| {
            partition.append(&mut batch(&[(key, Some(&*"v".repeat(201)))])).unwrap();
        };
        append(first);
        (1..8).for_each(|_| append("a"));

        assert!(partition.compact(0).unwrap());
        let left = if first == "a" { 0 } else { 276 };
        assert_eq!(sizes(&disk), [left, 0, 0, 0, 0, 0, 276, 276]);
        append("a");
        assert!(partition.compact(0).unwrap());

        assert_eq!(sizes(&disk), after_two);
        let again = self::partition(&open(&disk.copy()).unwrap()).unwrap();
        assert_eq!(again.ends().unwrap().log_end_offset, 9);
        assert_eq!(read_from(&again, 0).len(), after_two.iter().filter(|it| **it == 276).count());
    }
}

/// The producers whose batches are in the log.
fn producers(partition: &Partition) -> Vec<i64> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(0);
    loop {
        let chunk = partition.read(&mut cursor, 10_000, IsolationLevel::ReadUncommitted).unwrap();
        let mut rest = chunk.bytes;
        if rest.is_empty() {
            return found;
        }
        while !rest.is_empty() {
            let info = BatchInfo::parse(&rest).unwrap();
            found.extend((info.producer_id >= 0).then_some(info.producer_id));
            rest = rest.slice(info.size..);
        }
    }
}

/// One that wrote at 1,000 and at 2,000 to a key that has another value since.
fn with_producer(partition: &Partition) {
    for time in [1_000, 2_000] {
        let mut builder = BatchBuilder::new(Compression::None, None);
        builder.set_producer(7, 0, (time / 1_000) as i32);
        builder.append(time, Some(b"pad"), Some(b"0"), &[("h", Some(b"x"))]);
        partition.append(&mut builder.finish().unwrap()).unwrap();
    }
}

#[test]
fn what_was_last_of_a_producer_stays_until_the_producer_has_expired() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let roll = || (0..8).for_each(|_| drop(partition.append(&mut batch(&[("pad", Some("0"))]))));
    with_producer(&partition);
    roll();

    assert!(partition.compact(1_999 + DAY).unwrap());
    assert_eq!(producers(&partition), [7], "a moment too early");
    roll();
    assert!(partition.compact(2_000 + DAY).unwrap());

    assert_eq!(producers(&partition), [0; 0]);
}

#[test]
fn a_producer_expires_when_the_directory_says_so() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let soon = ("producer.id.expiration.ms".to_owned(), Change::Set("10".to_owned()));
    engine.alter_directory(&[soon], false).unwrap();
    let partition = partition(&engine).unwrap();
    with_producer(&partition);
    (0..8).for_each(|_| drop(partition.append(&mut batch(&[("pad", Some("0"))]))));

    assert!(partition.compact(2_010).unwrap());

    assert_eq!(producers(&partition), [0; 0]);
}

#[test]
fn no_producer_expires_by_a_jump_of_the_clock() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    engine.tend(disk.clock().now()).unwrap();
    with_producer(&partition);
    (0..8).for_each(|_| drop(partition.append(&mut batch(&[("pad", Some("0"))]))));

    disk.clock().set_now(disk.clock().now() + 10 * DAY);
    assert!(partition.compact(disk.clock().now()).unwrap());

    assert_eq!(producers(&partition), [7]);
}

#[test]
fn where_a_round_ended_stays_though_nothing_else_of_it_does() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let long = "k".repeat(200);
    let put = |value| partition.append(&mut batch(&[(&*long, value)])).unwrap();
    put(None);
    put(Some("in the active segment"));
    partition.compact(5).unwrap();

    assert!(partition.compact(5 + DAY).unwrap());

    assert_eq!(sizes(&disk)[0], 61);
}

#[test]
fn readers_of_every_process_go_on_from_wherever_they_are() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    (0..60).for_each(|n| append(&here, n).unwrap());
    // A reader at every place it can have, its segment open.
    let mut readers = Vec::new();
    for steps in 0..60 {
        for reader in [&here, &there] {
            let mut cursor = Cursor::new(0);
            let seen: Vec<_> = (0..steps).flat_map(|_| read_on(reader, &mut cursor, 120)).collect();
            readers.push((reader, cursor, seen));
        }
    }

    assert!(here.compact(0).unwrap());
    (60..90).for_each(|n| append(&there, n).unwrap());
    assert!(there.compact(0).unwrap());

    for (reader, mut cursor, mut seen) in readers {
        while cursor.offset() < 180 {
            seen.extend(read_on(reader, &mut cursor, 120));
        }
        assert_eq!(state(&seen), model(90));
        assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
    }
    assert_eq!(here.offset_for_time(1_000).unwrap(), there.offset_for_time(1_000).unwrap());
}

/// Numbers that [`work`] appends.
const NUMBERS: usize = 24;

/// Appends and compacts, twice; `during` is told when the second compaction begins, which has
/// segments to put together, and when it has ended.
fn work(disk: &MemDisk, mut during: impl FnMut()) -> Result<(), Error> {
    let engine = open(disk)?;
    let partition = partition(&engine)?;
    (0..NUMBERS - 6).try_for_each(|n| append(&partition, n))?;
    partition.compact(0)?;
    (NUMBERS - 6..NUMBERS).try_for_each(|n| append(&partition, n))?;
    partition.sync(2 * NUMBERS as i64)?;
    during();
    let _ = partition.compact(0);
    during();
    Ok(())
}

/// What somebody finds who changes nothing, and where the log ends for him.
fn seen(disk: &MemDisk, what: &str) -> (Vec<Found>, i64) {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let engine = Engine::open(Path::new("/data"), options, disk.env()).unwrap();
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    let ends = partition.ends().unwrap_or_else(|error| panic!("{what}: {error}"));
    (read_from(&partition, 0), ends.log_end_offset)
}

/// Opens the directory again: what was acknowledged must be there, and all must work.
fn check(disk: &MemDisk, acknowledged: usize, what: &str) {
    let (looking, end) = seen(disk, what);
    assert!(end as usize >= 2 * acknowledged, "{what}, read-only: {acknowledged} of {end}");
    assert_eq!(state(&looking), model(end as usize / 2), "{what}, read-only");
    let engine = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let partition = partition(&engine).unwrap_or_else(|error| panic!("{what}: {error}"));
    for compacted in [false, true] {
        let end = partition.ends().unwrap().log_end_offset;
        let found = state(&read_from(&partition, 0));
        assert!(end as usize >= 2 * acknowledged, "{what}: {acknowledged} of {end}");
        assert_eq!(found, model(end as usize / 2), "{what}, {compacted}");
        if !compacted {
            append(&partition, end as usize / 2).unwrap();
            partition.compact(0).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
    let names = disk.env().storage.list(Path::new("/data/orders-0")).unwrap();
    let left = names.iter().find(|it| it.name.contains(".cleaned") || it.name.contains(".swap"));
    assert!(left.is_none(), "{what}: {left:?}");
}

#[test]
fn a_crash_before_every_call_of_compaction_loses_nothing() {
    let disk = MemDisk::new();
    let (compacting, crashes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let hook = {
        let (disk, compacting, crashes) = (disk.clone(), compacting.clone(), crashes.clone());
        Arc::new(move |_| {
            if !compacting.load(Ordering::Relaxed) {
                return;
            }
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            // The machine dies, with different outcomes for what was not synced, or all processes.
            for seed in [0, 1, call + 2] {
                check(&disk.after_crash(seed), NUMBERS, &format!("call {call}, seed {seed}"));
            }
            check(&disk.copy(), NUMBERS, &format!("call {call}, processes"));
        })
    };

    let mut segments = Vec::new();
    let during = || {
        segments.push(logs(&disk));
        compacting.fetch_not(Ordering::Relaxed);
    };
    work(&disk.clone().with_hook(hook), during).unwrap();

    assert!(segments[1] < segments[0] - 1, "some become one: {segments:?}");
    assert!(crashes.load(Ordering::Relaxed) > 50);
}

#[test]
fn a_compacted_segment_in_front_of_an_empty_one_is_no_active_one() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    (0..NUMBERS).for_each(|n| append(&partition, n).unwrap());
    assert!(partition.compact(0).unwrap());

    // Nothing of the active segment was synced, and all of the others.
    let crashed = open(&disk.after_crash(0)).unwrap();

    let crashed = self::partition(&crashed).unwrap();
    let end = crashed.ends().unwrap().log_end_offset;
    assert!(end > NUMBERS as i64, "{end}");
    assert_eq!(state(&read_from(&crashed, 0)), model(end as usize / 2));
}

#[test]
fn every_call_of_compaction_that_fails_loses_nothing() {
    let disk = MemDisk::new();
    let mut calls = Vec::new();
    work(&disk, || calls.push(disk.calls())).unwrap();
    let [from, to] = calls[..] else { panic!("one compaction") };
    for n in from + 1..=to {
        for repeat in [Repeat::Once, Repeat::Forever] {
            let disk = MemDisk::new();
            disk.fail(n, ErrorKind::StorageFull, repeat);
            let _ = work(&disk, || ());
            disk.heal();

            check(&disk.after_crash(n), NUMBERS, &format!("call {n}, {repeat:?}, crash"));
            check(&disk, NUMBERS, &format!("call {n}, {repeat:?}"));
        }
    }
}

/// One process dies before the n-th call of its compaction; another one reads, appends and
/// compacts on.
#[test]
fn a_process_that_dies_at_any_call_of_compaction_disturbs_nobody() {
    for n in 1.. {
        let disk = MemDisk::new();
        let other = open(&disk).unwrap();
        let there = partition(&other).unwrap();
        // So that there are small segments to put together.
        (0..24).for_each(|n| append(&there, n).unwrap());
        assert!(there.compact(0).unwrap());
        (24..30).for_each(|n| append(&there, n).unwrap());
        let mut cursor = Cursor::new(0);
        let mut seen = read_on(&there, &mut cursor, 120);
        let victim = disk.process();
        let engine = open(&victim).unwrap();
        let here = partition(&engine).unwrap();
        here.ends().unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let doomed = doom(&victim, &calls, n);
        let doomed = Engine::open(Path::new("/data"), OpenOptions::default(), doomed).unwrap();
        let doomed = partition(&doomed).unwrap();
        calls.store(0, Ordering::Relaxed);

        let survived = doomed.compact(0).is_ok();

        while cursor.offset() < 60 {
            seen.extend(read_on(&there, &mut cursor, 120));
        }
        assert_eq!(state(&seen), model(30), "call {n}");
        (30..40).for_each(|n| append(&there, n).unwrap());
        assert!(there.compact(0).unwrap(), "call {n}");
        assert_eq!(state(&read_from(&there, 0)), model(40), "call {n}");
        drop((here, engine, doomed));
        if survived {
            assert!(n > 30, "only {n} calls");
            return;
        }
    }
}

#[test]
fn who_found_another_at_it_looks_again_when_that_one_has_died() {
    const ROUND: i64 = 15_000;
    let disk = MemDisk::new();
    let other = open(&disk).unwrap();
    let there = partition(&other).unwrap();
    (0..24).for_each(|n| append(&there, n).unwrap());
    let victim = disk.process();
    let engine = open(&victim).unwrap();
    let doomed = partition(&engine).unwrap();
    let looking = other.clone();
    let looks = move |name| {
        if name == "compact.begun" {
            looking.tend(ROUND).unwrap();
            victim.kill();
        }
    };

    let died = point::with_hook(looks, || doomed.compact(0));

    assert!(died.is_err());
    let before = there.size().unwrap();
    other.tend(2 * ROUND).unwrap();
    assert!(there.size().unwrap() < before, "{before} bytes");
    assert_eq!(state(&read_from(&there, 0)), model(24));
}

/// The world of a process that dies before its n-th call from when `calls` is set to 0.
fn doom(victim: &MemDisk, calls: &Arc<AtomicU64>, n: u64) -> Env {
    calls.store(u64::MAX / 2, Ordering::Relaxed);
    let (process, calls) = (victim.clone(), calls.clone());
    let hook = Arc::new(move |_| {
        if calls.fetch_add(1, Ordering::Relaxed) + 1 == n {
            process.kill();
        }
    });
    victim.clone().with_hook(hook).env()
}

#[test]
fn more_keys_than_there_is_room_for_take_several_rounds() {
    const KEYS: usize = 6_000;
    let disk = MemDisk::new();
    // The least there is: room for 2,047 keys.
    let text = b"log.cleaner.dedupe.buffer.size=1";
    let env = disk.env();
    env.storage.create_dir(Path::new("/data")).unwrap();
    let path = Path::new("/data/brokerless.properties");
    env.storage.open(path, Access::Write).unwrap().write_at(0, text).unwrap();
    let engine = open(&disk).unwrap();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "4000")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("many", None, &settings).unwrap();
    let partition = engine.partition(&TopicPartition::new("many", 0)).unwrap();
    // Twice each key, and then what rolls the segment.
    for from in (0..2 * KEYS + 2_000).step_by(200) {
        let keys: Vec<_> = (from..from + 200).map(|n| format!("{}", n % KEYS)).collect();
        let records: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("v"))).collect();
        partition.append(&mut batch_of(Compression::Zstd, &records)).unwrap();
    }

    assert!(partition.compact(0).unwrap());

    let left = read_from(&partition, 0);
    let sealed: Vec<_> = left.iter().filter(|record| record.0 < 2 * KEYS as i64).collect();
    let keys: std::collections::HashSet<_> = sealed.iter().map(|record| &record.1).collect();
    assert_eq!(sealed.len(), keys.len(), "no key is there twice");
    assert!((0..KEYS).all(|key| left.iter().any(|record| record.1 == key.to_string())));
}

/// A partition with one segment, whose records may wait for a minute.
fn waiting(engine: &Engine) -> Arc<Partition> {
    let settings = [
        ("cleanup.policy", "compact"),
        ("max.compaction.lag.ms", "60000"),
        ("min.cleanable.dirty.ratio", "1"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic(ORDERS, None, &settings).unwrap();
    engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap()
}

#[test]
fn what_waits_for_too_long_in_the_active_segment_is_compacted() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = waiting(&engine);
    // Their time is 1,000.
    (0..8).for_each(|n| append(&partition, n).unwrap());

    assert!(!partition.compact_if_due(61_000).unwrap(), "a moment too early");
    assert!(partition.compact_if_due(61_001).unwrap());

    let left = read_from(&partition, 0);
    assert_eq!(left.len(), model(8).len());
    assert_eq!(state(&left), model(8));
}

#[test]
fn what_waits_for_too_long_is_compacted_also_where_nobody_uses_the_log() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = waiting(&engine);
    // Their time is 1,000.
    (0..8).for_each(|n| append(&partition, n).unwrap());
    drop((partition, engine));
    let before = sizes(&disk);
    let visitor = open(&disk).unwrap();

    // A moment too early, and in the next round.
    visitor.tend(61_000).unwrap();
    assert_eq!(sizes(&disk), before);
    visitor.tend(76_000).unwrap();

    let after = sizes(&disk);
    assert!(after.len() == 2 && after[0] < before[0] && after[1] == 0, "{before:?}, {after:?}");
    let partition = visitor.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    assert_eq!(state(&read_from(&partition, 0)), model(8));
}

#[test]
fn a_log_that_nobody_uses_is_looked_at_once_until_its_first_record_has_waited_for_too_long() {
    const ROUND: i64 = 15_000;
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    append(&waiting(&engine), 0).unwrap();
    drop(engine);
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let hook = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let visitor =
        Engine::open(Path::new("/data"), OpenOptions::default(), disk.with_hook(hook).env());
    let visitor = visitor.unwrap();
    let calls_of = |now| {
        calls.store(0, Ordering::Relaxed);
        visitor.tend(now).unwrap();
        calls.load(Ordering::Relaxed)
    };
    // The rounds of retention, the chores and the like have been made.
    visitor.tend(1_000).unwrap();

    let rounds = [1, 2, 3, 4].map(|n| calls_of(1_000 + n * ROUND));

    assert_eq!(rounds, [0; 4]);
    assert!(calls_of(1_000 + 5 * ROUND) > 0);
}

#[test]
fn a_tombstone_does_not_go_by_a_jump_of_the_clock() {
    const YEARS: i64 = 10 * 365 * DAY;
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let put = |records: &[(&str, Option<&str>)]| drop(partition.append(&mut batch(records)));
    let roll = || (0..8).for_each(|_| put(&[("pad", Some("0"))]));
    let of_a = || read_from(&partition, 0).iter().filter(|it| it.1 == "a").count();
    let compact = || partition.compact(disk.clock().now()).unwrap();
    engine.tend(disk.clock().now()).unwrap();
    put(&[("a", Some("1")), ("b", Some("2"))]);
    put(&[("a", None), ("c", Some("3"))]);
    roll();
    assert!(compact());

    disk.clock().set_now(disk.clock().now() + YEARS);
    roll();
    assert!(compact());
    assert_eq!(of_a(), 1, "by the clock it is old");

    engine.tend(disk.clock().now()).unwrap();
    disk.clock().advance(std::time::Duration::from_secs(24 * 3_600));
    roll();
    assert!(compact());
    assert_eq!(of_a(), 0);
}

/// By the clock at its end the round would look like one in which the clock was set back.
#[test]
fn a_tombstone_goes_in_its_time_in_a_slow_round_too() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let partition = partition(&engine).unwrap();
    let brief = ("delete.retention.ms".to_owned(), Change::Set("100".to_owned()));
    engine.alter_topic(ORDERS, &[brief], false).unwrap();
    let put = |records: &[(&str, Option<&str>)]| drop(partition.append(&mut batch(records)));
    let roll = || (0..8).for_each(|_| put(&[("pad", Some("0"))]));
    let of_a = || read_from(&partition, 0).iter().filter(|it| it.1 == "a").count();
    let tend = || {
        roll();
        disk.clock().advance(Duration::from_secs(300));
        engine.tend(disk.clock().now()).unwrap();
    };
    tend();
    put(&[("a", Some("1")), ("b", Some("2"))]);
    put(&[("a", None), ("c", Some("3"))]);
    tend();
    assert_eq!(of_a(), 1, "seen for the first time");
    let clock = disk.clone();
    let slow = move |point| {
        if point == "retain.round" {
            clock.clock().advance(Duration::from_millis(300));
        }
    };

    point::with_hook(slow, tend);

    assert_eq!(of_a(), 0);
}

/// Begins something, and hears that it has begun.
type Meanwhile = (Sender<()>, Receiver<()>);

/// What was read meanwhile counts for nothing: the reader was moved behind it, and went on there.
#[test]
fn a_reader_that_cannot_wait_for_the_end_of_a_compaction_stays_where_it_is() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let orders = partition(&engine).unwrap();
    (0..40).for_each(|n| append(&orders, n).unwrap());
    let ((start, is_started), (begun, is_begun)) = (channel(), channel());
    let (finish, is_finished) = channel::<()>();
    let other = disk.process();
    let compacting = thread::spawn(move || {
        let engine = open(&other).unwrap();
        let orders = partition(&engine).unwrap();
        let (begun, is_finished) = (Mutex::new(Some(begun)), Mutex::new(is_finished));
        let stop = move |name| {
            let first = if name == "compact.begun" { begun.lock().unwrap().take() } else { None };
            if let Some(begun) = first {
                begun.send(()).unwrap();
                is_finished.lock().unwrap().recv().unwrap();
            }
        };
        is_started.recv().unwrap();
        point::with_hook(stop, || orders.compact(DAY).unwrap());
    });
    let meanwhile: Arc<Mutex<Option<Meanwhile>>> = Arc::default();
    let armed = meanwhile.clone();
    let reading = disk.process().with_hook(Arc::new(move |call| {
        let ends = if call == Call::Read { armed.lock().unwrap().take() } else { None };
        if let Some((start, is_begun)) = ends {
            start.send(()).unwrap();
            is_begun.recv().unwrap();
        }
    }));
    let engine = open(&reading).unwrap();
    let reader = partition(&engine).unwrap();
    let mut cursor = Cursor::new(0);
    let before: Vec<_> = (0..2).flat_map(|_| read_on(&reader, &mut cursor, 200)).collect();
    *meanwhile.lock().unwrap() = Some((start, is_begun));

    let failed = with_patience(Duration::from_millis(10), || {
        reader.read(&mut cursor, 200, IsolationLevel::ReadUncommitted)
    });

    assert!(matches!(failed, Err(Error::Timeout { .. })), "{failed:?}");
    finish.send(()).unwrap();
    compacting.join().unwrap();
    let after = read_from(&reader, cursor.offset());
    let all: Vec<_> = before.into_iter().chain(after).collect();
    assert_eq!(state(&all), model(40));
}

/// A view of the partition by somebody who changes nothing, and his place behind its first batches.
fn looking(disk: &MemDisk) -> (Arc<Partition>, Cursor, Vec<Found>) {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let engine = Engine::open(Path::new("/data"), options, disk.env()).unwrap();
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    let mut cursor = Cursor::new(0);
    let found = read_on(&partition, &mut cursor, 200);
    (partition, cursor, found)
}

#[test]
fn who_only_reads_goes_on_or_begins_anew_behind_a_compaction_beside_him() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let orders = partition(&engine).unwrap();
    (0..40).for_each(|n| append(&orders, n).unwrap());
    let (one, mut cursor, mut found) = looking(&disk);
    let (two, ..) = looking(&disk);

    // The second one puts segments together.
    assert!(orders.compact(0).unwrap());
    (40..44).for_each(|n| append(&orders, n).unwrap());
    assert!(orders.compact(0).unwrap());

    while cursor.offset() < one.ends().unwrap().log_end_offset {
        found.extend(read_on(&one, &mut cursor, 200));
    }
    assert_eq!(state(&found), model(44));
    assert_eq!(read_from(&two, 0), read_from(&orders, 0));
}
