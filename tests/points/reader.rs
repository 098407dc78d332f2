//! A process that reads beside the others, and remembers what it saw.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brokerless::engine::{Cursor, Partition};
use brokerless::record::{Batch, BatchInfo};
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{Deadline, Process, arg, say};
use crate::worker::{FLEETING, PARTITIONS, STREAM, open, orders};

/// How far one partition was read, and what that adds up to.
struct Reading {
    partition: Arc<Partition>,
    cursor: Cursor,
    sum: u32,
}

/// Reads what is appended, batch by batch, until it is told to stop; then reads all again.
pub(crate) fn reader() {
    let engine = open(Path::new(&arg("dir")));
    let stop = PathBuf::from(arg("stop"));
    let partition = |number| engine.partition(&orders(number)).unwrap();
    let mut readings: Vec<_> = (0..PARTITIONS).map(|n| Reading::new(partition(n))).collect();
    let stream = |topic| engine.partition(&TopicPartition::new(topic, 0)).unwrap();
    let mut streams: Vec<_> = [STREAM, FLEETING].map(|topic| Reading::new(stream(topic))).into();
    say("ready");
    while !stop.exists() {
        for reading in &mut readings {
            reading.read(i64::MAX);
        }
        for stream in &mut streams {
            stream.follow();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    for reading in &readings {
        let mut again = Reading::new(reading.partition.clone());
        again.read(reading.cursor.offset());
        assert_eq!(again.cursor.offset(), reading.cursor.offset());
        assert_eq!(again.sum, reading.sum, "what was read is still there");
    }
    say("unchanged");
}

impl Reading {
    fn new(partition: Arc<Partition>) -> Self {
        Self { partition, cursor: Cursor::new(0), sum: 0 }
    }

    /// Reads on, to before `end`.
    fn read(&mut self, end: i64) {
        while self.cursor.offset() < end && self.step().unwrap() {}
    }

    /// Reads on to the end, from the start where what comes next is gone.
    fn follow(&mut self) {
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Error::OffsetOutOfRange { offset, start, .. }) => {
                    assert!(start > offset, "{offset} was published");
                    self.cursor = Cursor::new(start);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads a batch, if there is one.
    fn step(&mut self) -> Result<bool, Error> {
        let due = self.cursor.offset();
        let isolation = IsolationLevel::ReadUncommitted;
        let bytes = self.partition.read(&mut self.cursor, 1, isolation)?.bytes;
        if bytes.is_empty() {
            return Ok(false);
        }
        let size = BatchInfo::parse(&bytes).unwrap().size;
        assert_eq!(size, bytes.len(), "one batch, and all of it");
        // The checksum fits, or it is an error.
        let batch = Batch::decode(bytes.clone(), 1 << 20).unwrap();
        let offsets: Vec<_> = batch.records().map(|record| record.unwrap().offset).collect();
        let expected: Vec<_> = (due..self.cursor.offset()).collect();
        assert_eq!(offsets, expected, "offsets are dense");
        self.sum = crc32c::crc32c_append(self.sum, &bytes);
        Ok(true)
    }
}

/// Such a process, as the test sees it.
pub(crate) struct Watch {
    process: Process,
    stop: PathBuf,
}

impl Watch {
    pub(crate) fn start(data: &Path) -> Self {
        let stop = data.with_file_name("stop");
        let _ = std::fs::remove_file(&stop);
        let args = [("dir", data.to_str().unwrap()), ("stop", stop.to_str().unwrap())];
        let mut process = Process::start("reader", &args);
        assert_eq!(process.hear(), "ready");
        Self { process, stop }
    }

    /// Asks it whether what it saw is still there.
    pub(crate) fn end(mut self) {
        std::fs::write(&self.stop, "").unwrap();
        assert_eq!(self.process.rest(Deadline::far()), ["unchanged"]);
        self.process.finish();
    }
}
