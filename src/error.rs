//! What can go wrong, as facts: [`Corruption`] in bytes, [`Error`] for everything above.

mod corruption;
mod place;
mod whose;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::types::TopicPartition;

pub use corruption::Corruption;
pub(crate) use place::SYNC;
pub use place::{At, AtPosition};

/// What every fallible call of this crate gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of the engine or a client, with the numbers that explain it.
///
/// Variants that Kafka has carry Kafka's names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a call.
    #[error("{op} {}: {source}{}", path.display(), Remedy(source))]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An error about one partition which does not say so by itself.
    #[error("{partition}: {source}")]
    OfPartition {
        /// The partition.
        partition: TopicPartition,
        /// What is the matter with it.
        source: Box<Error>,
    },
    /// A file holds bytes that are not what was written.
    #[error(
        "{} is corrupt at position {position}: {what}; put the file back from a copy, or close \
         every process that uses the directory and run `brokerless verify --repair {}`, which \
         keeps all other records",
        path.display(),
        directory_of(path).display()
    )]
    CorruptRecord {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        position: u64,
        /// What is wrong there.
        what: Corruption,
    },
    /// A batch that would take more memory than the user allows.
    #[error(
        "the batch at position {position} of {} decompresses to more than {setting} allows \
         ({limit} bytes); raise {setting}{}",
        path.display(),
        next_offset.map_or_else(String::new, |offset| format!(", or seek past it, to {offset}"))
    )]
    DecompressedTooLarge {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        position: u64,
        /// The limit, in bytes.
        limit: usize,
        /// The setting that limits.
        setting: &'static str,
        /// The offset behind the batch, for a reader.
        next_offset: Option<i64>,
    },
    /// A record or batch above a limit.
    #[error(
        "the record takes {size} bytes, more than {setting} allows ({max}); raise {setting} or send less"
    )]
    RecordTooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
        /// The setting that limits.
        setting: &'static str,
    },
    /// A batch that no segment could hold: Kafka's `RecordBatchTooLargeException`, in its words.
    #[error(
        "Message batch size is {size} bytes in append to partition {partition}, which exceeds the \
         maximum configured segment size of {max}."
    )]
    BatchTooLarge {
        /// The partition.
        partition: TopicPartition,
        /// The size of the batch, in bytes.
        size: usize,
        /// `segment.bytes`.
        max: usize,
    },
    /// A record without a key on a compacted topic: Kafka's `InvalidRecordException`.
    #[error("{0} is compacted, so every record needs a key")]
    KeyRequired(TopicPartition),
    /// A record whose time is too far from the log's.
    #[error(
        "timestamp {timestamp} of a record for {partition} is out of range: \
         message.timestamp.before.max.ms and message.timestamp.after.max.ms allow {from} to {to}"
    )]
    InvalidTimestamp {
        /// The partition.
        partition: TopicPartition,
        /// The record's timestamp.
        timestamp: i64,
        /// The first that is taken now.
        from: i64,
        /// The last.
        to: i64,
    },
    /// `acks=all` to a topic that wants more copies than there are.
    #[error(
        "min.insync.replicas of {partition} is {needed}, and there is one copy of it: lower it to 1, \
         or send with acks=1"
    )]
    NotEnoughReplicas {
        /// The partition.
        partition: TopicPartition,
        /// How many copies are wanted.
        needed: i32,
    },
    /// Topics of the directory cannot be deleted.
    #[error("topic {0:?} stays: delete.topic.enable of the directory is false")]
    TopicDeletionDisabled(String),
    /// What the topic's settings rule out: Kafka's `PolicyViolationException`.
    #[error("{partition}: {why}")]
    PolicyViolation {
        /// The partition.
        partition: TopicPartition,
        /// What, and what to do.
        why: &'static str,
    },
    /// A name that Kafka refuses.
    #[error(
        "topic name {0:?} is invalid: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', and neither '.' nor '..'"
    )]
    InvalidTopic(String),
    /// A name that differs from another topic's only by `.` and `_`: Kafka's
    /// `InvalidTopicException`.
    #[error(
        "topic {name:?} collides with the existing topic {existing:?}: '.' and '_' count as the same; \
         choose another name"
    )]
    TopicCollision {
        /// The name.
        name: String,
        /// The topic that is there.
        existing: String,
    },
    /// A write to a topic that only Kafka itself writes to.
    #[error("topic {0:?} is Kafka's own: it can be read, and only commits write to it")]
    InternalTopic(String),
    /// A name under which a broker keeps something else: no topic can have it.
    #[error("no topic can be named {0:?}: a broker keeps the log of its cluster under that name")]
    ReservedTopic(String),
    /// No such partition, or no such topic: then the number is [`NO_PARTITION`].
    #[error("{} does not exist", Unknown(.0))]
    UnknownTopicOrPartition(TopicPartition),
    /// A topic of that name is there already.
    #[error("topic {0:?} exists already")]
    TopicAlreadyExists(String),
    /// A number of partitions that cannot be.
    #[error("{0}")]
    InvalidPartitions(String),
    /// More partitions than one request may make, as with Kafka.
    #[error("excessively large number of partitions per request: {wanted} are more than {max}")]
    TooManyPartitions {
        /// How many were to be made.
        wanted: i32,
        /// How many may.
        max: i32,
    },
    /// An offset outside the log.
    #[error("offset {offset} of {partition} is out of range: the log holds {start} to {end}")]
    OffsetOutOfRange {
        /// The partition asked.
        partition: TopicPartition,
        /// The offset asked for.
        offset: i64,
        /// The log start offset.
        start: i64,
        /// The log end offset.
        end: i64,
    },
    /// No committed offset, and `auto.offset.reset` is `none`.
    #[error(
        "{0} has no committed offset and auto_offset_reset is 'none': seek, commit an offset, or set 'earliest' or 'latest'"
    )]
    NoOffsetForPartition(TopicPartition),
    /// A position behind the end of what a crash left of the log that was read, and
    /// `auto.offset.reset` is `none`.
    #[error(
        "{partition} was read up to offset {offset} (leader epoch {leader_epoch}), but a crash \
         left of that only what is below offset {end}; what follows there is new. Seek to {end}, \
         or set auto_offset_reset to 'earliest' or 'latest' to go there unasked"
    )]
    LogTruncation {
        /// The partition.
        partition: TopicPartition,
        /// The position.
        offset: i64,
        /// The leader epoch of the record before it.
        leader_epoch: i32,
        /// Where the log begins to differ from what was read.
        end: i64,
        /// The leader epoch of the record before that.
        end_epoch: i32,
    },
    /// A setting with a value it cannot have.
    #[error("{name}={value}: {why}")]
    InvalidConfig {
        /// Kafka's name of the setting.
        name: String,
        /// The value given.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A change of a setting that is none, or is not the only one.
    #[error("{name}: {why}")]
    InvalidChange {
        /// The name given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A line of `brokerless.properties` that says nothing.
    #[error("{}, line {line}: {what}", path.display())]
    InvalidProperty {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// An argument with a value it cannot have.
    #[error("{0}")]
    InvalidArgument(String),
    /// A call that does not fit the client's state.
    #[error("{0}")]
    IllegalState(&'static str),
    /// The client is closed.
    #[error("the {0} is closed")]
    Closed(&'static str),
    /// A call took longer than it may.
    #[error("{what} did not end within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// Another process has a directory alone, for longer than a call may take.
    #[error(
        "opening {} did not end within {} ms: {} has it alone, to repair it or to open or close it; \
         end that, or let it go on if it was stopped",
        path.display(), after.as_millis(), whose::processes(keepers)
    )]
    HeldAlone {
        /// The directory.
        path: PathBuf,
        /// How long it was waited for.
        after: Duration,
        /// The ids of the processes that have it, as far as they are known.
        keepers: Vec<u32>,
    },
    /// A signal interrupted a wait; the caller decides whether to go on.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A log that ends before what was once on the disk for sure.
    #[error(
        "{} ends at offset {end}, but it was on the disk up to offset {known}: files of it were \
         removed or cut; put them back from a copy, or run `brokerless verify --repair {}` to go \
         on without the records",
        path.display(),
        above(path).display()
    )]
    RecordsMissing {
        /// The partition's folder.
        path: PathBuf,
        /// Where the log ends now.
        end: i64,
        /// Where it ended at least.
        known: i64,
    },
    /// A file of our own that does not read as it was written.
    #[error("{} is damaged: {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// A file of our own is gone that the directory had.
    #[error("{} is missing: {remedy}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// A sync of the partition failed: what it holds on disk is unknown until it is reopened.
    #[error(
        "an earlier fdatasync of {0} failed, so nothing more can be written to it safely; \
         close every process that uses the directory and open it again"
    )]
    Poisoned(TopicPartition),
    /// The partition's files are not what this process left.
    #[error("{} was changed from outside: {what}; close every process that uses the directory and open it again", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        what: &'static str,
    },
    /// A process of another machine holds the directory, and its locks are seen here.
    #[error("{} is open on another machine, or in another virtual machine: memory is not shared between the two; close it there", .0.display())]
    OtherMachine(PathBuf),
    /// A Kafka broker holds the directory.
    #[error("{} is open in a Kafka broker (it holds the lock on .lock); stop the broker, or open a copy read-only", .0.display())]
    HeldByBroker(PathBuf),
    /// A directory that is wanted alone, and that others have open.
    #[error("{} is open in another process; close every process that uses it", .0.display())]
    InUse(PathBuf),
    /// The directory was written by a newer version.
    #[error("{} has format {found}, this version reads up to {known}; upgrade brokerless", path.display())]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest this version knows.
        known: u32,
    },
    /// A place that is taken by something else.
    #[error("{} is not a directory; name another place", .0.display())]
    NotADirectory(PathBuf),
    /// A folder that has the name of a partition's, and something else in it.
    #[error("{} is in the way: it is no partition of this directory; move it, or take another name", .0.display())]
    InTheWay(PathBuf),
    /// A folder with nothing in it that a data directory has.
    #[error("{} is no data directory: nothing in it is of Kafka or brokerless; name another place", .0.display())]
    NotADataDirectory(PathBuf),
    /// A directory that this user, or nobody, may write to.
    #[error("{} cannot be written to: {source}; get the right to write, or open it read-only", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A network file system, where locks and shared memory do not hold.
    #[error("{} is on {kind}, a network file system, where locks and shared memory do not hold between machines; use a local disk", path.display())]
    NetworkFileSystem {
        /// The directory.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// A write to a directory opened for reading.
    #[error("{} is open read-only", .0.display())]
    ReadOnly(PathBuf),
    /// An id that no group can have.
    #[error(
        "group_id {0:?} is invalid: 1 to 32,767 bytes, and not one whose files another group has"
    )]
    InvalidGroupId(String),
    /// A commit by somebody who may not: Kafka's `CommitFailedException`.
    #[error("nothing was committed for group {group:?}: {why}")]
    CommitFailed {
        /// The group.
        group: String,
        /// Why not.
        why: &'static str,
    },
    /// A commit between two assignments.
    #[error("group {0:?} is rebalancing: complete it by calling poll(), then commit again")]
    RebalanceInProgress(String),
    /// Another member has this one's `group.instance.id`.
    #[error("another member of group {group:?} lives as group_instance_id {instance:?} now")]
    FencedInstanceId {
        /// The group.
        group: String,
        /// The id that both claim.
        instance: String,
    },
    /// A group that has members, where it must have none: Kafka's `GroupNotEmptyException`.
    #[error("group {0:?} has members: stop them, or take them out, and try again")]
    GroupNotEmpty(String),
    /// No such group.
    #[error("there is no group {0:?}")]
    GroupIdNotFound(String),
    /// What is committed for a topic is in use.
    #[error("members of group {group:?} subscribe to topic {topic:?}")]
    GroupSubscribedToTopic {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// A member that the group does not have, or somebody who is none where only members may.
    #[error("group {group:?}: {why}")]
    UnknownMemberId {
        /// The group.
        group: String,
        /// Who is not known.
        why: String,
    },
    /// A member whose ways to assign are not those of the others.
    #[error(
        "no partition_assignment_strategy of this consumer is one that all members of group {0:?} have"
    )]
    InconsistentGroupProtocol(String),
    /// A group without a free place.
    #[error("group {0:?} has as many members as a group can have")]
    GroupMaxSizeReached(String),
    /// An assignor gave what is no assignment.
    #[error("the assignment that this consumer made for group {group:?} is refused: {what}")]
    InvalidAssignment {
        /// The group.
        group: String,
        /// What is wrong with it.
        what: String,
    },
    /// Text beside a committed offset that is too long.
    #[error("metadata of {size} bytes is more than the {max} that a commit may carry")]
    OffsetMetadataTooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes (Kafka's `offset.metadata.max.bytes`).
        max: usize,
    },
    /// A session timeout that the directory's settings do not allow.
    #[error(
        "session_timeout_ms={} is not between group.min.session.timeout.ms={} and \
         group.max.session.timeout.ms={} of the directory",
        given.as_millis(), min.as_millis(), max.as_millis()
    )]
    InvalidSessionTimeout {
        /// What was given.
        given: Duration,
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A handle used in a forked child.
    #[error("this {0} was made before fork; make a new one in the child process")]
    Forked(&'static str),
}

impl Error {
    /// Whether the same call may succeed later without anything being repaired.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.root(),
            Self::Timeout { .. }
                | Self::HeldAlone { .. }
                | Self::Interrupted
                | Self::UnknownTopicOrPartition(_)
        )
    }

    /// Says which setting the limit is that a batch went beyond, if that is the error.
    pub(crate) fn limited_by(self, setting: &'static str, next_offset: Option<i64>) -> Self {
        match self {
            Self::CorruptRecord { path, position, what: Corruption::TooLarge { limit } } => {
                Self::DecompressedTooLarge { path, position, limit, setting, next_offset }
            }
            other => other,
        }
    }

    /// Whether the client can do nothing more with the partition or directory.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.root(),
            Self::Poisoned(_) | Self::Replaced { .. } | Self::NewerFormat { .. } | Self::Forked(_)
        )
    }
}

