//! Directories to check, and what the check says of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::types::OffsetAndMetadata;
use brokerless::verify::{self, Options, Repaired, Report};
use brokerless::{Compression, IsolationLevel, TopicPartition};
use tempfile::TempDir;

/// What the check finds, and nothing of how far it has come.
pub(crate) fn verify(dir: &Path) -> Report {
    verify_in(dir, &Env::system())
}

pub(crate) fn verify_in(dir: &Path, env: &Env) -> Report {
    verify::verify(dir, Options::default(), env, &|_| Ok(())).unwrap()
}

/// What is wrong, as `severity code path`.
pub(crate) fn damage(report: &Report) -> Vec<String> {
    let damage = report.findings.iter().filter(|finding| finding.is_damage());
    damage.map(line).collect()
}

pub(crate) fn line(finding: &brokerless::verify::Finding) -> String {
    format!(
        "{} {} {}: {}",
        finding.severity.name(),
        finding.code,
        finding.path.display(),
        finding.message
    )
}

/// Changes a directory back to what can be kept.
pub(crate) fn repair(dir: &Path) -> Repaired {
    verify::repair(dir, Options::default(), &Env::system(), &|_| Ok(())).unwrap()
}

pub(crate) const ORDERS: &str = "orders-0";

/// The records of a batch of the sample.
const IN_BATCH: i64 = 2;
/// The batches of the sample.
const BATCHES: i64 = 24;

pub(crate) fn orders() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

pub(crate) fn open(dir: &Path, env: Env) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), env).unwrap()
}

pub(crate) fn batch(number: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for index in 0..IN_BATCH {
        let offset = number * IN_BATCH + index;
        builder.append(
            1000 + offset,
            Some(b"key"),
            Some(format!("value {offset}").as_bytes()),
            &[],
        );
    }
    builder.finish().unwrap()
}

/// Puts records into a topic with small segments, and commits.
pub(crate) fn fill(engine: &Arc<Engine>) {
    let settings = [("segment.bytes", "900"), ("index.interval.bytes", "100")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("orders", None, &settings).unwrap();
    let partition = engine.partition(&orders()).unwrap();
    for number in 0..BATCHES {
        partition.append(&mut batch(number)).unwrap();
    }
    let commit = OffsetAndMetadata { offset: 7, metadata: String::new(), leader_epoch: 0 };
    engine.commit_offsets("group", &[(orders(), commit)]).unwrap();
}

/// A directory of ours that was closed in good order.
pub(crate) fn sample() -> TempDir {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(MADE.get_or_init(make_sample).path(), copy.path());
    copy
}

fn make_sample() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("brokerless.properties"), "offsets.topic.num.partitions=1\n")
        .unwrap();
    fill(&open(dir.path(), Env::system()));
    dir
}

/// The same after the death of all that had it open.
pub(crate) fn killed_sample() -> TempDir {
    let dir = sample();
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    std::fs::remove_file(dir.path().join("recovery-point-offset-checkpoint")).unwrap();
    dir
}

/// Offsets and values of the partition, from the first to the last.
pub(crate) fn read(partition: &Partition) -> Vec<(i64, String)> {
    let mut cursor = Cursor::new(partition.ends().unwrap().log_start_offset);
    let mut found = Vec::new();
    loop {
        let chunk = partition.read(&mut cursor, 1000, IsolationLevel::ReadUncommitted).unwrap();
        if chunk.bytes.is_empty() {
            return found;
        }
        let mut rest = chunk.bytes;
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            let batch = Batch::decode(rest.split_to(size), usize::MAX).unwrap();
            for record in batch.records().map(Result::unwrap) {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                found.push((record.offset, value));
            }
        }
    }
}

/// The records of the sample at these offsets.
pub(crate) fn values(offsets: impl IntoIterator<Item = i64>) -> Vec<(i64, String)> {
    offsets.into_iter().map(|offset| (offset, format!("value {offset}"))).collect()
}

pub(crate) const ALL: std::ops::Range<i64> = 0..BATCHES * IN_BATCH;

/// Copies a folder and all in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The base offsets of the sample's segments.
pub(crate) fn bases(dir: &Path) -> Vec<i64> {
    let mut bases: Vec<i64> = std::fs::read_dir(dir.join(ORDERS))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".log").map(|base| base.parse().unwrap())
        })
        .collect();
    bases.sort_unstable();
    bases
}

/// A file of the segment with that number.
pub(crate) fn segment(dir: &Path, number: usize, suffix: &str) -> PathBuf {
    dir.join(ORDERS).join(format!("{:020}.{suffix}", bases(dir)[number]))
}

/// Where the batches of a file begin, and where they end.
pub(crate) fn positions(file: &Path) -> Vec<usize> {
    let bytes = std::fs::read(file).unwrap();
    let mut positions = vec![0];
    while *positions.last().unwrap() < bytes.len() {
        let at = *positions.last().unwrap();
        positions.push(at + BatchInfo::parse(&bytes[at..]).unwrap().size);
    }
    positions
}

/// Changes the bytes of a file.
pub(crate) fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

/// Everything in a directory, by its name.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}
