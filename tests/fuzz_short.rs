//! A short run of what `fuzz/` does at length: the committed inputs of each target, and some
//! thousand mutations of them. The same seeds each time; `SEED=N` runs one of them alone.

#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use all of it")]
mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::targets::{TARGETS, Target};

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
    // Half of the changes go to the front, where the lengths are.
    let within = if random.below(2) == 0 { bytes.len().min(100) } else { bytes.len() };
    let at = random.below(within);
    match random.below(6) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at.min(bytes.len()), random.below(256) as u8),
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

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target)
}

/// The committed inputs of a target, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder(target)).unwrap_or_else(|e| panic!("{target}: {e}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutant(seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, &mut random);
    }
    bytes
}

/// The inputs of the corpus and `count` mutations of them.
fn run((name, target): Target, count: u64) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no inputs");
    for bytes in &corpus {
        target(bytes);
    }
    let one = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in one.map_or(0..count, |seed: u64| seed..seed + 1) {
        let bytes = mutant(seed, &corpus);
        let result = catch_unwind(|| target(&bytes));
        assert!(result.is_ok(), "target {name}, SEED={seed} fails");
    }
}

fn is_slow(target: &Target) -> bool {
    matches!(target.0, "directory" | "group_files" | "shared_memory" | "indexes")
}

#[test]
fn no_input_makes_a_decoder_panic_or_exceed_its_limit() {
    for target in TARGETS.iter().filter(|target| !is_slow(target)) {
        run(*target, 1_500);
    }
}

#[test]
fn no_hostile_file_or_memory_makes_an_engine_panic() {
    for target in TARGETS.iter().filter(|target| is_slow(target)) {
        run(*target, 30);
    }
}

#[test]
fn every_target_has_a_file_and_inputs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(root.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(!corpus(name).is_empty(), "{name}");
    }
}

#[test]
#[ignore = "adds the first inputs of each target to tests/data/fuzz"]
fn the_corpus_is_made() {
    for (target, bytes) in targets::seeds::seeds() {
        std::fs::create_dir_all(folder(target)).unwrap();
        let name = format!("{:08x}", crc32c::crc32c(&bytes));
        std::fs::write(folder(target).join(name), bytes).unwrap();
    }
}
