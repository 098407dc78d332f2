//! Syncing: who shares a sync, when one is forced, how far it reached, and what a failed one leaves.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::wake::Woken;
use brokerless::env::{Access, Clock, Env, Mode};
use brokerless::types::Timestamp;
use brokerless::{Error, TopicPartition};

use crate::support::{ORDERS, append, batch_at, numbered, read};

const POINTS: &str = "recovery-point-offset-checkpoint";

fn open(disk: &MemDisk) -> Arc<Engine> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
}

fn with(engine: &Engine, settings: &[(&str, &str)]) -> Arc<Partition> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let settings: Vec<_> = settings.iter().map(own).collect();
    engine.create_topic(ORDERS, None, &settings).unwrap();
    orders(engine)
}

fn orders(engine: &Engine) -> Arc<Partition> {
    engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap()
}

/// What a crash of the machine leaves for sure.
fn kept(disk: &MemDisk) -> Vec<(i64, String)> {
    let engine = open(&disk.after_crash(0));
    engine.topic(ORDERS).unwrap().map_or_else(Vec::new, |_| read(&orders(&engine)))
}

fn content(disk: &MemDisk, name: &str) -> Option<String> {
    let file = disk.env().storage.open(&Path::new("/data").join(name), Access::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    Some(String::from_utf8(bytes).unwrap())
}

fn now(env: &Env) -> i64 {
    env.clock.now()
}

/// A clock for whom each wait is a mistake.
#[derive(Debug)]
struct Impatient(Arc<dyn Clock>);

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
    fn wait(&self, _: &AtomicU32, _: u32, _: Duration) -> Woken {
        panic!("nobody is there to be waited for")
    }
}

/// A clock that counts the waits, which all end at once, in vain.
#[derive(Debug)]
struct Hasty(Arc<dyn Clock>, AtomicU32);

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
    fn wait(&self, _: &AtomicU32, _: u32, _: Duration) -> Woken {
        self.1.fetch_add(1, Ordering::Relaxed);
        Woken::TimedOut
    }
}

#[test]
fn a_stopped_process_that_was_to_sync_is_waited_for_once() {
    let disk = MemDisk::new();
    let Env { storage, clock } = disk.env();
    let hasty = Arc::new(Hasty(clock, AtomicU32::new(0)));
    let env = Env { storage, clock: hasty.clone() };
    let engine = Engine::open(Path::new("/data"), OpenOptions::default(), env).unwrap();
    let orders = with(&engine, &[]);
    let waits = || {
        let end = append(&orders, &["a"]) + 1;
        orders.sync(end).unwrap();
        assert_eq!(kept(&disk).len() as i64, end);
        hasty.1.swap(0, Ordering::Relaxed)
    };
    assert_eq!(waits(), 0);
    let path = Path::new("/data/orders-0/partition.metadata");
    let stopped = disk.process().env().storage.lock(path).unwrap();
    assert!(stopped.try_acquire(Mode::Exclusive).unwrap());

    let (first, second, third) = (waits(), waits(), waits());

    assert!(first > 0);
    assert_eq!((second, third), (0, 0));
    stopped.release().unwrap();
    assert_eq!(waits(), 0);
    assert!(stopped.try_acquire(Mode::Exclusive).unwrap());
    assert_eq!(waits(), first, "for who syncs next is waited again");
}

#[test]
fn who_commits_alone_never_waits() {
    let disk = MemDisk::new();
    let Env { storage, clock } = disk.env();
    let env = Env { storage, clock: Arc::new(Impatient(clock)) };
    let engine = Engine::open(Path::new("/data"), OpenOptions::default(), env).unwrap();
    let orders = with(&engine, &[]);

    for n in 0..10 {
        append(&orders, &["a"]);
        orders.sync(n + 1).unwrap();
    }

    assert_eq!(kept(&disk).len(), 10);
}

#[test]
fn so_many_records_are_synced_by_the_append_that_makes_them() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = with(&engine, &[("flush.messages", "3")]);

    append(&orders, &["a", "b"]);
    assert_eq!(kept(&disk), []);
    append(&orders, &["c"]);
    assert_eq!(kept(&disk), numbered(&["a", "b", "c"]));
    append(&orders, &["d"]);

    assert_eq!(kept(&disk), numbered(&["a", "b", "c"]));
}

