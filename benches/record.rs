//! Records a second through the batch format: appended, finished, verified, read.

use std::hint::black_box;
use std::time::Duration;

use brokerless::record::{Batch, BatchBuilder, verify};
use brokerless::types::Compression;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 500;
const TIMESTAMP: i64 = 1_600_000_000_000;

/// A header as the builder takes it.
type Header<'a> = (&'a str, Option<&'a [u8]>);

fn fill(builder: &mut BatchBuilder, value: &[u8], headers: &[Header<'_>]) {
    for i in 0..RECORDS {
        let key = (i as u64).to_be_bytes();
        builder.append(TIMESTAMP + i as i64, Some(&key), Some(value), headers);
    }
}

fn batch(value: &[u8], headers: &[Header<'_>]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None);
    fill(&mut builder, value, headers);
    builder.finish().expect("a small batch").into()
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let two: [Header<'_>; 2] = [("trace", Some(b"0123456789abcdef")), ("retry", None)];
    let cases: [(&str, usize, &[Header<'_>]); 3] =
        [("100 B", 100, &[]), ("100 B, two headers", 100, &two), ("1 KiB", 1024, &[])];
    for (name, size, headers) in cases {
        let value = vec![b'v'; size];
        let mut buffer = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let spare = std::mem::take(&mut buffer);
                let mut builder = BatchBuilder::with_buffer(Compression::None, None, spare);
                fill(&mut builder, black_box(&value), headers);
                buffer = builder.into_buffer();
            });
        });
    }
}

fn finish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append and finish");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let value = vec![b'v'; 100];
    let mut buffer = Vec::new();
    group.bench_function("100 B", |bencher| {
        bencher.iter(|| {
            let spare = std::mem::take(&mut buffer);
            let mut builder = BatchBuilder::with_buffer(Compression::None, None, spare);
            fill(&mut builder, black_box(&value), &[]);
            buffer = builder.finish().expect("a small batch");
        });
    });
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let one: [Header<'_>; 1] = [("trace", Some(b"0123456789abcdef"))];
    let cases: [(&str, usize, &[Header<'_>]); 3] =
        [("100 B", 100, &[]), ("100 B, one header", 100, &one), ("1 KiB", 1024, &[])];
    for (name, size, headers) in cases {
        let bytes = batch(&vec![b'v'; size], headers);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let batch = Batch::decode(bytes.clone(), usize::MAX).expect("it was just built");
                batch.records().fold(0, |sum, record| {
                    let record = black_box(record.expect("it was just built"));
                    sum + record.value.map_or(0, <[u8]>::len)
                })
            });
        });
    }
}

fn checksum(criterion: &mut Criterion) {
    let bytes = batch(&[b'v'; 100], &[]);
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("500 x 100 B", |bencher| bencher.iter(|| verify(black_box(&bytes))));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = append, finish, read, checksum
}
criterion_main!(benches);
