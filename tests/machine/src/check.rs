//! What must be there after a crash.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchInfo, verify};
use brokerless::{IsolationLevel, TopicPartition};

use crate::mounts::Failure;
use crate::work::{GROUP, is_value};

/// What was acknowledged before a moment.
#[derive(Clone, Default)]
pub struct Promised {
    topics: Vec<String>,
    /// By partition: offset, writer, number.
    records: BTreeMap<(String, i32), Vec<(i64, String, u64)>>,
    commits: BTreeMap<(String, i32), i64>,
    count: usize,
}

impl Promised {
    pub fn hear(&mut self, mark: &str) -> Option<()> {
        let words: Vec<&str> = mark.split(' ').collect();
        match words[..] {
            ["topic", topic] => self.topics.push(topic.to_owned()),
            ["record", topic, partition, offset, name, number] => {
                let id = (topic.to_owned(), partition.parse().ok()?);
                let record = (offset.parse().ok()?, name.to_owned(), number.parse().ok()?);
                self.records.entry(id).or_default().push(record);
            }
            ["commit", topic, partition, offset] => {
                let id = (topic.to_owned(), partition.parse().ok()?);
                self.commits.insert(id, offset.parse().ok()?);
            }
            _ => return None,
        }
        self.count += 1;
        Some(())
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

/// What is wrong with a directory after a crash.
pub enum Verdict {
    Right,
    /// Something that was acknowledged is gone.
    Lost(String),
    /// Something is there that should not be.
    Wrong(String),
    /// It does not open, or cannot be read.
    Refused(String),
}

pub fn check(dir: &Path, promised: &Promised) -> Verdict {
    let refused = |error: Failure| Verdict::Refused(error.to_string());
    match look(dir, promised) {
        // A second recovery of what the first has left finds the same.
        Ok((Verdict::Right, first)) => match look(dir, promised) {
            Ok((Verdict::Right, second)) if first == second => Verdict::Right,
            Ok((Verdict::Right, second)) => {
                Verdict::Wrong(format!("opened again it has {second:?}, not {first:?}"))
            }
            Ok((other, _)) => other,
            Err(error) => refused(error),
        },
        Ok((other, _)) => other,
        Err(error) => refused(error),
    }
}

type Ends = Vec<(String, i64)>;

fn look(dir: &Path, promised: &Promised) -> Result<(Verdict, Ends), Failure> {
    let engine = Engine::open(dir, OpenOptions::default(), Env::system())?;
    let mut ends = Ends::new();
    for topic in &promised.topics {
        if engine.topic(topic)?.is_none() {
            return Ok((Verdict::Lost(format!("topic {topic}")), ends));
        }
    }
    for topic in engine.topics()?.iter().filter(|topic| !topic.internal) {
        for number in 0..topic.partition_count() {
            let id = TopicPartition::new(topic.name.clone(), number);
            let found = match read(&engine, &id)? {
                Ok(found) => found,
                Err(wrong) => return Ok((Verdict::Wrong(wrong), ends)),
            };
            let due = promised.records.get(&(topic.name.to_string(), number));
            for (offset, name, number) in due.into_iter().flatten() {
                let there = found.get(*offset as usize);
                if there.is_none_or(|value| !is_value(value, name, *number)) {
                    let what = format!("{id} has {}, not {offset}: {name} {number}", found.len());
                    return Ok((Verdict::Lost(what), ends));
                }
            }
            ends.push((id.to_string(), found.len() as i64));
        }
    }
    let verdict = check_commits(&engine, promised)?;
    Ok((verdict.unwrap_or(Verdict::Right), ends))
}

fn check_commits(engine: &Arc<Engine>, promised: &Promised) -> Result<Option<Verdict>, Failure> {
    let committed = engine.committed_offsets(GROUP)?;
    for ((topic, number), least) in &promised.commits {
        let id = TopicPartition::new(topic.as_str(), *number);
        let found = committed.get(&id).map(|commit| commit.offset);
        if found.is_none_or(|found| found < *least) {
            let what = format!("{id}: committed is {found:?}, not {least}");
            return Ok(Some(Verdict::Lost(what)));
        }
    }
    for (id, commit) in committed {
        let end = engine.partition(&id)?.ends()?.log_end_offset;
        if commit.offset > end {
            let what = format!("{id}: {} is committed, and the log ends at {end}", commit.offset);
            return Ok(Some(Verdict::Wrong(what)));
        }
    }
    Ok(None)
}

/// The values of a partition, or what is wrong with it: offsets are dense, checksums fit, and the
/// records of each writer are in order.
fn read(engine: &Engine, id: &TopicPartition) -> Result<Result<Vec<Vec<u8>>, String>, Failure> {
    let partition = engine.partition(id)?;
    let (mut cursor, mut found) = (Cursor::new(0), Vec::new());
    let mut last = BTreeMap::new();
    loop {
        let mut bytes =
            partition.read(&mut cursor, 1 << 20, IsolationLevel::ReadUncommitted)?.bytes;
        if bytes.is_empty() {
            return Ok(Ok(found));
        }
        while !bytes.is_empty() {
            let batch = bytes.split_to(BatchInfo::parse(&bytes)?.size);
            verify(&batch)?;
            for record in Batch::decode(batch, 1 << 20)?.records() {
                let record = record?;
                if record.offset != found.len() as i64 {
                    return Ok(Err(format!("{id}: {} at {}", record.offset, found.len())));
                }
                let value = record.value.unwrap_or_default();
                let Some((name, number)) = said(value) else {
                    return Ok(Err(format!("{id}: a stranger at {}", record.offset)));
                };
                if last.insert(name.to_owned(), number).is_some_and(|last| last >= number) {
                    return Ok(Err(format!("{id}: {name} {number} once more, or too late")));
                }
                found.push(value.to_vec());
            }
        }
    }
}

fn said(value: &[u8]) -> Option<(&str, u64)> {
    let mut words = value.splitn(3, |byte| *byte == b' ');
    let name = std::str::from_utf8(words.next()?).ok()?;
    let number = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    is_value(value, name, number).then_some((name, number))
}
