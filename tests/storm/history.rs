//! What a member writes down: a line an event, one write each, so that a kill leaves whole lines.
//!
//! The times are of one clock, which all processes of a machine share.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::TopicPartition;
use brokerless::env::{Clock, Env};

/// Offsets by partition: positions, or what is committed.
pub(crate) type Offsets = Vec<(TopicPartition, i64)>;

/// Something that happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// From here on it owns these, in this generation.
    Assigned { generation: i32, partitions: Vec<TopicPartition> },
    /// It was told to give these up, and had them when the poll began that told so: that is when
    /// this happened.
    Revoked(Vec<TopicPartition>),
    /// It is about to give these back.
    Released(Vec<TopicPartition>),
    /// It has learned that these are not its any more.
    Lost(Vec<TopicPartition>),
    /// It was given the records from an offset up to another.
    Polled { partition: TopicPartition, from: i64, to: i64 },
    /// It is about to commit, for the n-th time.
    Commit { number: u64, offsets: Offsets },
    /// It is about to commit what it does not own any more, which must not succeed.
    Stray(u64),
    /// That commit has succeeded.
    Committed(u64),
    /// That commit was refused.
    Refused { number: u64, why: String },
    /// Another has its `group.instance.id`.
    Fenced,
    /// It has left in good order.
    Left,
    /// What should not happen.
    Failed(String),
}

/// When, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

/// The file of one member.
pub(crate) struct History {
    file: File,
    clock: Arc<dyn Clock>,
}

impl History {
    pub(crate) fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Self { file, clock: Env::system().clock }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn write(&mut self, what: What) {
        self.write_at(self.now(), what);
    }

    pub(crate) fn write_at(&mut self, at: Duration, what: What) {
        let line = Event { at, what }.to_line();
        self.file.write_all(line.as_bytes()).unwrap();
    }
}

/// Everything a member wrote; a line without an end was cut by a kill.
pub(crate) fn read(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Event::parse(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
}

impl Event {
    pub(crate) fn to_line(&self) -> String {
        format!("{} {}\n", self.at.as_nanos(), self.what.to_text())
    }

    fn parse(line: &str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let what = match kind {
            "assigned" => {
                let (generation, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let generation = generation.parse().ok()?;
                What::Assigned { generation, partitions: partitions(rest)? }
            }
            "revoked" => What::Revoked(partitions(rest)?),
            "released" => What::Released(partitions(rest)?),
            "lost" => What::Lost(partitions(rest)?),
            "polled" => {
                let mut words = rest.split(' ');
                What::Polled {
                    partition: parse_partition(words.next()?)?,
                    from: words.next()?.parse().ok()?,
                    to: words.next()?.parse().ok()?,
                }
            }
            "commit" => {
                let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let offsets = rest.split_terminator(' ').map(parse_offset);
                What::Commit {
                    number: number.parse().ok()?,
                    offsets: offsets.collect::<Option<_>>()?,
                }
            }
            "stray" => What::Stray(rest.parse().ok()?),
            "committed" => What::Committed(rest.parse().ok()?),
            "refused" => {
                let (number, why) = rest.split_once(' ')?;
                What::Refused { number: number.parse().ok()?, why: why.to_owned() }
            }
            "fenced" => What::Fenced,
            "left" => What::Left,
            "failed" => What::Failed(rest.to_owned()),
            _ => return None,
        };
        Some(Self { at: Duration::from_nanos(at.parse().ok()?), what })
    }
}

impl What {
    fn to_text(&self) -> String {
        match self {
            Self::Assigned { generation, partitions } => {
                format!("assigned {generation}{}", list(partitions))
            }
            Self::Revoked(partitions) => format!("revoked{}", list(partitions)),
            Self::Released(partitions) => format!("released{}", list(partitions)),
            Self::Lost(partitions) => format!("lost{}", list(partitions)),
            Self::Polled { partition, from, to } => format!("polled {partition} {from} {to}"),
            Self::Commit { number, offsets } => {
                let offsets =
                    offsets.iter().map(|(partition, offset)| format!(" {partition}:{offset}"));
                format!("commit {number}{}", offsets.collect::<String>())
            }
            Self::Stray(number) => format!("stray {number}"),
            Self::Committed(number) => format!("committed {number}"),
            Self::Refused { number, why } => format!("refused {number} {why}"),
            Self::Fenced => "fenced".to_owned(),
            Self::Left => "left".to_owned(),
            Self::Failed(why) => format!("failed {}", why.replace('\n', " ")),
        }
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    let names = partitions.iter().map(ToString::to_string);
    names.fold(String::new(), |line, name| line + " " + &name)
}

/// Names with spaces between.
pub(crate) fn partitions(text: &str) -> Option<Vec<TopicPartition>> {
    text.split_terminator(' ').map(parse_partition).collect()
}

fn parse_partition(text: &str) -> Option<TopicPartition> {
    let (topic, number) = text.rsplit_once('-')?;
    Some(TopicPartition::new(topic, number.parse().ok()?))
}

fn parse_offset(text: &str) -> Option<(TopicPartition, i64)> {
    let (partition, offset) = text.rsplit_once(':')?;
    Some((parse_partition(partition)?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_was_written() {
        let some = || vec![TopicPartition::new("a", 1), TopicPartition::new("b", 23)];
        let all = [
            What::Assigned { generation: 7, partitions: some() },
            What::Assigned { generation: 7, partitions: Vec::new() },
            What::Revoked(some()),
            What::Released(some()),
            What::Released(Vec::new()),
            What::Lost(some()),
            What::Polled { partition: TopicPartition::new("a", 1), from: 5, to: 9 },
            What::Commit { number: 3, offsets: vec![(TopicPartition::new("a", 1), 9)] },
            What::Commit { number: 3, offsets: Vec::new() },
            What::Stray(3),
            What::Committed(3),
            What::Refused { number: 3, why: "the owner is another".to_owned() },
            What::Fenced,
            What::Left,
            What::Failed("disk full".to_owned()),
        ];

        for what in all {
            let event = Event { at: Duration::from_nanos(12), what };
            assert_eq!(Event::parse(event.to_line().trim_end()), Some(event));
        }
    }
}
