//! A broker's directory with transactions is taken over while calls of the system fail, and the
//! machine crashes after that.

use std::io::ErrorKind;
use std::path::Path;

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, Storage};
use brokerless::{Error, TopicPartition};

use super::sites::{DIR, brokers, files};
use super::{Answers, Id};
use crate::support::batch_at;

const TOPIC: &str = "transactions";
const NEW: &str = "new";

/// The index of the active segment: as a crash of the broker's machine may leave it, it is made anew.
const INDEX: &str = "transactions-1/00000000000000000044.txnindex";

/// A broker's directory, all of which is on the disk.
fn prepare(directory: &str) -> MemDisk {
    prepare_but(directory, "")
}

/// The same, but for the bytes of one file.
fn prepare_but(directory: &str, missing: &str) -> MemDisk {
    let disk = brokers(directory, "transactions-0");
    for file in files(&disk).iter().filter(|file| !file.ends_with(missing) || missing.is_empty()) {
        disk.open(file, Access::Read).unwrap().sync_data().unwrap();
        disk.sync_dir(file.parent().unwrap()).unwrap();
    }
    for folder in ["/", DIR] {
        disk.sync_dir(Path::new(folder)).unwrap();
    }
    disk
}

fn lose_an_index(disk: &MemDisk) {
    let index = Path::new(DIR).join(INDEX);
    disk.remove(&index).unwrap();
    disk.sync_dir(index.parent().unwrap()).unwrap();
}

/// Opens the directory, looks for what was aborted, goes on writing, and closes.
fn take_over(disk: &MemDisk) -> Result<(), Error> {
    let engine = Engine::open(Path::new(DIR), OpenOptions::default(), disk.env())?;
    for number in 0..2 {
        let partition = engine.partition(&TopicPartition::new(TOPIC, number))?;
        partition.aborted(0, i64::MAX)?;
        let appended = partition.append(&mut batch_at(0, &[NEW]))?;
        partition.sync(appended.end_offset)?;
    }
    Ok(())
}

/// All of the broker's is there, in its place, and nothing else but what was appended.
fn check(disk: &MemDisk, due: &Answers, what: &str) {
    let found = Answers::of(disk, false);
    assert_eq!(found.errors, Vec::<String>::new(), "{what}");
    assert_eq!(found.aborted, due.aborted, "{what}");
    let is_new = |at: &Id| !due.records.contains_key(at);
    for (at, value) in &found.records {
        let due = if is_new(at) { Some(NEW.as_bytes()) } else { due.records[at].as_deref() };
        assert_eq!(value.as_deref(), due, "{what}: {at:?}");
    }
    assert!(due.records.keys().all(|at| found.records.contains_key(at)), "{what}");
}

fn every_call_fails(directory: &str) {
    let prepared = prepare(directory);
    let due = Answers::of(&prepared.copy(), true);
    if directory == "killed" {
        lose_an_index(&prepared);
    }
    assert_eq!(due.errors, Vec::<String>::new());
    assert!(due.aborted.values().any(|it| !it.is_empty()));
    let process = prepared.copy().process();
    take_over(&process).unwrap();
    for n in 1..=process.calls() {
        for repeat in [Repeat::Once, Repeat::Forever] {
            let disk = prepared.copy();
            let process = disk.process();
            process.fail(n, ErrorKind::StorageFull, repeat);
            // Not each failure is one of the work: some are only logged.
            let _ = take_over(&process);
            process.heal();
            let left = if repeat == Repeat::Once { disk.after_crash(n) } else { disk };
            check(&left, &due, &format!("{directory}, call {n}, {repeat:?}"));
        }
    }
}

#[test]
fn an_index_that_a_killed_broker_has_not_synced_outlives_a_crash_after_it_was_taken_over() {
    let disk = prepare_but("killed", INDEX);
    let due = Answers::of(&disk.copy(), true);
    take_over(&disk.process()).unwrap();

    check(&disk.after_crash(0), &due, "nothing arrived that was not synced");
}

#[test]
fn an_index_whose_sync_failed_when_it_was_made_anew_outlives_a_crash_after_the_next_attempt() {
    let prepared = prepare("killed");
    let due = Answers::of(&prepared.copy(), true);
    lose_an_index(&prepared);
    for (n, steps) in (1..=12).flat_map(|n| (0..4).map(move |steps| (n, steps))) {
        let disk = prepared.copy();
        // What a failed sync leaves is another matter of chance each time.
        let file = disk.open(Path::new("/steps"), Access::Write).unwrap();
        (0..steps).for_each(|_| file.write_at(0, &[0]).unwrap());
        let process = disk.process();
        process.fail_call(Call::SyncData, n, ErrorKind::Other, Repeat::Once);
        let _ = take_over(&process);
        take_over(&process).unwrap();

        check(&disk.after_crash(0), &due, &format!("sync {n}, {steps} steps"));
    }
}

#[test]
fn any_call_may_fail_when_transactions_of_a_broker_that_was_stopped_are_taken_over() {
    every_call_fails("clean");
}

#[test]
fn any_call_may_fail_when_transactions_of_a_broker_that_was_killed_are_taken_over() {
    every_call_fails("killed");
}
