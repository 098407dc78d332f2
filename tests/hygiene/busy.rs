//! A directory in which every kind of file is made, and one walk through all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Step};
use brokerless::config::{ConsumerConfig, OffsetReset};
use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::BatchBuilder;
use brokerless::{Compression, Error, IsolationLevel, Result, TopicPartition};

pub(crate) const PLAIN: &str = "plain";
pub(crate) const COMPACTED: &str = "compacted";
/// From a broker's directory: it has aborted transactions.
const TRANSACTIONS: &str = "transactions";

/// A new directory with a partition that a broker wrote.
pub(crate) fn begin(dir: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka/clean");
    let folder = format!("{TRANSACTIONS}-0");
    std::fs::create_dir_all(dir.join(&folder)).unwrap();
    for entry in std::fs::read_dir(from.join(&folder)).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(dir.join(&folder).join(entry.file_name()), read(&entry.path())).unwrap();
    }
    std::fs::write(dir.join("brokerless.properties"), "offsets.topic.num.partitions=1\n").unwrap();
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Uses everything that makes or opens files; gives what is still in use.
pub(crate) fn work(dir: &Path) -> Result<(Arc<Engine>, Consumer)> {
    let engine = Engine::open(dir, OpenOptions::default(), Env::system())?;
    let plain = topic(&engine, PLAIN, &[("segment.bytes", "300"), ("index.interval.bytes", "80")])?;
    fill(&plain)?;
    let settings =
        [("segment.bytes", "300"), ("index.interval.bytes", "80"), ("cleanup.policy", "compact")];
    let compacted = topic(&engine, COMPACTED, &settings)?;
    fill(&compacted)?;
    compacted.compact(engine.env().clock.now())?;
    let broker = engine.partition(&TopicPartition::new(TRANSACTIONS, 0))?;
    for partition in [&plain, &compacted, &broker] {
        read_all(partition)?;
        partition.offset_for_time(1_000)?;
    }
    let consumer = join(&engine)?;
    engine.expire_offsets(engine.env().clock.now())?;
    Ok((engine, consumer))
}

/// Works, and closes in good order.
pub(crate) fn work_and_close(dir: &Path) -> Result<()> {
    let (engine, consumer) = work(dir)?;
    consumer.close(true)?;
    drop(consumer);
    drop(engine);
    Ok(())
}

fn topic(engine: &Engine, name: &str, settings: &[(&str, &str)]) -> Result<Arc<Partition>> {
    let settings: Vec<_> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match engine.create_topic(name, None, &settings) {
        Ok(_) | Err(Error::TopicAlreadyExists(_)) => {}
        Err(error) => return Err(error),
    }
    engine.partition(&TopicPartition::new(name, 0))
}

fn fill(partition: &Partition) -> Result<()> {
    let mut end = 0;
    for n in 0..8_i64 {
        let mut builder = BatchBuilder::new(Compression::None, None);
        let key = format!("key-{}", n % 3);
        builder.append(1_000 + n, Some(key.as_bytes()), Some(b"some value"), &[]);
        end = partition.append(&mut builder.finish().unwrap())?.end_offset;
    }
    partition.sync(end)
}

fn read_all(partition: &Partition) -> Result<()> {
    let start = partition.ends()?.log_start_offset;
    let mut cursor = Cursor::new(start);
    let level = IsolationLevel::ReadCommitted;
    while !partition.read(&mut cursor, 1 << 20, level)?.bytes.is_empty() {}
    partition.aborted(start, i64::MAX).map(drop)
}

/// A member of a group, with something committed.
fn join(engine: &Arc<Engine>) -> Result<Consumer> {
    let config = ConsumerConfig {
        group_id: Some("workers".to_owned()),
        auto_offset_reset: OffsetReset::Earliest,
        enable_auto_commit: false,
        ..ConsumerConfig::default()
    };
    let consumer = Consumer::new(engine.clone(), config)?;
    consumer.subscribe(&[PLAIN.to_owned()])?;
    while !matches!(consumer.poll(Duration::from_secs(1), 5)?, Step::Assigned(_)) {}
    consumer.poll(Duration::from_secs(1), 5)?;
    consumer.commit(None)?;
    Ok(consumer)
}

/// All below a folder, by their paths from there.
pub(crate) fn walk(folder: &Path) -> BTreeMap<PathBuf, std::fs::Metadata> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            // A file may go while one looks.
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() {
                left.push(path.clone());
            }
            found.insert(path.strip_prefix(folder).unwrap().to_owned(), metadata);
        }
    }
    found
}

/// What kind of file has that name: without offsets and hashes.
pub(crate) fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let is_word = |word: &&str| !word.chars().all(|c| c.is_ascii_hexdigit()) || word.is_empty();
    let words: Vec<&str> = name.split('.').filter(is_word).collect();
    match words.first() {
        Some(first) if first.is_empty() && name.starts_with(".brokerless-group-") => {
            format!("group.{}", words.last().unwrap())
        }
        _ => words.join("."),
    }
}