#[test]
fn an_append_syncs_when_the_last_sync_is_long_ago() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = with(&engine, &[("flush.ms", "1000")]);
    append(&orders, &["a"]);
    disk.clock().advance(Duration::from_millis(999));
    append(&orders, &["b"]);
    assert_eq!(kept(&disk), []);

    disk.clock().advance(Duration::from_millis(1));
    append(&orders, &["c"]);

    assert_eq!(kept(&disk), numbered(&["a", "b", "c"]));
}

#[test]
fn what_nobody_appends_to_is_synced_by_who_does_the_chores() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = with(&engine, &[("flush.ms", "1000")]);
    let env = disk.env();
    append(&orders, &["a"]);
    let due = now(&env) + 1000;
    assert_eq!(engine.next_chore(), Some(due));
    engine.do_chores(now(&env)).unwrap();
    assert_eq!(kept(&disk), []);

    disk.clock().advance(Duration::from_secs(1));
    engine.do_chores(now(&env)).unwrap();

    assert_eq!(kept(&disk), numbered(&["a"]));
}

#[test]
fn a_clock_that_was_set_back_does_not_put_a_sync_off() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = with(&engine, &[("flush.ms", "1000")]);
    append(&orders, &["a"]);

    disk.clock().set_now(now(&disk.env()) - 86_400_000);
    append(&orders, &["b"]);

    assert_eq!(kept(&disk), numbered(&["a", "b"]));
}

#[test]
fn a_log_without_settings_is_synced_by_nobody_unasked() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = with(&engine, &[]);
    append(&orders, &["a"]);
    disk.clock().advance(Duration::from_hours(24));

    append(&orders, &["b"]);
    engine.do_chores(now(&disk.env())).unwrap();

    assert_eq!(engine.next_chore(), None);
    assert_eq!(kept(&disk), []);
}

#[test]
fn what_is_synced_is_noted_once_a_minute_and_no_more_than_that() {
    let disk = MemDisk::new();
    let (engine, env) = (open(&disk), disk.env());
    let orders = with(&engine, &[]);
    let synced = append(&orders, &["a", "b"]) + 2;
    orders.sync(synced).unwrap();
    append(&orders, &["c"]);
    engine.do_chores(now(&env)).unwrap();
    assert_eq!(content(&disk, POINTS), None);
    assert_eq!(engine.next_chore(), Some(now(&env) + 60_000));

    disk.clock().advance(Duration::from_mins(1));
    engine.do_chores(now(&env)).unwrap();

    assert_eq!(content(&disk, POINTS).unwrap(), "0\n1\norders 0 2\n");
    assert_eq!(engine.next_chore(), None);
}

#[test]
fn one_process_notes_for_all() {
    let disk = MemDisk::new();
    let (engine, env) = (open(&disk), disk.env());
    let other_disk = disk.process();
    let other = open(&other_disk);
    let synced = append(&with(&engine, &[]), &["a"]) + 1;
    orders(&engine).sync(synced).unwrap();
    other.create_topic("bills", None, &[]).unwrap();
    let bills = other.partition(&TopicPartition::new("bills", 0)).unwrap();
    let synced = append(&bills, &["x", "y"]) + 2;
    bills.sync(synced).unwrap();
    disk.clock().advance(Duration::from_mins(1));

    engine.do_chores(now(&env)).unwrap();
    let writes = other_disk.calls();
    other.do_chores(now(&env)).unwrap();

    assert_eq!(content(&disk, POINTS).unwrap(), "0\n2\nbills 0 2\norders 0 1\n");
    assert_eq!(other_disk.calls(), writes);
}

#[test]
fn what_lies_below_a_noted_point_is_not_walked_after_a_crash() {
    let disk = MemDisk::new();
    let (engine, env) = (open(&disk), disk.env());
    let orders = with(&engine, &[("segment.bytes", "100")]);
    for value in ["a", "b", "c", "d"] {
        append(&orders, &[value]);
    }
    orders.sync(4).unwrap();
    disk.clock().advance(Duration::from_mins(1));
    engine.do_chores(now(&env)).unwrap();
    let after = disk.after_crash(0);
    // Nobody looks there: it was synced.
    damage(&after, "orders-0/00000000000000000000.log");

    let engine = open(&after);

    let partition = self::orders(&engine);
    assert_eq!(partition.ends().unwrap().log_end_offset, 4);
}

