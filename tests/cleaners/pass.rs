//! What one pass over a log gave, and whether it may be so.

use std::collections::{BTreeMap, HashMap};

use brokerless::record::Record;

use crate::writer::key;

/// Which record stands at an offset, as somebody saw it once: its writer and number.
pub(crate) type Memory = HashMap<i64, (String, u64)>;

/// From the start of a log, or where a reader was sent, to its end.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Whether no offset is passed over.
    dense: bool,
    /// The offset that is due.
    next: i64,
    /// Of each writer the number that was seen last,
    newest: BTreeMap<String, u64>,
    /// and the first one since records were found to be gone.
    since: BTreeMap<String, u64>,
    /// The last number of each key.
    last: HashMap<String, u64>,
}

impl Pass {
    pub(crate) fn new(dense: bool, from: i64) -> Self {
        let (newest, since) = (BTreeMap::new(), BTreeMap::new());
        Self { dense, next: from, newest, since, last: HashMap::new() }
    }

    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// What is before `start` is gone.
    pub(crate) fn jump(&mut self, start: i64) {
        assert!(start > self.next, "{} is there, as {start}", self.next);
        self.next = start;
        self.since.clear();
    }

    /// The next record.
    pub(crate) fn take(&mut self, record: &Record<'_>, memory: &mut Memory) {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let (found, value) = (text(record.key), text(record.value));
        let (writer, number) = value.split_once(' ').unwrap();
        let (writer, number) = (writer.to_owned(), number.parse().unwrap());
        let offset = record.offset;
        assert_eq!(found, key(&writer, number), "at {offset}");
        let fits = if self.dense { offset == self.next } else { offset >= self.next };
        assert!(fits, "{offset} came where {} was due", self.next);
        let before = memory.entry(offset).or_insert_with(|| (writer.clone(), number));
        assert_eq!(*before, (writer.clone(), number), "at {offset}");
        if let Some(newest) = self.newest.get(&writer) {
            let follows = self.dense && self.since.contains_key(&writer);
            assert!(number > *newest && (!follows || number == newest + 1), "{number}, {newest}");
        }
        self.since.entry(writer.clone()).or_insert(number);
        self.newest.insert(writer, number);
        self.last.insert(found, number);
        self.next = offset + 1;
    }

    /// At the end of the log: of each key the last record was there. Gives the last number of each
    /// writer.
    pub(crate) fn end(self, memory: &Memory) -> BTreeMap<String, u64> {
        for (writer, newest) in &self.newest {
            let Some(since) = self.since.get(writer) else { continue };
            let mut due = HashMap::new();
            for number in 0..=*newest {
                due.insert(key(writer, number), number);
            }
            let mut missing: Vec<_> = due
                .iter()
                .filter(|(key, number)| *number >= since && self.last.get(*key) != Some(number))
                .collect();
            missing.sort_unstable_by_key(|(_, number)| *number);
            let seen = |number: u64| memory.iter().find(|(_, it)| **it == (writer.clone(), number));
            let missing: Vec<_> = missing.iter().map(|it| (it.0, seen(*it.1))).collect();
            assert!(
                missing.is_empty(),
                "since {since}, up to {newest}: {missing:?} were seen once"
            );
        }
        self.newest
    }
}
