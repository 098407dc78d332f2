//! Damaged files of every kind: an error or less data, never a panic, a hang or wrong records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, random};
use brokerless::record::{Batch, BatchInfo, verify};
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{batch_at, open};

/// Offsets and values of every record, and the moments' answers.
type Content = BTreeMap<(TopicPartition, i64), Vec<u8>>;

fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let settings = [("segment.bytes", "900"), ("index.interval.bytes", "150")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("a", Some(2), &settings).unwrap();
    for n in 0..60_i64 {
        let partition = engine.partition(&TopicPartition::new("a", (n % 2) as i32)).unwrap();
        partition.append(&mut batch_at(n * 1000, &[&format!("value {n}"), "x"])).unwrap();
        let commit = brokerless::types::OffsetAndMetadata {
            offset: n / 2,
            metadata: "m".to_owned(),
            leader_epoch: 0,
        };
        engine.commit_offsets("g", &[(TopicPartition::new("a", 0), commit)]).unwrap();
    }
    drop(engine);
    dir
}

/// The files below a folder, by their path in it.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn disk_with(files: &[(PathBuf, Vec<u8>)]) -> MemDisk {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    for (name, bytes) in files {
        let path = Path::new("/data").join(name);
        storage.create_dir(path.parent().unwrap()).unwrap();
        storage.open(&path, Access::Write).unwrap().write_at(0, bytes).unwrap();
    }
    disk
}

/// Everything that can be read of the directory. Batches whose checksum fails are left out, as a
/// consumer would refuse them.
fn everything(engine: &Engine) -> Result<Content, Error> {
    let mut content = Content::new();
    for topic in engine.topics()?.iter() {
        for number in 0..topic.partition_count() {
            let id = TopicPartition::new(topic.name.clone(), number);
            let _ = read_all(engine, &id, &mut content);
        }
    }
    let _ = engine.committed_offsets("g");
    Ok(content)
}

fn read_all(engine: &Engine, id: &TopicPartition, content: &mut Content) -> Result<(), Error> {
    let partition = engine.partition(id)?;
    for timestamp in [0, 1, 30_000, 59_000, i64::MAX] {
        let _ = partition.offset_for_time(timestamp);
    }
    let ends = partition.ends()?;
    let _ = partition.aborted(0, i64::MAX);
    let mut cursor = Cursor::new(ends.log_start_offset);
    loop {
        let chunk = partition.read(&mut cursor, 500, IsolationLevel::ReadUncommitted)?;
        if chunk.bytes.is_empty() {
            return Ok(());
        }
        let mut rest = chunk.bytes;
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).expect("framed batches parse").size;
            let bytes = rest.split_to(size);
            if verify(&bytes).is_err() {
                continue;
            }
            let Ok(batch) = Batch::decode(bytes, 1 << 20) else { continue };
            for record in batch.records().map_while(Result::ok) {
                let value = record.value.unwrap_or_default().to_vec();
                content.insert((id.clone(), record.offset), value);
            }
        }
    }
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) -> &'static str {
    let at = dice.below(bytes.len());
    match dice.below(5) {
        0 if !bytes.is_empty() => {
            bytes[at] ^= 1 << dice.below(8);
            "a bit flipped"
        }
        1 => {
            bytes.truncate(at);
            "cut"
        }
        2 => {
            let end = bytes.len().min(at + 512);
            bytes[at..end].fill(0);
            "zeros in it"
        }
        3 => {
            let copy = bytes[at..].to_vec();
            bytes.extend(copy);
            "its end twice"
        }
        _ => {
            let noise: Vec<u8> = (0..=dice.below(64)).map(|_| dice.below(256) as u8).collect();
            let end = bytes.len().min(at + noise.len());
            bytes.splice(at..end, noise);
            "noise in it"
        }
    }
}

fn open_mem(disk: &MemDisk, read_only: bool) -> Result<Arc<Engine>, Error> {
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    Engine::open(Path::new("/data"), options, disk.env())
}

/// Whether the damage lies in what the checksum of a batch does not cover: its base offset, length
/// and leader epoch. An offset that is wrong within its segment cannot be told, as in Kafka.
fn changes_an_offset(whole: &[u8], damaged: &[u8]) -> bool {
    let mut at = 0;
    while let Ok(info) = BatchInfo::parse(&whole[at..]) {
        let field = at..at + 8;
        if damaged.get(field.clone()).is_some_and(|now| *now != whole[field]) {
            return true;
        }
        at += info.size;
    }
    false
}

fn chosen_before(whole: &[(PathBuf, Vec<u8>)], name: &Path) -> usize {
    whole.iter().position(|(known, _)| known == name).unwrap()
}

/// Damages one file a round, with the marker of a clean shutdown and without.
#[test]
fn no_damage_gives_wrong_records() {
    const ROUNDS: usize = 400;
    let seed = std::env::var("SEED").map_or_else(|_| random::u128() as u64, |s| s.parse().unwrap());
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let whole = files(sample().path());
    let expected = everything(&open_mem(&disk_with(&whole), true).unwrap()).unwrap();
    assert!(expected.len() > 100);

    for round in 0..ROUNDS {
        let mut files = whole.clone();
        if dice.below(2) == 0 {
            files.retain(|(name, _)| !name.ends_with(".kafka_cleanshutdown"));
        }
        let chosen = dice.below(files.len());
        let (name, bytes) = &mut files[chosen];
        let what = format!("{}: {}", name.display(), damage(&mut dice, bytes));
        let uncovered = name.extension().is_some_and(|suffix| suffix == "log")
            && changes_an_offset(&whole[chosen_before(&whole, name)].1, bytes);
        for read_only in [true, false] {
            let disk = disk_with(&files);
            let Ok(engine) = open_mem(&disk, read_only) else { continue };
            for (key, value) in everything(&engine).unwrap_or_default() {
                let known = if uncovered {
                    expected.iter().any(|(id, known)| id.0 == key.0 && *known == value)
                } else {
                    expected.get(&key) == Some(&value)
                };
                assert!(known, "{what}, {key:?}; round {round}, SEED={seed}");
            }
        }
    }
}
