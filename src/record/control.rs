//! Control records: what the log tells its readers about itself, mostly the end of a
//! transaction (KIP-98).
//!
//! ```text
//! key:   version i16 | type i16
//! value: version i16 | coordinator epoch i32      (of the end of a transaction)
//! ```
//!
//! A later version may add fields behind these; they are passed over.

use super::batch::Batch;
use super::fields::get;
use super::info::need;
use crate::error::Corruption;

const KEY_SIZE: usize = 4;
const VALUE_SIZE: usize = 6;
const VERSION: i16 = 0;

/// What a control record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The transaction was aborted.
    Abort,
    /// The transaction was committed.
    Commit,
    /// A quorum has a new leader.
    LeaderChange,
    /// A snapshot of the metadata log begins.
    SnapshotHeader,
    /// A snapshot of the metadata log ends.
    SnapshotFooter,
    /// The version of the quorum's protocol.
    KraftVersion,
    /// The voters of the quorum.
    KraftVoters,
    /// One of a later Kafka, to be passed over.
    Unknown(i16),
}

impl ControlType {
    /// Reads the type out of a control record's key.
    pub fn parse(key: &[u8]) -> Result<Self, Corruption> {
        need(key, KEY_SIZE)?;
        check_version(key, "control record version")?;
        Ok(Self::from_id(i16::from_be_bytes(get(key, 2))))
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; KEY_SIZE] {
        let ([a, b], [c, d]) = (VERSION.to_be_bytes(), self.id().to_be_bytes());
        [a, b, c, d]
    }

    /// The type of that number.
    pub const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            other => Self::Unknown(other),
        }
    }

    /// Kafka's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abort => "ABORT",
            Self::Commit => "COMMIT",
            Self::LeaderChange => "LEADER_CHANGE",
            Self::SnapshotHeader => "SNAPSHOT_HEADER",
            Self::SnapshotFooter => "SNAPSHOT_FOOTER",
            Self::KraftVersion => "KRAFT_VERSION",
            Self::KraftVoters => "KRAFT_VOTERS",
            Self::Unknown(_) => "UNKNOWN",
        }
    }

    /// Its number.
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }
}

/// The control record that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whether the transaction's records count.
    pub committed: bool,
    /// The epoch of the coordinator that ended it.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads the marker out of a control record's key and value.
    pub fn parse(key: &[u8], value: &[u8]) -> Result<Self, Corruption> {
        let committed = match ControlType::parse(key)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return Err(Corruption::Field("type of the end of a transaction")),
        };
        need(value, VALUE_SIZE)?;
        check_version(value, "version of the end of a transaction")?;
        Ok(Self { committed, coordinator_epoch: i32::from_be_bytes(get(value, 2)) })
    }

    /// What a control batch says of a transaction; `None` if it is about something else.
    pub fn of(batch: &Batch) -> Result<Option<Self>, Corruption> {
        let Some(record) = batch.records().next().transpose()? else { return Ok(None) };
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        match ControlType::parse(key)? {
            ControlType::Abort | ControlType::Commit => Self::parse(key, value).map(Some),
            _ => Ok(None),
        }
    }

    /// Its type.
    pub const fn control_type(&self) -> ControlType {
        if self.committed { ControlType::Commit } else { ControlType::Abort }
    }

    /// The record's key.
    pub fn key(&self) -> [u8; KEY_SIZE] {
        self.control_type().key()
    }

    /// The record's value.
    pub fn value(&self) -> [u8; VALUE_SIZE] {
        let mut value = [0; VALUE_SIZE];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        value
    }
}

/// The caller has checked that there are two bytes.
fn check_version(bytes: &[u8], what: &'static str) -> Result<(), Corruption> {
    match i16::from_be_bytes(get(bytes, 0)) {
        ..0 => Err(Corruption::Field(what)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_has_kafka_s_bytes() {
        let marker = EndTransactionMarker { committed: true, coordinator_epoch: 258 };

        assert_eq!(marker.key(), [0, 0, 0, 1]);
        assert_eq!(marker.value(), [0, 0, 0, 0, 1, 2]);
        assert_eq!(EndTransactionMarker::parse(&marker.key(), &marker.value()), Ok(marker));
    }

    #[test]
    fn every_type_is_read_as_it_was_written() {
        for id in -2..10 {
            let control = ControlType::from_id(id);

            assert_eq!(control.id(), id);
            assert_eq!(ControlType::parse(&control.key()), Ok(control));
        }
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        let (key, value) = ([0, 1, 0, 0, 9], [0, 1, 0, 0, 0, 7, 9, 9]);
        let marker = EndTransactionMarker { committed: false, coordinator_epoch: 7 };

        assert_eq!(EndTransactionMarker::parse(&key, &value), Ok(marker));
    }

    #[test]
    fn short_negative_and_foreign_markers_are_refused() {
        let marker = EndTransactionMarker { committed: true, coordinator_epoch: 0 };
        let parse = EndTransactionMarker::parse;

        assert_eq!(
            parse(&marker.key()[..3], &marker.value()),
            Err(Corruption::Truncated { have: 3, need: 4 })
        );
        assert_eq!(
            parse(&marker.key(), &marker.value()[..5]),
            Err(Corruption::Truncated { have: 5, need: 6 })
        );
        assert!(parse(&[0x80, 0, 0, 1], &marker.value()).is_err());
        assert!(parse(&marker.key(), &[0xff, 0xff, 0, 0, 0, 0]).is_err());
        assert!(parse(&ControlType::LeaderChange.key(), &marker.value()).is_err());
    }
}