fn damage(disk: &MemDisk, name: &str) {
    let file = disk.env().storage.open(&Path::new("/data").join(name), Access::Update).unwrap();
    file.write_at(30, &[0xff; 8]).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn a_topic_that_was_made_again_is_noted_by_its_own_log() {
    let disk = MemDisk::new();
    let (engine, env) = (open(&disk), disk.env());
    let synced = append(&with(&engine, &[]), &["a", "b", "c"]) + 3;
    orders(&engine).sync(synced).unwrap();
    disk.clock().advance(Duration::from_mins(1));
    engine.do_chores(now(&env)).unwrap();

    engine.delete_topic(ORDERS).unwrap();
    let synced = append(&with(&engine, &[]), &["d"]) + 1;
    orders(&engine).sync(synced).unwrap();
    disk.clock().advance(Duration::from_mins(1));
    engine.do_chores(now(&env)).unwrap();

    assert_eq!(content(&disk, POINTS).unwrap(), "0\n1\norders 0 1\n");
    assert_eq!(kept(&disk), numbered(&["d"]));
}

#[test]
fn after_a_failed_sync_the_directory_shows_what_the_disk_has() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = MemDisk::new();
        let engine = open(&disk);
        let orders = with(&engine, &[]);
        append(&orders, &["a"]);
        orders.sync(1).unwrap();
        for _ in 0..=seed {
            append(&orders, &["b"]);
        }
        disk.fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);
        assert!(matches!(orders.sync(2), Err(Error::Poisoned(_))));
        drop((engine, orders));

        let engine = open(&disk.process());
        let shown = read(&self::orders(&engine));

        assert_eq!(kept(&disk), shown, "seed {seed}");
        lost += usize::from(shown.len() < seed + 2);
    }
    assert!(lost > 0);
}

#[test]
fn a_failed_sync_stops_all_of_several_processes_and_none_comes_to_terms_with_it() {
    let disk = MemDisk::new();
    let disks: Vec<_> = (0..4).map(|_| disk.process()).collect();
    let engines: Vec<_> = disks.iter().map(open).collect();
    with(&engines[0], &[]);
    let all: Vec<_> = engines.iter().map(|engine| orders(engine)).collect();
    append(&all[0], &["a"]);
    all[1].sync(1).unwrap();
    append(&all[2], &["b"]);

    disks[3].fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);
    assert!(matches!(all[3].sync(2), Err(Error::Poisoned(_))));

    for partition in &all {
        assert!(matches!(partition.sync(2), Err(Error::Poisoned(_))));
        assert!(matches!(partition.append(&mut batch_at(1, &["c"])), Err(Error::Poisoned(_))));
    }
    let late = open(&disk.process());
    assert!(matches!(orders(&late).sync(2), Err(Error::Poisoned(_))));
    disk.clock().advance(Duration::from_mins(1));
    late.do_chores(now(&disk.env())).unwrap();
    drop((engines, all, late));
    let engine = open(&disk.process());
    let shown = read(&orders(&engine));
    assert_eq!(kept(&disk), shown);
    assert_eq!(append(&orders(&engine), &["c"]), shown.len() as i64);
}

/// A log of which one record was synced, and `more` that were not; all who had it open have died.
fn left_by_the_dead(more: usize) -> MemDisk {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let log = with(&engine, &[]);
    append(&log, &["a"]);
    log.sync(1).unwrap();
    for _ in 0..more {
        append(&log, &["b"]);
    }
    disk.copy()
}

/// Lets the last byte of the log be another.
fn tear(disk: &MemDisk) {
    let path = Path::new("/data/orders-0/00000000000000000000.log");
    let file = disk.env().storage.open(path, Access::Update).unwrap();
    file.write_at(file.len().unwrap() - 1, &[0xff]).unwrap();
}

#[test]
fn after_a_sync_that_fails_in_recovery_the_next_attempt_shows_what_the_disk_has() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = left_by_the_dead(seed + 1);
        // So nobody knows whether the machine crashed, and all that is found is synced.
        disk.env().storage.remove(Path::new("/data/.brokerless-control")).unwrap();
        let engine = open(&disk);
        let log = orders(&engine);
        disk.fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);
        let failed = log.ends();
        assert!(matches!(failed, Err(Error::Io { op: "sync", .. })), "seed {seed}: {failed:?}");

        let shown = read(&log);

        assert_eq!(kept(&disk), shown, "seed {seed}");
        lost += usize::from(shown.len() < seed + 2);
    }
    assert!(lost > 0);
}

