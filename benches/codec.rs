//! Kafka's codecs, each beside the crate that does its work.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use brokerless::record::codec::{compress, decompress};
use brokerless::types::Compression;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

/// What an application logs: words and numbers that come again.
fn text(size: usize) -> Vec<u8> {
    let line = |i: u32| {
        let user = i.wrapping_mul(2_654_435_761) % 997;
        format!("2024-05-{:02} INFO request {i} of user {user} took {} us\n", i % 28, i % 7_919)
    };
    let mut text: Vec<u8> = (0..).flat_map(|i| line(i).into_bytes()).take(size).collect();
    text.shrink_to_fit();
    text
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, codec: Compression, bytes: &[u8]) {
    let mut packed = Vec::new();
    compress(codec, None, bytes, &mut packed).expect("any bytes");
    let mut out = Vec::new();
    group.bench_function(format!("{} in", codec.name()), |bencher| {
        bencher.iter(|| {
            out.clear();
            compress(codec, None, black_box(bytes), &mut out)
        });
    });
    group.bench_function(format!("{} out", codec.name()), |bencher| {
        bencher.iter(|| decompress(codec, black_box(&packed), bytes.len()));
    });
}

fn pair<T, U>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut pack: impl FnMut() -> T,
    mut unpack: impl FnMut() -> U,
) {
    group.bench_function(format!("{name} in"), |bencher| bencher.iter(&mut pack));
    group.bench_function(format!("{name} out"), |bencher| bencher.iter(&mut unpack));
}

fn crates(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8]) {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("any bytes")
    };
    let packed = gzip(bytes);
    let gunzip = || {
        let mut out = Vec::with_capacity(bytes.len());
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).map(|_| out)
    };
    pair(group, "flate2", || gzip(black_box(bytes)), gunzip);

    let mut encoder = snap::raw::Encoder::new();
    let packed = encoder.compress_vec(bytes).expect("any bytes");
    let unsnap = || snap::raw::Decoder::new().decompress_vec(&packed);
    pair(group, "snap", || encoder.compress_vec(black_box(bytes)), unsnap);

    let packed = lz4_flex::block::compress(bytes);
    let unlz4 = || lz4_flex::block::decompress(&packed, bytes.len());
    pair(group, "lz4_flex", || lz4_flex::block::compress(black_box(bytes)), unlz4);

    let mut compressor = zstd::bulk::Compressor::new(3).expect("its default level");
    let mut decompressor = zstd::bulk::Decompressor::new().expect("memory");
    let packed = compressor.compress(bytes).expect("any bytes");
    let unzstd = || decompressor.decompress(&packed, bytes.len());
    pair(group, "zstd", || compressor.compress(black_box(bytes)), unzstd);
}

fn codecs(criterion: &mut Criterion) {
    for (name, size) in [("16 KiB", 16 << 10), ("256 KiB", 256 << 10)] {
        let bytes = text(size);
        let mut group = criterion.benchmark_group(format!("codec {name}"));
        group.throughput(Throughput::Bytes(size as u64));
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            ours(&mut group, Compression::from_name(codec).expect("Kafka's"), &bytes);
        }
        group.finish();
        let mut group = criterion.benchmark_group(format!("crate alone {name}"));
        group.throughput(Throughput::Bytes(size as u64));
        crates(&mut group, &bytes);
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = codecs
}
criterion_main!(benches);
