//! A real file system that gets full: appends fail, others read on, nothing that was acknowledged is
//! lost, and when there is room again all go on.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use brokerless::engine::{Appended, Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, Result, TopicPartition};
use support::{Deadline, Process, arg, say};

support::roles!(crowd, survivor, writer);

const ORDERS: &str = "orders";
const WRITERS: [&str; 2] = ["ann", "bob"];
/// Several blocks, so that a write may be there in part.
const SIZE: usize = 9_000;
/// So that the disk may get full at a roll as well.
const SEGMENT: &str = "100000";

fn open(dir: &Path, read_only: bool) -> (Arc<Engine>, Arc<Partition>) {
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    let engine = Engine::open(dir, options, Env::system()).unwrap();
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    (engine, partition)
}

/// Appends a record that says who and how many; it is on the disk when this returns.
fn send(partition: &Partition, name: &str, number: usize) -> Result<Appended> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(0, None, Some(format!("{name} {number} {:1$}", "", SIZE).as_bytes()), &[]);
    let appended = partition.append(&mut builder.finish().unwrap())?;
    partition.sync(appended.end_offset)?;
    Ok(appended)
}

/// How many records there are of each writer, whose numbers must be dense and in order.
fn count(partition: &Partition) -> HashMap<String, usize> {
    let (mut cursor, mut counts, mut offset) = (Cursor::new(0), HashMap::new(), 0);
    loop {
        let level = IsolationLevel::ReadUncommitted;
        let mut rest = partition.read(&mut cursor, 100_000, level).unwrap().bytes;
        if rest.is_empty() {
            return counts;
        }
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            for record in Batch::decode(rest.split_to(size), 1 << 20).unwrap().records() {
                let record = record.unwrap();
                let value = std::str::from_utf8(record.value.unwrap()).unwrap();
                let mut words = value.split(' ');
                let (name, number) = (words.next().unwrap(), words.next().unwrap());
                let known = counts.entry(name.to_owned()).or_default();
                assert_eq!(number.parse(), Ok(*known), "of {name}, at {}", record.offset);
                assert_eq!(record.offset, offset);
                (*known, offset) = (*known + 1, offset + 1);
            }
        }
    }
}

/// Writes until the disk is full, tries until there is room, and writes some more.
fn writer() {
    let (_engine, partition) = open(Path::new(&arg("dir")), false);
    let name = arg("name");
    let mut number = 0;
    let error = loop {
        match send(&partition, &name, number) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    say(&format!("{number} {error}"));
    // One may get in before there is room for all.
    let deadline = Deadline::far();
    for number in number..number + 20 {
        while let Err(error) = send(&partition, &name, number) {
            assert!(!deadline.is_over(), "there is room, and yet: {error}");
            thread::sleep(Duration::from_millis(1));
        }
    }
    say(&format!("{}", number + 20));
}

/// A directory on a disk of its own, which something else takes half of. It is open; gives what
/// takes the room.
fn prepare() -> (String, String) {
    let disk = arg("disk");
    let (dir, ballast) = (format!("{disk}/data"), format!("{disk}/ballast"));
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let engine = Engine::open(Path::new(&dir), OpenOptions::default(), Env::system()).unwrap();
    engine.create_topic(ORDERS, None, &[("segment.bytes".into(), SEGMENT.into())]).unwrap();
    (dir, ballast)
}

/// Writers until none of them can go on, and what each was promised.
fn fill(dir: &str) -> (Vec<Process>, HashMap<String, usize>) {
    let start = |name: &&str| Process::start("writer", &[("dir", dir), ("name", name)]);
    let mut writers: Vec<Process> = WRITERS.iter().map(start).collect();
    let mut acknowledged = HashMap::new();
    for (writer, name) in writers.iter_mut().zip(WRITERS) {
        let said = writer.hear();
        assert!(said.contains("No space left on device"), "{said}");
        let number = said.split(' ').next().unwrap().parse().unwrap();
        acknowledged.insert(name.to_owned(), number);
    }
    (writers, acknowledged)
}

/// At least what was promised, and at most one more of each: the other may still get one in.
fn is_there(found: &HashMap<String, usize>, acknowledged: &HashMap<String, usize>) -> bool {
    WRITERS.iter().all(|name| of(found, name) >= acknowledged[*name])
}

fn of(found: &HashMap<String, usize>, name: &str) -> usize {
    found.get(name).copied().unwrap_or(0)
}

fn crowd() {
    let (dir, ballast) = prepare();
    let (_engine, partition) = open(Path::new(&dir), false);
    let (mut writers, acknowledged) = fill(&dir);
    assert!(is_there(&count(&partition), &acknowledged), "somebody who has it open");
    let (_late, late) = open(Path::new(&dir), false);
    assert!(is_there(&count(&late), &acknowledged), "somebody who comes later");
    let (_looking, looking) = open(Path::new(&dir), true);
    assert!(is_there(&count(&looking), &acknowledged), "somebody who changes nothing");
    std::fs::remove_file(ballast).unwrap();
    let finish = |writer: &mut Process| writer.hear().parse().unwrap();
    let numbers = writers.iter_mut().map(finish);
    let sent: HashMap<String, usize> =
        WRITERS.map(str::to_owned).into_iter().zip(numbers).collect();
    assert_eq!(count(&partition), sent);
    say("done");
}

/// All die on the full disk; the directory is read on it as it is, and written with room.
fn survivor() {
    let (dir, ballast) = prepare();
    let (mut writers, acknowledged) = fill(&dir);
    writers.iter_mut().for_each(Process::kill);
    let found = count(&open(Path::new(&dir), true).1);
    assert!(is_there(&found, &acknowledged), "before there is room");
    // The last few bytes may do for what is shared, or not.
    match Engine::open(Path::new(&dir), OpenOptions::default(), Env::system()) {
        Ok(engine) => drop(engine),
        Err(error) => assert!(error.to_string().contains("No space left on device"), "{error}"),
    }
    std::fs::remove_file(ballast).unwrap();
    let (_engine, partition) = open(Path::new(&dir), false);
    let found = count(&partition);
    assert!(is_there(&found, &acknowledged));
    let next = of(&found, "ann");
    send(&partition, "ann", next).unwrap();
    assert_eq!(of(&count(&partition), "ann"), next + 1);
    say("done");
}

/// Runs a role on a disk of 2 MiB of its own.
fn on_small_disk(role: &str) {
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|it| it.success()) {
        eprintln!("skipped: no file system can be mounted here (`unshare -rm` fails)");
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let disk = disk.path().to_str().unwrap();
    let mut role = Process::start_on_small_disk(role, &[("disk", disk)], disk, "2m");
    assert_eq!(role.hear(), "done");
    role.finish();
}

#[test]
fn on_a_full_disk_appends_fail_others_read_on_and_with_room_all_go_on() {
    on_small_disk("crowd");
}

#[test]
fn a_full_disk_on_which_all_have_died_can_be_read_and_with_room_be_written() {
    on_small_disk("survivor");
}