/// In place of the number of a partition, where a whole topic is meant.
pub const NO_PARTITION: i32 = i32::MIN;

impl Error {
    /// That there is no such topic.
    pub fn unknown_topic(name: &str) -> Self {
        Self::UnknownTopicOrPartition(TopicPartition::new(name, NO_PARTITION))
    }
}

/// What to do about what the system said, where that is known.
struct Remedy<'a>(&'a io::Error);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `EMFILE`, of Linux as of macOS.
        const TOO_MANY_FILES: i32 = 24;

        match self.0.raw_os_error() {
            Some(TOO_MANY_FILES) => f.write_str(
                ": that is the limit of this process; raise it (`ulimit -n`), or close files",
            ),
            _ => Ok(()),
        }
    }
}

/// What does not exist.
struct Unknown<'a>(&'a TopicPartition);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TopicPartition { topic, partition: NO_PARTITION } => write!(f, "topic {topic:?}"),
            partition => partition.fmt(f),
        }
    }
}

/// The data directory that a file of a partition lies in.
fn directory_of(file: &Path) -> &Path {
    above(above(file))
}

fn above(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_repair_can_put_right_names_it_and_the_directory() {
        let missing = |path: &str| Error::RecordsMissing { path: path.into(), end: 1, known: 2 };
        let corrupt = |path: &str| Error::CorruptRecord {
            path: path.into(),
            position: 0,
            what: Corruption::Varint,
        };
        for (error, directory) in [
            (missing("/data/a-0"), "/data"),
            (missing("a-0"), "."),
            (corrupt("data/a-0/0.log"), "data"),
            (corrupt("0.log"), "."),
        ] {
            let advice = format!("`brokerless verify --repair {directory}`");
            assert!(error.to_string().contains(&advice), "{error}");
        }
    }
}
