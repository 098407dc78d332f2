//! Whatever an index says, the same records are found as without it.

use std::path::Path;
use std::sync::Arc;

use crate::config::TopicConfig;
use crate::env::mem::MemDisk;
use crate::env::{Access, Storage};
use crate::log::segment::{Segment, TimedOffset};
use crate::log::tail::Tail;
use crate::record::{BatchBuilder, BatchInfo, stamp};
use crate::types::Compression;

const BASE: i64 = 1000;
const BATCHES: i64 = 40;

/// Puts `bytes` into the index of offsets or of timestamps, as the first one says, and looks for
/// every offset and every timestamp.
pub fn indexes(bytes: &[u8]) {
    let [which, bytes @ ..] = bytes else { return };
    let suffix = if which % 2 == 0 { "index" } else { "timeindex" };
    let (disk, end) = segment();
    let found = answers(&disk, end);
    let name = format!("/{BASE:020}.{suffix}");
    let file = disk.open(Path::new(&name), Access::Write).expect("a disk in memory");
    file.set_len(0).and_then(|()| file.write_at(0, bytes)).expect("memory takes it");
    assert_eq!(answers(&disk, end), found);
}

/// The two indexes as they should be.
pub fn index_files() -> [Vec<u8>; 2] {
    let (disk, _) = segment();
    ["index", "timeindex"].map(|suffix| {
        let path = format!("/{BASE:020}.{suffix}");
        let file = disk.open(Path::new(&path), Access::Read).expect("it is there");
        let mut bytes = vec![0; file.len().expect("it is open") as usize];
        file.read_at(0, &mut bytes).expect("memory gives it");
        bytes
    })
}

/// A segment on a disk, and how long it is. No two batches have one timestamp.
fn segment() -> (MemDisk, u64) {
    let disk = MemDisk::new();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let segment = Segment::create(&storage, Path::new("/"), BASE).expect("memory takes it");
    let config = TopicConfig { index_interval_bytes: 300, ..TopicConfig::default() };
    let mut tail = Tail::empty(BASE);
    for n in 0..BATCHES {
        let batch = batch(n, tail.end_offset);
        let info = BatchInfo::parse(&batch).expect("a batch that was just built");
        tail = segment.append(&tail, &info, &batch, &config).expect("memory takes it");
    }
    segment.note_time(&mut tail).expect("memory takes it");
    (disk, tail.end_position)
}

/// One to three records; every fifth batch is older than those before it.
fn batch(n: i64, offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    let timestamp = if n % 5 == 4 { n * 10 - 60 } else { n * 10 };
    for record in 0..=n % 3 {
        builder.append(timestamp + record, None, Some(&[7; 20]), &[]);
    }
    let mut batch = builder.finish().expect("a small batch");
    stamp(&mut batch, offset, 0);
    batch
}

type Answers = (Vec<u64>, Vec<Option<TimedOffset>>);

fn answers(disk: &MemDisk, end: u64) -> Answers {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let segment = Segment::open(&storage, Path::new("/"), BASE, false).expect("it is there");
    let position = |offset| segment.find(offset, end).expect("the log is whole");
    let time = |timestamp| {
        let passed = segment.is_older_than(timestamp, end).expect("the log is whole");
        let found = segment.find_time(timestamp, 0, end, usize::MAX).expect("the log is whole");
        found.filter(|_| !passed)
    };
    let positions = (BASE - 1..BASE + 2 * BATCHES + 2).map(position).collect();
    (positions, (-2..10 * BATCHES + 12).step_by(3).map(time).collect())
}
