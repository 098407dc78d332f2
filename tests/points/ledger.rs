//! What was acknowledged, and whether the directory has it.

use std::collections::{BTreeMap, BTreeSet};

use brokerless::engine::{Cursor, Engine, Partition};
use brokerless::record::{Batch, BatchInfo};
use brokerless::{IsolationLevel, TopicPartition};

use crate::worker::{FLEETING, GROUP, PARTITIONS, SOLO, STREAM, TABLE, TENDED, batch, orders};

const OFFSETS: &str = "__consumer_offsets";

/// What one process has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Records in each partition of `orders`.
    written: BTreeMap<i32, u64>,
    /// The last value in the table.
    table: Option<u64>,
    /// By topic whose records go: the offset and number of its last record in it.
    passing: BTreeMap<String, (i64, u64)>,
    /// Where the stream starts at least.
    started: i64,
    /// The last commit for its own group.
    solo: i64,
    /// What is committed for the group that it looks after, 0 for nothing, if that is known.
    tended: Option<i64>,
    /// Own topics that are there, those that are not, and the rest.
    topics: BTreeMap<String, &'static str>,
}

/// What all processes have said.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    by: BTreeMap<String, Said>,
    /// The highest offset that a member has committed, by partition.
    members: BTreeMap<i32, i64>,
    /// Offsets may have expired.
    offsets_expire: bool,
}

impl Ledger {
    pub(crate) fn new(offsets_expire: bool) -> Self {
        Self { offsets_expire, ..Self::default() }
    }

