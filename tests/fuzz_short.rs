//! A short run of what `fuzz/` does at length: golden batches, mutated at random, into every
//! decoder. The same seeds each time; `BROKERLESS_FUZZ_SEED=N` runs one of them alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;

use std::panic::catch_unwind;

use brokerless::record::{Batch, BatchInfo, codec, verify};
use brokerless::types::Compression;
use bytes::Bytes;

use crate::golden::{batches, folder, names};

const LIMIT: usize = 1 << 18;
const SEEDS: u64 = 12_000;

/// Numbers that lie on the edges of length fields.
const EDGES: [i32; 10] = [0, 1, -1, -2, 6, 127, 128, 65_536, i32::MAX, i32::MIN];

/// Marsaglia's xorshift: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    // Half of the changes go into the headers, where the lengths are.
    let within = if random.below(2) == 0 { bytes.len().min(100) } else { bytes.len() };
    let at = random.below(within);
    match random.below(6) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, random.below(256) as u8),
        4 if at + 4 <= bytes.len() => {
            let edge = EDGES[random.below(EDGES.len())];
            bytes[at..at + 4].copy_from_slice(&edge.to_be_bytes());
        }
        _ => {
            let end = (at + random.below(64)).min(bytes.len());
            bytes.splice(at..at, bytes[at..end].to_vec());
        }
    }
}

/// Makes size and checksum fit, so that what lies behind them is reached.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < 61 {
        return;
    }
    let length = (bytes.len() as i32 - 12).to_be_bytes();
    bytes[8..12].copy_from_slice(&length);
    if bytes[16] == 2 {
        let crc = crc32c::crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&crc);
    }
}

fn decode_everything(bytes: &[u8]) {
    let _ = BatchInfo::parse(bytes);
    let _ = verify(bytes);
    if let Ok(batch) = Batch::decode(Bytes::copy_from_slice(bytes), LIMIT) {
        assert!(batch.data().len() <= LIMIT.max(bytes.len()));
        let read = batch.records().flatten().map(|record| record.headers.iter().count());
        assert!(read.count() <= batch.count());
    }
    let payload = bytes.get(61..).unwrap_or_default();
    for id in 0..5 {
        let codec = Compression::from_id(id).unwrap();
        for bytes in [bytes, payload] {
            if let Ok(out) = codec::decompress(codec, bytes, LIMIT) {
                assert!(out.len() <= LIMIT);
            }
        }
    }
}

fn run(seed: u64, corpus: &[Bytes]) {
    let mut random = Random::new(seed);
    let mut bytes = corpus[random.below(corpus.len())].to_vec();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, &mut random);
    }
    if random.below(4) > 0 {
        repair(&mut bytes);
    }
    decode_everything(&bytes);
}

#[test]
fn no_mutation_of_a_batch_makes_a_decoder_panic_or_exceed_its_limit() {
    let corpus: Vec<_> = names().iter().flat_map(|name| batches(name)).collect();
    assert!(!corpus.is_empty(), "no batches in {}", folder().display());
    let one = std::env::var("BROKERLESS_FUZZ_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        let result = catch_unwind(|| run(seed, &corpus));

        assert!(result.is_ok(), "BROKERLESS_FUZZ_SEED={seed} fails");
    }
}
