//! Compaction by processes that die at it, while others read and append.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::{Access, Entry, Env, File, Folder, Lock, Map, RecordLock, Storage};
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};
use rustix::process::{Signal, getpid, kill_process};
use support::{Deadline, Process, arg, say};

support::roles!(compactor, reader);

const ORDERS: &str = "orders";

/// A disk whose process is killed before a change of names, when so many were made.
#[derive(Debug)]
struct Doomed {
    disk: Arc<dyn Storage>,
    left: Arc<AtomicU64>,
}

impl Doomed {
    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

impl Storage for Doomed {
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step();
        self.disk.remove(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        self.step();
        self.disk.open_dir(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        self.disk.open(path, access)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock_dir(path)
    }

    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>> {
        self.disk.lock_record(path)
    }

    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>> {
        self.disk.lock_byte(path, byte)
    }

    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
        self.disk.map(path, position, words)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>> {
        self.disk.network_file_system(path)
    }

    fn boot_id(&self) -> String {
        self.disk.boot_id()
    }
}

fn open(dir: &str, env: Env) -> (Arc<Engine>, Arc<Partition>) {
    let engine = Engine::open(Path::new(dir), OpenOptions::default(), env).unwrap();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "500")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let made = engine.create_topic(ORDERS, None, &settings);
    assert!(matches!(made, Ok(_) | Err(Error::TopicAlreadyExists(_))));
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    (engine, partition)
}

/// The key at an offset: now and then it is one that is not used again.
fn key(offset: i64) -> String {
    if offset % 40 == 4 { format!("u{offset}") } else { format!("k{}", offset % 7) }
}

/// Appends a record whose value is its offset. Only one process appends at a time.
fn append(partition: &Partition) {
    let offset = partition.ends().unwrap().log_end_offset;
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(0, Some(key(offset).as_bytes()), Some(offset.to_string().as_bytes()), &[]);
    assert_eq!(partition.append(&mut builder.finish().unwrap()).unwrap().base_offset, offset);
}

/// Reads from the beginning to the end, and checks that nothing is missing or in a wrong place.
fn check(partition: &Partition, max_bytes: usize) {
    let (mut cursor, mut last) = (Cursor::new(0), -1);
    let mut found = BTreeMap::new();
    loop {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut rest = partition.read(&mut cursor, max_bytes, isolation).unwrap().bytes;
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            let batch = Batch::decode(rest.split_to(size), usize::MAX).unwrap();
            for record in batch.records().map(Result::unwrap) {
                assert!(record.offset > last);
                last = record.offset;
                assert_eq!(record.key, Some(key(last).as_bytes()));
                assert_eq!(record.value, Some(last.to_string().as_bytes()));
                found.insert(key(last), last);
            }
        }
    }
    let expected: BTreeMap<_, _> =
        (0..cursor.offset()).map(|offset| (key(offset), offset)).collect();
    assert_eq!(found, expected, "up to {}", cursor.offset());
}

/// Appends and compacts, and dies before its n-th change of names meanwhile.
fn compactor() {
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let system = Env::system();
    let storage = Arc::new(Doomed { disk: system.storage, left: left.clone() });
    let (engine, partition) = open(&arg("dir"), Env { storage, ..system });
    (0..12).for_each(|_| append(&partition));
    left.store(arg("n").parse().unwrap(), Ordering::SeqCst);
    assert!(partition.compact(0).unwrap());
    left.store(u64::MAX, Ordering::SeqCst);
    say("survived");
    drop((partition, engine));
}

fn reader() {
    let (_engine, partition) = open(&arg("dir"), Env::system());
    let max_bytes = arg("max_bytes").parse().unwrap();
    say("ready");
    while !Path::new(&arg("stop")).exists() {
        check(&partition, max_bytes);
    }
}

#[test]
fn readers_go_on_whatever_step_of_compaction_a_process_dies_at() {
    let dir = tempfile::tempdir().unwrap();
    let (data, stop) = (dir.path().join("data"), dir.path().join("stop"));
    let (data, stop) = (data.to_str().unwrap(), stop.to_str().unwrap());
    let (_engine, partition) = open(data, Env::system());
    let reader = |max_bytes| {
        let args = [("dir", data), ("stop", stop), ("max_bytes", max_bytes)];
        let mut reader = Process::start("reader", &args);
        assert_eq!(reader.hear(), "ready");
        reader
    };
    let readers = [reader("100"), reader("100000")];

    let mut deaths = 0;
    for n in 1.. {
        let args = [("dir", data), ("n", &*n.to_string())];
        let mut compactor = Process::start("compactor", &args);
        let said = compactor.rest(Deadline::far());
        check(&partition, 1000);
        if said == ["survived"] {
            break;
        }
        deaths += 1;
    }

    assert!(deaths > 15, "{deaths} steps");
    assert!(partition.ends().unwrap().log_end_offset >= 12 * deaths);
    std::fs::write(stop, "").unwrap();
    readers.into_iter().for_each(Process::finish);
}
