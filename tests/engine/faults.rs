//! The engine on a disk in memory that fails calls and loses power.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::support::{ORDERS, batch_at, read};

const BATCHES: usize = 15;

fn open(env: Env) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new("/data"), OpenOptions::default(), env)
}

fn orders() -> TopicPartition {
    TopicPartition::new(ORDERS, 0)
}

/// Makes a topic with small segments and appends numbered values, durably. What fails is passed
/// over. Tells `acknowledged` each number that is on the disk for sure.
fn work(env: Env, acknowledged: impl Fn(usize)) -> Result<(), Error> {
    let engine = open(env)?;
    let settings = [("segment.bytes", "400"), ("index.interval.bytes", "80")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let _ = engine.create_topic(ORDERS, None, &settings);
    let mut written = Vec::new();
    for n in 0..BATCHES {
        let Ok(partition) = engine.partition(&orders()) else { continue };
        let Ok(appended) = partition.append(&mut batch_at(n as i64, &[&n.to_string()])) else {
            continue;
        };
        written.push(n);
        // Not each: a segment must be rolled with records in it that nobody has synced.
        if n % 3 == 2 && partition.sync(appended.end_offset).is_ok() {
            written.drain(..).for_each(&acknowledged);
        }
    }
    Ok(())
}

/// The numbers in the log, which must be ascending.
fn numbers(engine: &Engine) -> Vec<usize> {
    let Ok(partition) = engine.partition(&orders()) else { return Vec::new() };
    let values = read(&partition);
    let numbers: Vec<usize> = values.iter().map(|(_, value)| value.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(values.iter().map(|(offset, _)| *offset).eq(0..values.len() as i64), "{values:?}");
    numbers
}

/// Opens the directory again and checks that everything acknowledged is there, and that it works.
fn check(disk: &MemDisk, acknowledged: &[usize], what: &str) {
    let engine = open(disk.env()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = numbers(&engine);
    for n in acknowledged {
        assert!(found.contains(n), "{what}: {n} is lost, {found:?} are there");
    }
    engine.topic_or_create(ORDERS).unwrap();
    let partition = engine.partition(&orders()).unwrap();
    let appended = partition.append(&mut batch_at(99, &["99"])).unwrap();
    partition.sync(appended.end_offset).unwrap();
    assert_eq!(numbers(&engine).last(), Some(&99), "{what}");
}

/// Calls of the whole workload that could fail.
fn calls() -> u64 {
    let disk = MemDisk::new();
    work(disk.env(), |_| ()).unwrap();
    disk.calls()
}

#[test]
fn every_call_that_fails_once_loses_nothing() {
    for n in 1..=calls() {
        let disk = MemDisk::new();
        let acknowledged = Mutex::new(Vec::new());
        disk.fail(n, std::io::ErrorKind::StorageFull, Repeat::Once);
        let _ = work(disk.env(), |n| acknowledged.lock().unwrap().push(n));
        disk.heal();

        let acknowledged = acknowledged.into_inner().unwrap();
        check(&disk.after_crash(n), &acknowledged, &format!("call {n}, crash"));
        check(&disk, &acknowledged, &format!("call {n}"));
    }
}

#[test]
fn every_call_from_which_all_fail_loses_nothing() {
    for n in 1..=calls() {
        let disk = MemDisk::new();
        let acknowledged = Mutex::new(Vec::new());
        disk.fail(n, std::io::ErrorKind::Other, Repeat::Forever);
        let _ = work(disk.env(), |n| acknowledged.lock().unwrap().push(n));
        disk.heal();

        let acknowledged = acknowledged.into_inner().unwrap();
        check(&disk, &acknowledged, &format!("from call {n} on"));
    }
}

/// Power is lost before each call of the workload, with several outcomes for what was not synced.
#[test]
fn a_crash_before_every_call_loses_nothing_that_was_acknowledged() {
    const SEEDS: u64 = 4;
    let disk = MemDisk::new();
    let acknowledged: Arc<Mutex<Vec<usize>>> = Arc::default();
    let crashes = Arc::new(AtomicU64::new(0));
    let hook = {
        let (disk, acknowledged, crashes) = (disk.clone(), acknowledged.clone(), crashes.clone());
        Arc::new(move |_| {
            let so_far = acknowledged.lock().unwrap().clone();
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            for seed in call * SEEDS..(call + 1) * SEEDS {
                check(&disk.after_crash(seed), &so_far, &format!("call {call}, seed {seed}"));
            }
        })
    };

    let acknowledge = |n| acknowledged.lock().unwrap().push(n);
    work(disk.clone().with_hook(hook).env(), acknowledge).unwrap();

    assert_eq!(acknowledged.lock().unwrap().len(), BATCHES);
    assert!(crashes.load(Ordering::Relaxed) > 100);
}

#[test]
fn a_failed_sync_stops_every_process_until_the_directory_is_opened_again() {
    let disk = MemDisk::new();
    let (one, two) = (open(disk.env()).unwrap(), open(disk.process().env()).unwrap());
    one.topic_or_create(ORDERS).unwrap();
    let (first, second) = (one.partition(&orders()).unwrap(), two.partition(&orders()).unwrap());
    let appended = first.append(&mut batch_at(0, &["0"])).unwrap();
    first.sync(appended.end_offset).unwrap();
    let appended = first.append(&mut batch_at(1, &["1"])).unwrap();

    disk.fail_call(Call::SyncData, 1, std::io::ErrorKind::Other, Repeat::Once);
    let failed = first.sync(appended.end_offset);

    assert!(matches!(failed, Err(Error::Poisoned(_))), "{failed:?}");
    assert!(matches!(second.sync(appended.end_offset), Err(Error::Poisoned(_))));
    assert!(matches!(second.append(&mut batch_at(2, &["2"])), Err(Error::Poisoned(_))));
    drop((one, two, first, second));
    check(&disk, &[0], "opened again");
}

#[test]
fn a_commit_never_points_past_what_is_on_the_disk() {
    for seed in 0..50 {
        let disk = MemDisk::new();
        let engine = open(disk.env()).unwrap();
        engine.topic_or_create(ORDERS).unwrap();
        let partition = engine.partition(&orders()).unwrap();
        let end = partition.append(&mut batch_at(0, &["0"])).unwrap().end_offset;
        let commit = OffsetAndMetadata { offset: end, metadata: String::new(), leader_epoch: 0 };
        engine.commit_offsets("g", &[(orders(), commit)]).unwrap();

        let after = open(disk.after_crash(seed).env()).unwrap();

        assert_eq!(after.committed_offsets("g").unwrap()[&orders()].offset, end);
        assert_eq!(numbers(&after), [0], "seed {seed}");
    }
}

#[test]
fn a_brokers_lock_and_a_network_disk_are_refused() {
    let disk = MemDisk::new();
    drop(open(disk.env()).unwrap());
    let broker = disk.process();
    assert!(broker.lock_as_broker(Path::new("/data/.lock"), 7).unwrap());

    let refused = open(disk.env());

    assert!(matches!(refused, Err(Error::HeldByBroker(_))), "{refused:?}");
    broker.kill();
    assert!(open(disk.env()).is_ok());
    disk.set_network_file_system(Some("nfs"));
    assert!(matches!(open(disk.env()), Err(Error::NetworkFileSystem { kind: "nfs", .. })));
}

#[test]
fn a_directory_that_may_not_be_written_says_so() {
    let disk = MemDisk::new();
    drop(open(disk.env()).unwrap());
    disk.fail_call(Call::Lock, 1, std::io::ErrorKind::ReadOnlyFilesystem, Repeat::Once);

    let refused = open(disk.env());

    assert!(matches!(refused, Err(Error::NotWritable { .. })), "{refused:?}");
}
