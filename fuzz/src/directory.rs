//! A whole directory with hostile bytes in it: one of its files replaced, or words of its shared
//! memory, and everything that can be asked of it asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use brokerless::config::directory;
use brokerless::coord::group::Strategy;
use brokerless::engine::{Cursor, Engine, Join, OpenOptions, Partition};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, Storage};
use brokerless::record::{Batch, BatchBuilder, BatchInfo, verify};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, IsolationLevel, TopicPartition};

/// Where it is.
pub(crate) const DIR: &str = "/data";
/// More than any of the directories holds.
const LIMIT: usize = 1 << 20;
/// Partitions that are looked at; a hostile list of topics may have any number.
const PARTITIONS: i32 = 4;

/// How the directory was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// In good order.
    Closed,
    /// By processes that all died.
    Killed,
    /// By a machine that crashed.
    Crashed,
}

/// Replaces a file and opens the directory. The first byte says how the directory was left and
/// whether it is only read and checksums are corrected, the second which file, the others what is
/// in it.
pub fn directory(bytes: &[u8]) {
    let [how, which, bytes @ ..] = bytes else { return };
    let left = [Left::Closed, Left::Killed, Left::Crashed][usize::from(how % 3)];
    let disk = sample(left).copy();
    let files = files(&disk);
    let (name, _) = &files[usize::from(*which) % files.len()];
    let mut bytes = bytes.to_vec();
    if how / 6 % 2 == 1 && name.extension().is_some_and(|it| it == "log") {
        make_checksums_fit(&mut bytes);
    }
    // Anew: the dead have some of them mapped.
    disk.remove(name).expect("it is there");
    let file = disk.open(name, Access::Write).expect("it was removed");
    file.write_at(0, &bytes).expect("memory takes it");
    drop(file);
    ask_everything(&disk, how / 3 % 2 == 1);
}

/// So that what lies behind the checksum is reached.
fn make_checksums_fit(bytes: &mut [u8]) {
    let mut at = 0;
    while let Ok(info) = BatchInfo::parse(&bytes[at..]) {
        let Some(batch) = bytes.get_mut(at..at + info.size) else { return };
        if info.magic == 2 {
            let crc = crc32c::crc32c(&batch[21..]).to_be_bytes();
            batch[17..21].copy_from_slice(&crc);
        }
        at += info.size;
    }
}

/// Writes words into the shared memory of an open directory, as another process might: each is a
/// place and a value. Then all is asked again.
pub fn shared_memory(bytes: &[u8]) {
    let disk = sample(Left::Closed).copy();
    let Ok(engine) = open(&disk, false) else { return };
    for id in partitions(&engine) {
        let _ = engine.partition(&id).and_then(|partition| partition.ends());
    }
    let path = Path::new(DIR).join(".brokerless-control");
    let maps = [0, 65_536].map(|at| disk.map(&path, at, 8192).expect("it is mapped"));
    for word in bytes.as_chunks::<9>().0 {
        let [place, value @ ..] = word;
        let place = usize::from(*place);
        let map = &maps[usize::from(place >= 32)];
        // 32 words of the header, and the pages of the first partitions.
        let index = if place < 32 { place % 8 } else { place - 32 };
        map.words()[index].store(u64::from_le_bytes(*value), Ordering::SeqCst);
    }
    ask(&engine);
}

/// Writes a hostile state and hostile words into the files of a group that is in use. The first
/// byte says how many words there are.
pub fn group_files(bytes: &[u8]) {
    let [words, bytes @ ..] = bytes else { return };
    let disk = sample(Left::Closed).copy();
    let Ok(engine) = open(&disk, false) else { return };
    let Ok(member) = engine.group("g").and_then(|group| group.join(join())) else { return };
    let (words, state) = bytes.split_at(bytes.len().min(9 * usize::from(words % 8)));
    for (name, _) in files(&disk) {
        let name_ends = |suffix: &str| name.extension().is_some_and(|it| it == suffix);
        if name_ends("live") {
            let map = disk.map(&name, 0, 8192).expect("it is mapped");
            let checksum = crc32c::crc32c(state);
            let place = [0, (state.len() as u64) << 32 | u64::from(checksum)];
            let all = [2, 0, place[0], place[1], place[0], place[1]];
            for (index, value) in all.into_iter().enumerate() {
                map.words()[index].store(value, Ordering::SeqCst);
            }
            for word in words.as_chunks::<9>().0 {
                let [place, value @ ..] = word;
                let value = u64::from_le_bytes(*value);
                map.words()[usize::from(place % 8)].store(value, Ordering::SeqCst);
            }
        } else if name_ends("state") {
            let file = disk.open(&name, Access::Write).expect("it is there");
            file.write_at(0, state).expect("memory takes it");
        }
    }
    let group = member.group();
    let _ = group.processes();
    for seconds in [1, 20] {
        let _ = group.sweep(Duration::from_secs(seconds));
        let _ = member.next();
        let _ = member.take();
        let _ = member.release(&[TopicPartition::new("a", 0)]);
        let _ = member.commit(&commit());
    }
    expire_everything(&engine, i64::MAX / 2);
    let _ = group.join(join()).map(|other| other.leave());
    let _ = member.leave();
}

/// Opens the directory and asks all of it.
pub fn ask_everything(disk: &MemDisk, read_only: bool) {
    if let Ok(engine) = open(disk, read_only) {
        ask(&engine);
    }
}

fn open(disk: &MemDisk, read_only: bool) -> brokerless::Result<Arc<Engine>> {
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    Engine::open(Path::new(DIR), options, disk.env())
}

