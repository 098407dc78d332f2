//! What a compaction takes of time and memory, beside reading the log once.
//!
//! `cargo bench --bench compaction [records] [keys]`: 10 million and 1 million unless told. The log
//! is on the disk of `$TMPDIR`. Each part runs in a process of its own, whose peak is the system's
//! count of its resident memory, above what it had when the directory was open.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, TopicPartition};
use tempfile::TempDir;

const RECORDS: u64 = 10_000_000;
const KEYS: u64 = 1_000_000;
const IN_BATCH: u64 = 500;
const VALUE: [u8; 100] = [b'v'; 100];
const SEGMENT: &str = "16777216";

const PART: &str = "BROKERLESS_BENCH_PART";
const DIR: &str = "BROKERLESS_BENCH_DIR";

fn main() {
    if let (Ok(part), Ok(dir)) = (env::var(PART), env::var(DIR)) {
        return measure(&part, Path::new(&dir));
    }
    let mut numbers = env::args().filter_map(|arg| arg.parse().ok());
    let (records, keys) = (numbers.next().unwrap_or(RECORDS), numbers.next().unwrap_or(KEYS));
    let dir = TempDir::new().expect("a folder for the log");
    fill(dir.path(), records, keys);
    println!("{records} records, {keys} keys");
    println!("{:<40} {:>10} {:>14} {:>12}", "", "seconds", "peak, MiB", "log, MiB");
    let read = run("read", dir.path());
    let compacted = run("compact", dir.path());
    run("read again", dir.path());
    println!("compaction takes {:.1} times as long as reading the log", compacted / read);
}

fn open(dir: &Path) -> (Arc<Engine>, Arc<Partition>) {
    let engine = Engine::open(dir, OpenOptions::default(), Env::system()).expect("a directory");
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", SEGMENT)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // It may be there.
    let _ = engine.create_topic("table", None, &settings);
    let partition = engine.partition(&TopicPartition::new("table", 0)).expect("a topic");
    (engine, partition)
}

/// Each key as often as any other, in an order without a pattern.
fn fill(dir: &Path, records: u64, keys: u64) {
    let (_engine, partition) = open(dir);
    let mut dice = 1_u64;
    for first in (0..records).step_by(IN_BATCH as usize) {
        let mut builder = BatchBuilder::new(Compression::None, None);
        for number in first..records.min(first + IN_BATCH) {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = format!("key {:09}", (dice >> 33) % keys);
            builder.append(number as i64, Some(key.as_bytes()), Some(&VALUE), &[]);
        }
        partition.append(&mut builder.finish().expect("a batch")).expect("room on the disk");
    }
}

/// Gives the seconds it took.
fn run(part: &str, dir: &Path) -> f64 {
    let me = env::current_exe().expect("this program");
    let output = Command::new(me).env(PART, part).env(DIR, dir).output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [seconds, peak, size] = numbers[..] else { panic!("{part} said {said}") };
    println!("{part:<40} {seconds:>10.2} {peak:>14.1} {size:>12.1}");
    seconds
}

fn measure(part: &str, dir: &Path) {
    let (_engine, partition) = open(dir);
    partition.ends().expect("a log in order");
    let before = peak();
    let began = Instant::now();
    if part == "compact" {
        assert!(partition.compact(1).expect("a compaction"), "there is something to do");
    } else {
        read(&partition);
    }
    let time: Duration = began.elapsed();
    let size = partition.size().expect("a log") >> 20;
    println!("{} {} {size}", time.as_secs_f64(), peak() - before);
}

/// Every record, as a consumer would.
fn read(partition: &Partition) {
    let mut cursor = Cursor::new(0);
    loop {
        let chunk = partition.read(&mut cursor, 1 << 20, IsolationLevel::ReadUncommitted);
        let mut bytes = chunk.expect("a log in order").bytes;
        if bytes.is_empty() {
            return;
        }
        while !bytes.is_empty() {
            let size = BatchInfo::parse(&bytes).expect("a batch").size;
            let batch = Batch::decode(bytes.split_to(size), usize::MAX).expect("a whole batch");
            assert!(batch.records().all(|record| record.is_ok()));
        }
    }
}

/// The most memory that this process had, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
