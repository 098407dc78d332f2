//! The check of a directory whose processes were killed, while the machine went on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Access;
use brokerless::env::mem::MemDisk;
use brokerless::record::BatchInfo;
use brokerless::types::OffsetAndMetadata;
use brokerless::verify::{Finding, Severity};

use crate::support::{ALL, ORDERS, fill, orders, verify_in};

const DATA: &str = "/data";

/// A directory whose processes were killed.
fn killed() -> MemDisk {
    let disk = MemDisk::new();
    let process = disk.process();
    let engine = Engine::open(Path::new(DATA), OpenOptions::default(), process.env()).unwrap();
    fill(&engine);
    process.kill();
    disk
}

fn log_bytes(disk: &MemDisk, path: &Path) -> Vec<u8> {
    let file = disk.env().storage.open(path, Access::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// The file and the position of each batch.
fn batches(disk: &MemDisk) -> Vec<(PathBuf, u64)> {
    let folder = Path::new(DATA).join(ORDERS);
    let mut names: Vec<_> =
        disk.env().storage.list(&folder).unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort();
    let mut found = Vec::new();
    for name in names.iter().filter(|name| name.strip_suffix(".log").is_some()) {
        let path = folder.join(name);
        let bytes = log_bytes(disk, &path);
        let mut at = 0;
        while at < bytes.len() {
            found.push((path.clone(), at as u64));
            at += BatchInfo::parse(&bytes[at..]).unwrap().size;
        }
    }
    found
}

fn flip(disk: &MemDisk, path: &Path, at: u64) {
    let file = disk.env().storage.open(path, Access::Update).unwrap();
    let mut byte = [0];
    file.read_at(at, &mut byte).unwrap();
    file.write_at(at, &[byte[0] ^ 1]).unwrap();
}

fn worst(disk: &MemDisk) -> Finding {
    let report = verify_in(Path::new(DATA), &disk.process().env());
    report.findings.into_iter().max_by_key(|finding| finding.severity).unwrap()
}

/// Where the log ends for who opens the directory next; `None` if it is refused.
fn end(disk: &MemDisk) -> Option<i64> {
    let engine = Engine::open(Path::new(DATA), OpenOptions::default(), disk.process().env());
    let partition = engine.unwrap().partition(&orders()).unwrap();
    partition.ends().ok().map(|ends| ends.log_end_offset)
}

/// What is said of each damaged batch, and where the log ends for who opens the directory then.
fn said_and_done(disk: impl Fn() -> MemDisk) -> Vec<(bool, bool, Finding)> {
    let places = batches(&disk());
    assert_eq!(places.len() as i64, ALL.end / 2);
    places
        .iter()
        .map(|(path, at)| {
            let disk = disk();
            flip(&disk, path, at + 70);
            let found = worst(&disk);
            let says_cut = found.message.contains("cuts the log") || found.code == "torn-tail";
            (says_cut, end(&disk) != Some(ALL.end), found)
        })
        .collect()
}

#[test]
fn a_cut_is_told_of_where_opening_makes_one_and_nowhere_else() {
    let disk = killed();

    let of_kill = said_and_done(|| disk.copy());
    let of_crash = said_and_done(|| disk.after_crash(1));

    for (said, done, found) in of_kill.iter().chain(&of_crash) {
        assert_eq!(said, done, "{found:?}");
    }
    assert!(of_crash.iter().all(|(said, ..)| *said));
    let cuts = of_kill.iter().filter(|(said, ..)| *said).count();
    assert!((1..4).contains(&cuts), "{cuts}");
}

#[test]
fn damage_that_opening_leaves_in_the_log_is_an_error() {
    let disk = killed();

    let found = said_and_done(|| disk.copy());

    for (_, _, found) in found.iter().filter(|(said, ..)| !said) {
        assert_eq!((found.severity, found.code), (Severity::Error, "damaged-batch"));
        assert!(found.message.contains("does not cut it"), "{found:?}");
    }
}

#[test]
fn nothing_is_wrong_with_a_directory_whose_processes_were_killed() {
    let report = verify_in(Path::new(DATA), &killed().process().env());

    assert_eq!(report.findings, []);
}

#[test]
fn a_removed_folder_of_which_nothing_else_tells_is_a_warning_that_names_it() {
    let disk = killed();
    let folder = Path::new(DATA).join(ORDERS);
    let storage = disk.env().storage;
    for entry in storage.list(&folder).unwrap() {
        storage.remove(&folder.join(entry.name)).unwrap();
    }
    storage.remove_dir(&folder).unwrap();

    let found = worst(&disk);

    assert_eq!((found.severity, found.code), (Severity::Warning, "folder-missing"));
    assert_eq!(found.path, Path::new(ORDERS));
}

/// What is said of a group that has committed an offset behind the end: at once, and when somebody
/// has had the directory open.
fn said_of_a_commit_past_the_end(
    leader_epoch: i32,
    leave: fn(&MemDisk, Arc<Engine>),
) -> [Finding; 2] {
    let disk = MemDisk::new();
    let process = disk.process();
    let engine = Engine::open(Path::new(DATA), OpenOptions::default(), process.env()).unwrap();
    fill(&engine);
    let commit = OffsetAndMetadata { offset: 99, metadata: String::new(), leader_epoch };
    engine.commit_offsets("group", &[(orders(), commit)]).unwrap();
    leave(&process, engine);
    let before = worst(&disk);
    assert_eq!(end(&disk), Some(ALL.end));
    [before, worst(&disk)]
}

#[test]
fn of_a_commit_past_the_end_the_same_is_said_however_the_directory_was_left() {
    for leader_epoch in [-1, 0] {
        let closed = said_of_a_commit_past_the_end(leader_epoch, |_, engine| drop(engine));
        let killed = said_of_a_commit_past_the_end(leader_epoch, |process, _| process.kill());

        assert_eq!(closed, killed);
        for found in closed {
            assert_eq!((found.severity, found.code), (Severity::Warning, "commit-past-end"));
        }
    }
}