fn ask(engine: &Arc<Engine>) {
    for id in partitions(engine) {
        let Ok(partition) = engine.partition(&id) else { continue };
        look(&partition);
        if !engine.is_read_only() && partition.append(&mut batch(1, Compression::None)).is_ok() {
            look(&partition);
            let _ = partition.ends().and_then(|ends| partition.sync(ends.log_end_offset));
            let _ = partition.compact(1_800_000_000_000);
            look(&partition);
        }
    }
    let _ = engine.committed_offsets("g");
    let _ = engine.commit_offsets("g", &commit());
    expire_everything(engine, 1_800_000_000_000);
    let _ = engine.doorbell().value();
}

/// The first look only begins to count.
fn expire_everything(engine: &Arc<Engine>, now: i64) {
    for later in [0, 1_000_000] {
        let _ = engine.expire_offsets(now + later);
    }
}

fn partitions(engine: &Engine) -> Vec<TopicPartition> {
    let Ok(topics) = engine.topics() else { return Vec::new() };
    let of = |name: Arc<str>, count: i32| {
        (0..count.min(PARTITIONS)).map(move |number| TopicPartition::new(name.clone(), number))
    };
    topics.iter().flat_map(|topic| of(topic.name.clone(), topic.partition_count())).collect()
}

fn look(partition: &Partition) {
    for timestamp in [i64::MIN, 0, 30_000, i64::MAX] {
        let _ = partition.offset_for_time(timestamp);
    }
    let _ = partition.leader_epoch();
    let _ = partition.aborted(0, i64::MAX);
    let Ok(ends) = partition.ends() else { return };
    for isolation in [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted] {
        let mut cursor = Cursor::new(ends.log_start_offset);
        while let Ok(chunk) = partition.read(&mut cursor, 700, isolation) {
            if chunk.bytes.is_empty() {
                break;
            }
            decode(chunk.bytes);
        }
    }
}

fn decode(mut bytes: bytes::Bytes) {
    while !bytes.is_empty() {
        let size = BatchInfo::parse(&bytes).expect("framed batches parse").size;
        let batch = bytes.split_to(size);
        let _ = verify(&batch);
        if let Ok(batch) = Batch::decode(batch, LIMIT) {
            assert!(batch.records().flatten().count() <= batch.count());
        }
    }
}

/// A small directory with every kind of file, as it was left.
pub fn sample(left: Left) -> &'static MemDisk {
    static SAMPLES: [OnceLock<MemDisk>; 3] = [const { OnceLock::new() }; 3];
    SAMPLES[left as usize].get_or_init(|| make(left).expect("a healthy directory"))
}

fn make(left: Left) -> brokerless::Result<MemDisk> {
    let disk = MemDisk::new();
    let properties = Path::new(DIR).join(directory::FILE);
    disk.create_dir(Path::new(DIR)).expect("an empty disk");
    let file = disk.open(&properties, Access::Write).expect("an empty disk");
    file.write_at(0, b"offsets.topic.num.partitions=1\n").expect("memory takes it");
    let owner = disk.process();
    let engine = open(&owner, false)?;
    let settings = [("segment.bytes", "900"), ("index.interval.bytes", "150")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("a", Some(2), &settings)?;
    let compacted = [("cleanup.policy", "compact"), ("segment.bytes", "400")];
    let compacted = compacted.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("c", Some(1), &compacted)?;
    for (n, codec) in (0..24_i64).zip(codecs().into_iter().cycle()) {
        for id in partitions(&engine).iter().filter(|id| &*id.topic != "__consumer_offsets") {
            engine.partition(id)?.append(&mut batch(n * 1000, codec))?;
        }
        if n % 6 == 0 {
            engine.commit_offsets("g", &commit())?;
        }
    }
    match left {
        Left::Closed => drop(engine),
        Left::Killed => owner.kill(),
        Left::Crashed => return Ok(disk.after_crash(1)),
    }
    Ok(disk)
}

fn codecs() -> [Compression; 5] {
    use Compression::{Gzip, Lz4, None, Snappy, Zstd};
    [None, Gzip, Lz4, Snappy, Zstd]
}

/// Two records of an idempotent producer.
fn batch(timestamp: i64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, None);
    builder.set_producer(7, 0, (timestamp / 500) as i32);
    let value = format!("value {timestamp}");
    builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[("h", None)]);
    builder.append(timestamp + 1, Some(&[timestamp as u8]), None, &[]);
    builder.finish().expect("a small batch")
}

fn commit() -> [(TopicPartition, OffsetAndMetadata); 1] {
    let commit = OffsetAndMetadata { offset: 3, metadata: "m".to_owned(), leader_epoch: 0 };
    [(TopicPartition::new("a", 0), commit)]
}

/// What a member of group `g` says.
pub(crate) fn join() -> Join {
    Join {
        client_id: "c".to_owned(),
        instance_id: None,
        topics: vec!["a".to_owned()],
        strategies: vec![Strategy { name: "range".into(), own: false, user_data: Vec::new() }],
        cooperative: false,
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
    }
}

/// The files of the directory, and what is in them, by name.
pub fn files(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).expect("it is there") {
            let path = folder.join(entry.name);
            if entry.is_dir {
                folders.push(path);
                continue;
            }
            let file = disk.open(&path, Access::Read).expect("it is there");
            let mut bytes = vec![0; file.len().expect("it is open") as usize];
            file.read_at(0, &mut bytes).expect("memory gives it");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
