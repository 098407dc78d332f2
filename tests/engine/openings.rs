//! What the system is asked for when a log is used for the first time after a start.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brokerless::engine::{Engine, OpenOptions, keepers_of, with_patience};
use brokerless::env::mem::{Call, MemDisk};
use brokerless::env::{Env, Mode};
use brokerless::{Error, TopicPartition};

use crate::support::{append, partition};

fn open(disk: &MemDisk) -> Arc<Engine> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
}

/// How often a process on `disk` makes a call of the kind to find the end of a log.
fn calls_to_find_the_end(disk: MemDisk, kind: Call) -> usize {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let disk = disk.with_hook(Arc::new(move |call| noted.lock().unwrap().push(call)));
    let engine = open(&disk);
    let orders = partition(&engine);
    calls.lock().unwrap().clear();

    assert_eq!(orders.ends().unwrap().log_end_offset, 1);

    calls.lock().unwrap().iter().filter(|call| **call == kind).count()
}

/// A disk with a log of one record; nobody has closed the directory.
fn used() -> MemDisk {
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = partition(&engine);
    append(&orders, &["a"]);
    orders.sync(1).unwrap();
    std::mem::forget(engine);
    disk
}

#[test]
fn a_log_that_was_closed_in_good_order_costs_no_sync_and_one_look_at_its_folder() {
    let disk = MemDisk::new();
    append(&partition(&open(&disk)), &["a"]);

    // Its id, its epochs, the log and its two indexes, each once.
    for (kind, often) in
        [(Call::SyncData, 0), (Call::SyncDir, 0), (Call::Rename, 0), (Call::Open, 5)]
    {
        assert_eq!(calls_to_find_the_end(disk.process(), kind), often, "{kind:?}");
    }
    for (kind, often) in [(Call::List, 1), (Call::Status, 5), (Call::Read, 4)] {
        assert_eq!(calls_to_find_the_end(disk.process(), kind), often, "{kind:?}");
    }
}

#[test]
fn a_directory_that_was_closed_in_good_order_is_opened_with_one_sync() {
    let disk = MemDisk::new();
    append(&partition(&open(&disk)), &["a"]);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);

    let engine =
        open(&disk.process().with_hook(Arc::new(move |call| noted.lock().unwrap().push(call))));

    // That it is no longer closed.
    let is_sync = |call: &&Call| matches!(call, Call::SyncData | Call::SyncDir);
    let syncs = calls.lock().unwrap().iter().filter(is_sync).count();
    assert_eq!(syncs, 1);
    assert!(engine.topic("orders").unwrap().is_some());
}

#[test]
fn after_a_crash_of_the_machine_a_log_costs_three_syncs() {
    // Its newest segment, its leader epochs, and the names of both.
    for (kind, often) in [(Call::SyncData, 2), (Call::SyncDir, 1)] {
        assert_eq!(calls_to_find_the_end(used().after_crash(7), kind), often, "{kind:?}");
    }
}

/// How often a process that opens a directory and closes it again syncs something meanwhile. Those
/// before it have written to so many partitions and synced them, or not, and were killed.
fn syncs_to_close(partitions: i32, synced: bool, deaths: usize) -> usize {
    let disk = MemDisk::new();
    let owner = disk.process();
    let engine = open(&owner);
    engine.create_topic("many", Some(partitions), &[]).unwrap();
    for number in 0..partitions {
        let one = engine.partition(&TopicPartition::new("many", number)).unwrap();
        append(&one, &["a"]);
        if synced {
            one.sync(1).unwrap();
        }
    }
    owner.kill();
    drop(engine);
    for _ in 1..deaths {
        let other = disk.process();
        let engine = open(&other);
        other.kill();
        drop(engine);
    }
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let last = disk.process().with_hook(Arc::new(move |call| noted.lock().unwrap().push(call)));
    drop(open(&last));
    let calls = calls.lock().unwrap();
    calls.iter().filter(|call| matches!(call, Call::SyncData | Call::SyncDir)).count()
}

#[test]
fn what_was_synced_before_its_processes_died_is_not_synced_again_by_who_closes_the_directory() {
    for deaths in 1..3 {
        let one = syncs_to_close(1, true, deaths);

        // The two indexes, which nobody has synced.
        assert_eq!(syncs_to_close(6, true, deaths), one + 5 * 2, "{deaths} deaths");
    }
    // The log, its id, its epochs and their names too.
    assert_eq!(syncs_to_close(6, false, 1), syncs_to_close(1, false, 1) + 5 * 6);
}

#[test]
fn a_log_that_nobody_wrote_to_since_it_was_closed_is_not_synced_when_it_is_closed_again() {
    let syncs = |partitions| {
        let disk = MemDisk::new();
        let engine = open(&disk);
        engine.create_topic("many", Some(partitions), &[]).unwrap();
        let all = |engine: &Engine| -> Vec<_> {
            let id = |number| TopicPartition::new("many", number);
            (0..partitions).map(|number| engine.partition(&id(number)).unwrap()).collect()
        };
        for one in all(&engine) {
            append(&one, &["a"]);
        }
        drop(engine);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&calls);
        let hook = move |call| noted.lock().unwrap().push(call);
        let engine = open(&disk.process().with_hook(Arc::new(hook)));
        for one in all(&engine) {
            one.ends().unwrap();
        }
        drop(engine);
        let calls = calls.lock().unwrap();
        calls.iter().filter(|call| matches!(call, Call::SyncData | Call::SyncDir)).count()
    };

    assert_eq!(syncs(6), syncs(1));
}

#[test]
fn who_comes_to_a_directory_that_another_has_alone_is_told_who_that_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(Engine::open(dir.path(), OpenOptions::default(), Env::system()).unwrap());
    let lock = Env::system().storage.lock_record(&dir.path().join(".lock")).unwrap();
    assert!(lock.try_acquire(Mode::Exclusive).unwrap());

    let refused = with_patience(Duration::from_millis(20), || {
        Engine::open(dir.path(), OpenOptions::default(), Env::system())
    });

    let Err(Error::HeldAlone { path, after, .. }) = refused else { panic!("{refused:?}") };
    let keepers = keepers_of(&path);
    let told = Error::HeldAlone { path, after, keepers }.to_string();
    assert!(told.contains(&format!(": process {} has it alone", std::process::id())), "{told}");
}