    /// Notes what `name` said before it ended, and tells whether it came to its end.
    pub(crate) fn note(&mut self, name: &str, lines: &[String]) -> bool {
        let said = self.by.entry(name.to_owned()).or_default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["append", number, end] => {
                    said.written.insert(number.parse().unwrap(), end.parse().unwrap());
                }
                ["table", value] => said.table = Some(value.parse().unwrap()),
                ["passing", topic, offset, number] => {
                    let last = (offset.parse().unwrap(), number.parse().unwrap());
                    said.passing.insert(topic.to_owned(), last);
                }
                ["started", offset] => said.started = offset.parse().unwrap(),
                ["solo", offset] => said.solo = offset.parse().unwrap(),
                ["tended", offset] => said.tended = offset.parse().ok(),
                ["member", number, offset] => {
                    let highest = self.members.entry(number.parse().unwrap()).or_default();
                    *highest = (*highest).max(offset.parse().unwrap());
                }
                ["made", topic] => drop(said.topics.insert(topic.to_owned(), "there")),
                ["deleting", topic] => drop(said.topics.insert(topic.to_owned(), "unknown")),
                ["deleted", topic] => drop(said.topics.insert(topic.to_owned(), "gone")),
                ["ready" | "survived"] => {}
                _ => panic!("{name} says {line}"),
            }
        }
        lines.last().is_some_and(|line| line == "survived")
    }

    /// Looks at all that is in the directory; `Err` says what is wrong.
    pub(crate) fn check(&self, engine: &Engine) -> Result<u64, String> {
        let records = self.check_orders(engine)?;
        self.check_table(engine)?;
        self.check_passing(engine)?;
        self.check_topics(engine)?;
        Self::check_settings(engine)?;
        if !self.offsets_expire {
            self.check_commits(engine)?;
        }
        use_topics(engine);
        Ok(records)
    }

    fn check_orders(&self, engine: &Engine) -> Result<u64, String> {
        // By writer: the records of each partition.
        let mut found: BTreeMap<String, BTreeMap<i32, u64>> = BTreeMap::new();
        let mut records = 0;
        for number in 0..PARTITIONS {
            for (at, record) in (0..).zip(read(engine, &orders(number))?) {
                let (writer, sequence) = record.value.split_once(' ').ok_or("strange record")?;
                if writer == "check" {
                    continue;
                }
                let next = found.entry(writer.into()).or_default().entry(number).or_default();
                if record.offset != at || sequence != next.to_string() {
                    return Err(format!("{record:?} at {at}, {next} was to come"));
                }
                *next += 1;
                records += 1;
            }
        }
        let none = BTreeMap::new();
        for (name, said) in &self.by {
            let found = found.get(name).unwrap_or(&none);
            check_writer(name, &said.written, found)?;
        }
        Ok(records)
    }

    /// The last value of each key is there, and offsets ascend.
    fn check_table(&self, engine: &Engine) -> Result<(), String> {
        let mut last = -1;
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for record in read(engine, &TopicPartition::new(TABLE, 0))? {
            if record.offset <= last {
                return Err(format!("{} after {last} in the table", record.offset));
            }
            last = record.offset;
            let value = record.value.split(' ').next().unwrap_or_default();
            let Ok(value) = value.parse() else { continue };
            found.insert(record.key.clone(), value);
        }
        for (name, said) in &self.by {
            let Some(last) = said.table else { continue };
            for value in last.saturating_sub(2)..=last {
                let there = found.get(&format!("{name} {}", value % 3));
                // The next one may be there without having been acknowledged.
                if there != Some(&value) && there != Some(&(value + 3)) {
                    return Err(format!("value {value} of {name}: {there:?} is there"));
                }
            }
        }
        Ok(())
    }

    /// From where the log starts all is there, one record behind the other.
    fn check_passing(&self, engine: &Engine) -> Result<(), String> {
        for topic in [STREAM, FLEETING] {
            let id = TopicPartition::new(topic, 0);
            let ends = engine.partition(&id).and_then(|it| it.ends());
            let start = ends.map_err(|error| error.to_string())?.log_start_offset;
            let mut found = BTreeMap::new();
            for (at, record) in (start..).zip(read(engine, &id)?) {
                if record.offset != at {
                    return Err(format!("{record:?} of {topic} where {at} was to come"));
                }
                found.insert(at, record.value);
            }
            for (name, said) in &self.by {
                let last = said.passing.get(topic).filter(|(offset, _)| *offset >= start);
                if let Some((offset, number)) = last
                    && found.get(offset) != Some(&format!("{name} {number}"))
                {
                    return Err(format!("{topic} has no {number} of {name} at {offset}"));
                }
                if topic == STREAM && start < said.started {
                    return Err(format!("{topic} starts at {start}, not {}", said.started));
                }
            }
        }
        Ok(())
    }

    fn check_topics(&self, engine: &Engine) -> Result<(), String> {
        let topics = engine.topics().map_err(|error| error.to_string())?;
        for (name, due) in self.by.values().flat_map(|said| &said.topics) {
            let there = topics.get(name).is_some();
            if (there && *due == "gone") || (!there && *due == "there") {
                return Err(format!("topic {name} should be {due}"));
            }
        }
        Ok(())
    }

    /// Those that are changed together are the same.
    fn check_settings(engine: &Engine) -> Result<(), String> {
        let topics = engine.topics().map_err(|error| error.to_string())?;
        let directory = engine.config();
        let topics = topics.iter().map(|topic| &topic.config.given);
        for given in topics.chain([&directory.given]) {
            for [one, two] in [
                ["local.retention.ms", "local.retention.bytes"],
                ["log.local.retention.ms", "log.local.retention.bytes"],
            ] {
                if given.get(one) != given.get(two) {
                    return Err(format!("{one} and {two} differ: {given:?}"));
                }
            }
        }
        Ok(())
    }

    fn check_commits(&self, engine: &Engine) -> Result<(), String> {
        for (name, said) in &self.by {
            let group = format!("{SOLO}-{name}");
            let all = engine.committed_offsets(&group).map_err(|error| error.to_string())?;
            let found = all.get(&orders(0)).map_or(0, |commit| commit.offset);
            // One that was refused or broken off may be there.
            if found < said.solo {
                return Err(format!("{name} committed {}, found is {found}", said.solo));
            }
            check_tended(engine, name, said.tended)?;
        }
        let all = engine.committed_offsets(GROUP).map_err(|error| error.to_string())?;
        for (number, least) in &self.members {
            let found = all.get(&orders(*number)).map_or(0, |commit| commit.offset);
            if found < *least {
                return Err(format!("{least} was committed for {number}, found is {found}"));
            }
        }
        check_order_of_commits(engine)
    }
}

