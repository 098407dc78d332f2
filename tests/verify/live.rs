//! The check of a directory that others use.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::env::mem::MemDisk;
use brokerless::verify::{self, Options};
use brokerless::{Error, TopicPartition};

use crate::cases::active;
use crate::support::{batch, change, damage, fill, open, orders, sample, verify, verify_in};

#[test]
fn what_is_appended_during_the_check_is_no_damage() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    let done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        scope.spawn(|| {
            let partition = engine.partition(&orders()).unwrap();
            while !done.load(Ordering::Relaxed) {
                partition.append(&mut batch(7)).unwrap();
            }
        });
        for _ in 0..20 {
            let report = verify(dir.path());

            assert!(report.in_use);
            assert_eq!(damage(&report), [""; 0]);
            assert!(report.counts.records >= 49);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn bytes_behind_what_is_published_are_no_damage_and_those_before_it_are() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    engine.partition(&orders()).unwrap().append(&mut batch(24)).unwrap();
    change(&active(dir.path()), |bytes| bytes.extend([7; 100]));
    assert_eq!(damage(&verify(dir.path())), [""; 0]);

    change(&active(dir.path()), |bytes| bytes[70] ^= 1);

    let found = damage(&verify(dir.path()));
    assert!(found.len() == 1 && found[0].starts_with("error damaged-batch"), "{found:?}");
}

#[test]
fn an_active_segment_that_somebody_removed_is_damage() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    engine.partition(&orders()).unwrap().append(&mut batch(24)).unwrap();

    std::fs::remove_file(active(dir.path())).unwrap();

    let found = damage(&verify(dir.path()));
    assert!(found.len() == 1 && found[0].starts_with("error removed orders-0/"), "{found:?}");
}

#[test]
fn an_active_segment_that_somebody_cut_is_damage() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    engine.partition(&orders()).unwrap().append(&mut batch(24)).unwrap();

    change(&active(dir.path()), |bytes| bytes.truncate(bytes.len() - 1));

    let found = damage(&verify(dir.path()));
    assert!(found.iter().any(|it| it.starts_with("error shortened orders-0/")), "{found:?}");
}

#[test]
fn a_mark_of_a_clean_end_in_an_open_directory_is_noted() {
    let dir = sample();
    let _engine = open(dir.path(), Env::system());
    std::fs::write(dir.path().join(".kafka_cleanshutdown"), "{}").unwrap();

    let report = verify(dir.path());

    let codes: Vec<_> = report.findings.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["marked-clean"]);
}

#[test]
fn a_folder_that_somebody_removed_is_damage() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    engine.partition(&orders()).unwrap().append(&mut batch(24)).unwrap();

    std::fs::remove_dir_all(dir.path().join("orders-0")).unwrap();

    let found = damage(&verify(dir.path()));
    assert!(found.len() == 1 && found[0].starts_with("error removed orders-0:"), "{found:?}");
}

#[test]
fn a_directory_that_is_open_is_not_repaired() {
    let dir = sample();
    let _engine = open(dir.path(), Env::system());

    let refused = verify::repair(dir.path(), Options::default(), &Env::system(), &|_| Ok(()));

    assert!(matches!(refused, Err(Error::InUse(_))), "{refused:?}");
}

/// A directory that a broker holds, on a disk in memory.
fn held_by_a_broker() -> MemDisk {
    let disk = MemDisk::new();
    let data = Path::new("/data");
    fill(&Engine::open(data, OpenOptions::default(), disk.process().env()).unwrap());
    assert!(disk.lock_as_broker(&data.join(".lock"), 1).unwrap());
    disk
}

#[test]
fn what_a_broker_is_writing_is_no_damage() {
    let disk = held_by_a_broker();
    let storage = disk.env().storage;
    let folder = Path::new("/data/orders-0");
    let logs = storage.list(folder).unwrap().into_iter().map(|entry| entry.name);
    let last = logs.filter(|name| name.strip_suffix(".log").is_some()).max().unwrap();
    let log = storage.open(&folder.join(last), brokerless::env::Access::Update).unwrap();
    log.write_at(log.len().unwrap(), &batch(24)[..50]).unwrap();

    let report = verify_in(Path::new("/data"), &disk.process().env());

    assert!(report.in_use);
    assert_eq!(damage(&report), [""; 0]);
    assert!(report.findings.iter().any(|finding| finding.code == "being-written"));
}

#[test]
fn a_directory_of_a_running_broker_is_not_repaired() {
    let disk = held_by_a_broker();

    let refused =
        verify::repair(Path::new("/data"), Options::default(), &disk.process().env(), &|_| Ok(()));

    assert!(matches!(refused, Err(Error::HeldByBroker(_))), "{refused:?}");
}

#[test]
fn a_topic_that_is_deleted_during_the_check_is_no_damage() {
    let dir = sample();
    let engine = open(dir.path(), Env::system());
    let done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                engine.create_topic("brief", None, &[]).unwrap();
                let partition = engine.partition(&TopicPartition::new("brief", 0)).unwrap();
                partition.append(&mut batch(0)).unwrap();
                engine.delete_topic("brief").unwrap();
            }
        });
        let found: Vec<_> = (0..20).flat_map(|_| damage(&verify(dir.path()))).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(found, [""; 0]);
    });
}

#[test]
fn the_room_ahead_of_a_log_is_no_damage_nor_is_it_after_all_have_died() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let engine = open(&data, Env::system());
    let settings = [("preallocate", "true"), ("segment.bytes", "100000")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("orders", None, &settings).unwrap();
    engine.partition(&orders()).unwrap().append(&mut batch(0)).unwrap();
    let log = data.join("orders-0/00000000000000000000.log");
    assert_eq!(log.metadata().unwrap().len(), 100_000, "there is room");

    assert_eq!(damage(&verify(&data)), [""; 0], "while it is open");
    // What is left when all have died: nobody gives the room back.
    std::mem::forget(engine);
    let left = dir.path().join("left");
    copy(&data, &left);
    let report = verify(&left);
    assert_eq!(damage(&report), [""; 0], "afterwards");
    assert_eq!(report.counts.records, 2);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
