//! The log beside a bare loop that does only what cannot be left out: encode, checksum, write;
//! and read, checksum, parse.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo, verify};
use brokerless::{Compression, IsolationLevel, TopicPartition};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 500;

fn batch(buffer: Vec<u8>, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::with_buffer(Compression::None, None, buffer);
    for n in 0..RECORDS {
        builder.append(1_600_000_000_000 + n as i64, Some(b"key"), Some(value), &[]);
    }
    builder.finish().expect("a batch below 2 GiB")
}

/// The engine stays open for as long as it is kept.
fn open(dir: &Path) -> (Arc<Engine>, Arc<Partition>) {
    let engine = Engine::open(dir, OpenOptions::default(), Env::system()).expect("a new directory");
    engine.topic_or_create("orders").expect("a valid name");
    let partition = engine.partition(&TopicPartition::new("orders", 0));
    (engine, partition.expect("the topic's first partition"))
}

/// A file that is begun again before it is large, so that the page cache stays the same.
struct Bare {
    file: File,
    position: u64,
}

impl Bare {
    fn write(&mut self, batch: &[u8]) {
        if self.position > 1 << 30 {
            self.file.set_len(0).expect("a file of our own");
            self.position = 0;
        }
        self.file.write_all_at(batch, self.position).expect("space on the disk");
        self.position += batch.len() as u64;
    }
}

fn append(criterion: &mut Criterion) {
    for (name, size) in [("100 B", 100), ("1 KiB", 1024)] {
        let mut group = criterion.benchmark_group(format!("append {RECORDS} x {name}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        let value = vec![b'v'; size];
        let dir = tempfile::tempdir().expect("a folder");
        let file = File::create(dir.path().join("bare")).expect("a file");
        let mut bare = Bare { file, position: 0 };
        let mut buffer = Vec::new();
        group.bench_function("bare loop", |bencher| {
            bencher.iter(|| {
                buffer = batch(std::mem::take(&mut buffer), black_box(&value));
                bare.write(&buffer);
            });
        });
        group.bench_function("log", |bencher| {
            // A log is not begun again: a new one for each round keeps the disk from filling.
            let dir = tempfile::tempdir().expect("a folder");
            let (_engine, partition) = open(dir.path());
            bencher.iter(|| {
                buffer = batch(std::mem::take(&mut buffer), black_box(&value));
                partition.append(&mut buffer).expect("an append");
            });
        });
    }
}

fn durable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append and sync 500 x 100 B");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let value = vec![b'v'; 100];
    let dir = tempfile::tempdir().expect("a folder");
    let mut bare =
        Bare { file: File::create(dir.path().join("bare")).expect("a file"), position: 0 };
    group.bench_function("bare loop", |bencher| {
        bencher.iter_batched(
            || batch(Vec::new(), &value),
            |batch| {
                bare.write(&batch);
                bare.file.sync_data().expect("a sync");
            },
            BatchSize::SmallInput,
        );
    });
    let (_engine, partition) = open(&dir.path().join("data"));
    group.bench_function("log", |bencher| {
        bencher.iter_batched(
            || batch(Vec::new(), &value),
            |mut batch| {
                let appended = partition.append(&mut batch).expect("an append");
                partition.sync(appended.end_offset).expect("a sync");
            },
            BatchSize::SmallInput,
        );
    });
}

const BATCHES: usize = 2000;

fn count(batch: Bytes) -> usize {
    verify(&batch).expect("a whole batch");
    let batch = Batch::decode(batch, usize::MAX).expect("a whole batch");
    batch.records().map(|record| record.expect("a record").value.map_or(0, <[u8]>::len)).sum()
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read 500 x 100 B");
    group.throughput(Throughput::Elements((BATCHES * RECORDS) as u64));
    let dir = tempfile::tempdir().expect("a folder");
    let (_engine, partition) = open(dir.path());
    let template = batch(Vec::new(), &[b'v'; 100]);
    for _ in 0..BATCHES {
        partition.append(&mut template.clone()).expect("an append");
    }
    let path = dir.path().join("orders-0/00000000000000000000.log");
    let len = template.len();
    group.bench_function("bare loop", |bencher| {
        let file = File::open(&path).expect("the segment");
        let mut buffer = vec![0; len];
        bencher.iter(|| {
            let mut bytes = 0;
            for n in 0..BATCHES {
                file.read_exact_at(&mut buffer, (n * len) as u64).expect("a batch");
                let shared = Bytes::from(std::mem::take(&mut buffer));
                bytes += count(shared.clone());
                buffer = shared.into();
            }
            bytes
        });
    });
    group.bench_function("log", |bencher| {
        bencher.iter(|| {
            let mut cursor = Cursor::new(0);
            let mut bytes = 0;
            loop {
                let isolation = IsolationLevel::ReadUncommitted;
                let mut chunk =
                    partition.read(&mut cursor, 1 << 20, isolation).expect("a read").bytes;
                if chunk.is_empty() {
                    return bytes;
                }
                while !chunk.is_empty() {
                    let size = BatchInfo::parse(&chunk).expect("a batch").size;
                    bytes += count(chunk.split_to(size));
                }
            }
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = append, durable, read
}
criterion_main!(benches);
