//! What the system is asked for when a log is used for the first time after a start.

use std::path::Path;
use std::sync::{Arc, Mutex};

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::mem::{Call, MemDisk};

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

    for (kind, often) in [(Call::SyncData, 0), (Call::SyncDir, 0), (Call::Rename, 0)] {
        assert_eq!(calls_to_find_the_end(disk.process(), kind), often, "{kind:?}");
    }
    // Memory lists a folder to tell whether it is there.
    assert_eq!(calls_to_find_the_end(disk.process(), Call::List), 2);
}

#[test]
fn after_a_crash_of_the_machine_a_log_costs_three_syncs() {
    // Its newest segment, its leader epochs, and the names of both.
    for (kind, often) in [(Call::SyncData, 2), (Call::SyncDir, 1)] {
        assert_eq!(calls_to_find_the_end(used().after_crash(7), kind), often, "{kind:?}");
    }
}
