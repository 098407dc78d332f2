//! Directories to be damaged, in memory: our own, left in different ways, and a broker's.

use std::path::{Path, PathBuf};

use brokerless::config::Change;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, Storage};
use brokerless::record::BatchBuilder;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, TopicPartition};

pub(super) const DIR: &str = "/data";
const OFFSETS: &str = "__consumer_offsets";

/// How a directory was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// In good order.
    Closed,
    /// By processes that died; the second says whether it was closed in good order before.
    Killed(bool),
    /// By a machine that crashed.
    Crashed(bool),
}

pub(super) const WAYS: [Left; 5] = [
    Left::Closed,
    Left::Killed(true),
    Left::Killed(false),
    Left::Crashed(true),
    Left::Crashed(false),
];

impl Left {
    /// Whether everything in it was synced and noted: nothing may be cut then.
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Closed | Self::Killed(true) | Self::Crashed(true))
    }
}

/// Our own directory.
pub(super) fn own(left: Left) -> MemDisk {
    let disk = MemDisk::new();
    let owner = disk.process();
    let engine = Engine::open(Path::new(DIR), OpenOptions::default(), owner.env()).unwrap();
    let settings = [("segment.bytes", "1500"), ("index.interval.bytes", "200")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("a", Some(1), &settings).unwrap();
    for n in 0..30_i64 {
        let partition = engine.partition(&TopicPartition::new("a", 0)).unwrap();
        partition.append(&mut batch(n)).unwrap();
    }
    let commit = OffsetAndMetadata { offset: 7, metadata: "m".to_owned(), leader_epoch: 0 };
    // Of two groups in one partition, in a segment each.
    engine.topic_or_create(OFFSETS).unwrap();
    let small = Change::Set("150".to_owned());
    engine.alter_topic(OFFSETS, &[("segment.bytes".to_owned(), small)], false).unwrap();
    for group in ["g", "5"] {
        engine.commit_offsets(group, &[(TopicPartition::new("a", 0), commit.clone())]).unwrap();
    }
    if left.is_settled() {
        drop(engine);
        return leave_again(&disk, left);
    }
    owner.kill();
    drop(engine);
    if matches!(left, Left::Crashed(_)) { disk.after_crash(1) } else { disk.copy() }
}

/// One that was closed in good order: opened, looked at, and left once more.
fn leave_again(disk: &MemDisk, left: Left) -> MemDisk {
    if left == Left::Closed {
        return disk.copy();
    }
    let owner = disk.process();
    let engine = Engine::open(Path::new(DIR), OpenOptions::default(), owner.env()).unwrap();
    engine.partition(&TopicPartition::new("a", 0)).unwrap().ends().unwrap();
    owner.kill();
    drop(engine);
    if matches!(left, Left::Crashed(_)) { disk.after_crash(1) } else { disk.copy() }
}

/// One to three records; every fifth batch is older than the ones before it, and no two records
/// have one timestamp.
fn batch(n: i64) -> Vec<u8> {
    let codec = if n % 7 == 3 { Compression::Zstd } else { Compression::None };
    let mut builder = BatchBuilder::new(codec, None);
    let timestamp = if n % 5 == 4 { n * 100 - 450 } else { n * 100 };
    builder.set_producer(9, 0, (n * 3) as i32);
    for record in 0..=n % 3 {
        let value = format!("value {record} of batch {n}");
        builder.append(timestamp + record, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap()
}

/// The topic of a partition in a broker's directory, and the files beside it.
pub(super) fn brokers(directory: &str, partition: &str) -> MemDisk {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka").join(directory);
    let disk = MemDisk::new();
    let topic = partition.rsplit_once('-').unwrap().0;
    let of_topic = |name: &String| name.rsplit_once('-').unwrap().0 == topic;
    let folders: Vec<_> = partitions(directory).into_iter().filter(of_topic).collect();
    for folder in folders.iter().map(String::as_str).chain([""]) {
        disk.create_dir(&Path::new(DIR).join(folder)).unwrap();
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = Path::new(DIR).join(path.strip_prefix(&root).unwrap());
                put(&disk, &name, &std::fs::read(path).unwrap());
            }
        }
    }
    disk
}

/// The partitions of a broker's directory.
pub(super) fn partitions(directory: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka").join(directory);
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.ends_with("-delete") && !name.starts_with("__cluster"));
    names.sort();
    names
}

/// Makes a file, or another in place of it.
pub(super) fn put(disk: &MemDisk, name: &Path, bytes: &[u8]) {
    // Not cut: the dead may have it mapped.
    let _ = disk.remove(name);
    disk.open(name, Access::Write).unwrap().write_at(0, bytes).unwrap();
}

pub(super) fn read(disk: &MemDisk, name: &Path) -> Vec<u8> {
    let file = disk.open(name, Access::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// The files of the directory, by name.
pub(super) fn files(disk: &MemDisk) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap() {
            let path = folder.join(entry.name);
            if entry.is_dir { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
