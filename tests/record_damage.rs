//! Damage to a batch is an error, wherever it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;

use brokerless::Corruption;
use brokerless::record::{Batch, BatchInfo, verify};
use bytes::Bytes;

use crate::golden::{batches, names};

const LIMIT: usize = 1 << 20;

fn every_batch() -> impl Iterator<Item = (String, Bytes)> {
    names()
        .into_iter()
        .flat_map(|name| batches(&name).into_iter().map(move |it| (name.clone(), it)))
}

/// Which bytes the checksum leaves out, and nothing else vouches for: the log writes them.
fn is_the_log_s(magic: i8, at: usize) -> bool {
    at < 8 || (magic == 2 && (12..16).contains(&at))
}

/// Decodes the batch and reads all its records.
fn read(bytes: &[u8]) -> Result<usize, Corruption> {
    let batch = Batch::decode(Bytes::copy_from_slice(bytes), LIMIT)?;
    batch.records().try_fold(0, |count, record| record.map(|_| count + 1))
}

/// Makes the batch's own size that of `batch`.
fn put_size(batch: &mut [u8]) {
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
}

#[test]
fn a_flipped_bit_is_noticed_except_in_what_the_log_writes() {
    for (name, bytes) in every_batch() {
        let magic = BatchInfo::parse(&bytes).unwrap().magic;
        let mut damaged = bytes.to_vec();
        for at in (0..100.min(bytes.len())).chain((100..bytes.len()).step_by(1 + bytes.len() / 200))
        {
            for bit in 0..8 {
                damaged[at] ^= 1 << bit;

                let noticed = verify(&damaged).is_err();

                damaged[at] ^= 1 << bit;
                assert_eq!(noticed, !is_the_log_s(magic, at), "{name}: bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn every_prefix_of_a_batch_is_an_error() {
    for (name, bytes) in every_batch() {
        for cut in 0..bytes.len() {
            let prefix = &bytes[..cut];

            assert!(verify(prefix).is_err(), "{name} {cut}");
            assert!(Batch::decode(bytes.slice(..cut), LIMIT).is_err(), "{name} {cut}");
        }
    }
}

#[test]
fn a_batch_that_ends_too_early_by_its_own_account_is_an_error() {
    for (name, bytes) in every_batch() {
        for cut in (26..bytes.len()).step_by(1 + bytes.len() / 200) {
            let mut shorter = bytes[..cut].to_vec();
            put_size(&mut shorter);

            assert!(read(&shorter).is_err(), "{name} {cut}");
        }
    }
}

#[test]
fn bytes_behind_the_records_are_an_error() {
    for (name, bytes) in every_batch() {
        let mut longer = bytes.to_vec();
        longer.extend_from_slice(b"12345678");
        put_size(&mut longer);

        assert!(read(&longer).is_err(), "{name}");
        assert!(verify(&[&bytes[..], &[0]].concat()).is_err(), "{name}");
    }
}

#[test]
fn records_beyond_the_limit_are_refused() {
    for (name, bytes) in every_batch().filter(|(name, _)| !name.ends_with("none")) {
        let batch = Batch::decode(bytes.clone(), LIMIT).unwrap();
        if batch.data().len() == bytes.len() {
            continue; // kafka-python left it uncompressed
        }
        let size = batch.data().len();

        assert!(Batch::decode(bytes.clone(), size).is_ok(), "{name}");
        let result = Batch::decode(bytes, size - 1);

        assert_eq!(result.err(), Some(Corruption::TooLarge { limit: size - 1 }), "{name}");
    }
}