#[test]
fn after_a_sync_that_fails_at_a_cut_nobody_is_told_of_what_the_disk_has_not() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = left_by_the_dead(seed + 2);
        tear(&disk);
        let engine = open(&disk);
        let log = orders(&engine);
        disk.fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);
        let failed = log.ends();
        assert!(matches!(failed, Err(Error::Poisoned(_))), "seed {seed}: {failed:?}");

        let shown = read(&log);

        assert_eq!(kept(&disk), shown, "seed {seed}");
        let synced = log.sync(shown.len() as i64);
        assert!(matches!(synced, Err(Error::Poisoned(_))), "seed {seed}: {synced:?}");
        drop((engine, log));
        assert_eq!(read(&orders(&open(&disk.process()))), shown, "seed {seed}");
        lost += usize::from(shown.len() < seed + 2);
    }
    assert!(lost > 0);
}

#[test]
fn opening_and_closing_a_clean_log_leaves_its_files_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let engine = crate::support::open(dir.path());
    // The last of them is not one that the index names.
    for n in 0..106 {
        let orders = crate::support::partition(&engine);
        orders.append(&mut batch_at(n, &[&"x".repeat(300)])).unwrap();
    }
    drop(engine);
    let index = dir.path().join("orders-0/00000000000000000000.timeindex");
    let before = (std::fs::read(&index).unwrap(), std::fs::metadata(&index).unwrap());
    assert!(before.0.len() >= 24);

    let engine = crate::support::open(dir.path());
    let orders = crate::support::partition(&engine);
    assert_eq!(read(&orders).len(), 106);
    drop((engine, orders));

    let after = std::fs::metadata(&index).unwrap();
    assert_eq!(std::fs::read(&index).unwrap(), before.0);
    assert_eq!(after.modified().unwrap(), before.1.modified().unwrap());
}

#[test]
fn whichever_sync_of_a_new_partition_fails_all_stop() {
    for (call, times) in [(Call::SyncData, 3), (Call::SyncDir, 1)] {
        for n in 1..=times {
            let disk = MemDisk::new();
            let (one, two) = (open(&disk), open(&disk.process()));
            let log = with(&one, &[]);
            let appended = log.append(&mut batch_at(0, &["a"])).unwrap();
            disk.fail_call(call, n, ErrorKind::Other, Repeat::Once);

            let failed = log.sync(appended.end_offset);
            let other = orders(&two).append(&mut batch_at(1, &["b"]));

            assert!(matches!(failed, Err(Error::Poisoned(_))), "{call:?} {n}: {failed:?}");
            assert!(matches!(other, Err(Error::Poisoned(_))), "{call:?} {n}: {other:?}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_opened_to_be_synced_stops_nobody() {
    let disk = MemDisk::new();
    let (one, two) = (open(&disk), open(&disk.process()));
    let log = with(&one, &[]);
    let appended = log.append(&mut batch_at(0, &["a"])).unwrap();
    disk.fail_call(Call::OpenDir, 1, ErrorKind::OutOfMemory, Repeat::Once);

    let failed = log.sync(appended.end_offset);

    assert!(matches!(failed, Err(Error::Io { op: "open", .. })), "{failed:?}");
    assert_eq!(append(&orders(&two), &["b"]), 1);
    log.sync(2).unwrap();
    drop((one, two, log));
    assert_eq!(read(&orders(&open(&disk.after_crash(1)))).len(), 2);
}

#[test]
fn whichever_sync_of_a_segment_that_is_sealed_fails_all_stop() {
    for n in 1..=3 {
        let disk = MemDisk::new();
        let (one, two) = (open(&disk), open(&disk.process()));
        let log = with(&one, &[("segment.bytes", "100")]);
        let appended = log.append(&mut batch_at(0, &["a"])).unwrap();
        log.sync(appended.end_offset).unwrap();
        disk.fail_call(Call::SyncData, n, ErrorKind::Other, Repeat::Once);

        let failed = log.append(&mut batch_at(1, &["b"]));
        let other = orders(&two).append(&mut batch_at(2, &["c"]));

        assert!(matches!(failed, Err(Error::Poisoned(_))), "sync {n}: {failed:?}");
        assert!(matches!(other, Err(Error::Poisoned(_))), "sync {n}: {other:?}");
    }
}