/// All that was acknowledged is there, and at most one batch of two records more.
fn check_writer(
    name: &str,
    said: &BTreeMap<i32, u64>,
    found: &BTreeMap<i32, u64>,
) -> Result<(), String> {
    let mut more = 0;
    for number in 0..PARTITIONS {
        let said = said.get(&number).copied().unwrap_or(0);
        let found = found.get(&number).copied().unwrap_or(0);
        if found < said {
            return Err(format!("{name}: {said} in {number} were acknowledged, {found} are there"));
        }
        more += found - said;
    }
    if more != 0 && more != 2 {
        return Err(format!("{name}: {more} records too many"));
    }
    Ok(())
}

/// What was committed for a group is there, and not what was taken back.
fn check_tended(engine: &Engine, name: &str, due: Option<i64>) -> Result<(), String> {
    let group = format!("{TENDED}-{name}");
    let all = engine.committed_offsets(&group).map_err(|error| error.to_string())?;
    let found = all.get(&orders(0)).map_or(0, |commit| commit.offset);
    match due {
        Some(due) if due != found => Err(format!("{group}: {due} is due, found is {found}")),
        _ => Ok(()),
    }
}

/// In the order of the log, no commit of the group goes back.
fn check_order_of_commits(engine: &Engine) -> Result<(), String> {
    let Some(topic) = engine.topic(OFFSETS).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for number in 0..topic.partition_count() {
        for record in read_raw(engine, &TopicPartition::new(OFFSETS, number))? {
            let ours = [&[0, 1, 0, 1][..], GROUP.as_bytes()].concat();
            let (Some(value), true) = (record.2, record.1.starts_with(&ours)) else { continue };
            let offset = i64::from_be_bytes(*value[2..].first_chunk().ok_or("short value")?);
            let before = last.insert(record.1, offset).unwrap_or(0);
            if offset < before {
                return Err(format!("commit {offset} comes after {before}"));
            }
        }
    }
    Ok(())
}

/// Each topic takes a record, and gives it back.
fn use_topics(engine: &Engine) {
    let names: BTreeSet<_> =
        engine.topics().unwrap().iter().map(|topic| topic.name.clone()).collect();
    for name in names.iter().filter(|name| &***name != OFFSETS) {
        for number in 0..engine.topic(name).unwrap().unwrap().partition_count() {
            let id = TopicPartition::new(name.clone(), number);
            let partition = engine.partition(&id).unwrap();
            let mut record = batch(&[(Some("check"), "check 0".to_owned())]);
            let offset = partition.append(&mut record).unwrap().base_offset;
            assert_eq!(last_offset(&partition), offset, "{id}");
        }
    }
}

fn last_offset(partition: &Partition) -> i64 {
    let end = partition.ends().unwrap().log_end_offset;
    let mut cursor = Cursor::new(end - 1);
    let chunk = partition.read(&mut cursor, 1, IsolationLevel::ReadUncommitted).unwrap();
    BatchInfo::parse(&chunk.bytes).unwrap().last_offset
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// All records of a partition.
pub(crate) fn read(engine: &Engine, id: &TopicPartition) -> Result<Vec<Record>, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let all = read_raw(engine, id)?.into_iter();
    Ok(all
        .map(|(offset, key, value)| Record {
            offset,
            key: text(key),
            value: text(value.unwrap_or_default()),
        })
        .collect())
}

type Raw = (i64, Vec<u8>, Option<Vec<u8>>);

fn read_raw(engine: &Engine, id: &TopicPartition) -> Result<Vec<Raw>, String> {
    let partition = engine.partition(id).map_err(|error| format!("{id}: {error}"))?;
    let start = partition.ends().map_err(|error| format!("{id}: {error}"))?.log_start_offset;
    let mut cursor = Cursor::new(start);
    let mut found = Vec::new();
    loop {
        let chunk = partition.read(&mut cursor, 100_000, IsolationLevel::ReadUncommitted);
        let mut bytes = chunk.map_err(|error| format!("{id}: {error}"))?.bytes;
        if bytes.is_empty() {
            return Ok(found);
        }
        while !bytes.is_empty() {
            let size = BatchInfo::parse(&bytes).map_err(|error| format!("{id}: {error}"))?.size;
            let batch = Batch::decode(bytes.split_to(size), 1 << 20);
            for record in batch.map_err(|error| format!("{id}: {error}"))?.records() {
                let record = record.map_err(|error| format!("{id}: {error}"))?;
                let key = record.key.unwrap_or_default().to_vec();
                found.push((record.offset, key, record.value.map(<[u8]>::to_vec)));
            }
        }
    }
}
