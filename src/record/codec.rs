//! Kafka's four codecs.
//!
//! Whatever the bytes say, nothing is allocated beyond what they can stand for and what the
//! caller allows. gzip, lz4 and zstd notice a missing end. Xerial's framing of snappy has no
//! end mark: cut between two blocks it decompresses to less, which the batch's size and
//! checksum notice.

use std::borrow::Cow;
use std::io::{Read, Write};

use super::lz4::{self, HeaderChecksum};
use super::{xerial, zstandard};
use crate::error::Corruption;
use crate::planted::planted;
use crate::types::Compression;

/// deflate cannot turn one byte into more.
const GZIP_MAX_RATIO: usize = 1032;

/// Compresses `bytes` and appends the result to `out`.
///
/// `level` is the codec's own: 0 to 9 for gzip, up to 22 for zstd; one out of range counts as
/// the nearest. snappy and lz4 have one level. After an error `out` is of no use.
pub fn compress(
    codec: Compression,
    level: Option<i32>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    match codec {
        Compression::None => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        Compression::Gzip => gzip(level, bytes, out),
        Compression::Snappy => xerial::compress(bytes, out),
        Compression::Lz4 => lz4::compress(bytes, out),
        Compression::Zstd => zstandard::compress(level, bytes, out),
    }
}

/// Decompresses `bytes`, all of them, into at most `limit` bytes.
pub fn decompress(codec: Compression, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    match codec {
        Compression::None if bytes.len() > limit => Err(Corruption::TooLarge { limit }),
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => gunzip(bytes, limit),
        Compression::Snappy => xerial::decompress(bytes, limit),
        Compression::Lz4 => lz4::decompress(bytes, limit, HeaderChecksum::Checked),
        Compression::Zstd => zstandard::decompress(bytes, limit),
    }
}

fn gzip(level: Option<i32>, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
    let level = level.and_then(|level| u32::try_from(level.min(9)).ok());
    let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = flate2::write::GzEncoder::new(out, level);
    encoder.write_all(bytes).and_then(|()| encoder.try_finish()).map_err(|_| GZIP_REFUSES)
}

const GZIP_REFUSES: Corruption = Corruption::Compressed("gzip");

fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    let mut out = Vec::new();
    reserve(&mut out, gzip_size_hint(bytes).min(limit))?;
    gunzip_into(&mut out, bytes, limit)?;
    Ok(out)
}

/// Makes room for `more` bytes. What bytes of others ask for may be more than there is, and that is
/// no reason to end the process.
pub(super) fn reserve(out: &mut Vec<u8>, more: usize) -> Result<(), Corruption> {
    if planted("take-any-memory") {
        out.reserve(more);
    }
    out.try_reserve(more).map_err(|_| Corruption::Memory { need: more })
}

/// Stops one byte beyond the limit. Zeros behind the end are padding, as for Kafka's decoder and for
/// kafka-python's.
fn gunzip_into(out: &mut Vec<u8>, bytes: &[u8], limit: usize) -> Result<(), Corruption> {
    let most = limit.saturating_add(1);
    let plain = without_reserved_flags(bytes);
    let mut rest = &*plain;
    loop {
        let left = most.saturating_sub(out.len()) as u64;
        let mut member = flate2::bufread::GzDecoder::new(rest).take(left);
        member.read_to_end(out).map_err(|_| GZIP_REFUSES)?;
        if out.len() > limit {
            return Err(Corruption::TooLarge { limit });
        }
        rest = member.into_inner().into_inner();
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
    }
}

/// Flags of the header that mean nothing yet are passed over, as by Kafka's decoder and by
/// kafka-python's; this one refuses them.
fn without_reserved_flags(bytes: &[u8]) -> Cow<'_, [u8]> {
    const FLAGS: usize = 3;
    const RESERVED: u8 = 0b1110_0000;
    if bytes.get(FLAGS).is_none_or(|flags| flags & RESERVED == 0) {
        return Cow::Borrowed(bytes);
    }
    let mut plain = bytes.to_vec();
    plain[FLAGS] &= !RESERVED;
    Cow::Owned(plain)
}

/// The size in the trailer, as far as the bytes can stand for it.
fn gzip_size_hint(bytes: &[u8]) -> usize {
    let size = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    size.min(bytes.len().saturating_mul(GZIP_MAX_RATIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn compressed(codec: Compression, level: Option<i32>, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(codec, level, bytes, &mut out).unwrap();
        out
    }

    /// Bytes that compress well, of more than one block in every codec.
    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|i| format!("line {} of the log\n", i / 3).into_bytes()).collect()
    }

    #[test]
    fn every_codec_gives_back_what_it_was_given() {
        for codec in CODECS {
            for bytes in [Vec::new(), vec![7], text()] {
                let packed = compressed(codec, None, &bytes);

                assert_eq!(decompress(codec, &packed, bytes.len()), Ok(bytes), "{codec:?}");
            }
        }
    }

    #[test]
    fn output_is_appended_behind_what_is_there() {
        for codec in CODECS {
            let mut out = b"before".to_vec();

            compress(codec, None, b"bytes", &mut out).unwrap();

            assert_eq!(out[..6], *b"before");
            assert_eq!(decompress(codec, &out[6..], 5).unwrap(), b"bytes");
        }
    }

    #[test]
    fn a_level_out_of_range_counts_as_the_nearest() {
        for codec in CODECS {
            for level in [i32::MIN, -1, 0, 1, 9, 12, 22, i32::MAX] {
                let packed = compressed(codec, Some(level), b"some bytes, some bytes");

                assert!(decompress(codec, &packed, 100).is_ok(), "{codec:?} {level}");
            }
        }
    }

    #[test]
    fn one_byte_beyond_the_limit_is_refused() {
        let bytes = text();
        for codec in CODECS {
            let packed = compressed(codec, None, &bytes);
            for limit in [0, 1, 70_000, bytes.len() - 1] {
                let result = decompress(codec, &packed, limit);

                assert_eq!(result, Err(Corruption::TooLarge { limit }), "{codec:?}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_without_its_memory() {
        let bytes = vec![0; 16 << 20];
        for codec in &CODECS[1..] {
            let packed = compressed(*codec, None, &bytes);

            let result = decompress(*codec, &packed, 1 << 20);

            assert_eq!(result, Err(Corruption::TooLarge { limit: 1 << 20 }), "{codec:?}");
        }
    }

    #[test]
    fn gzip_stops_right_behind_the_limit() {
        let packed = compressed(Compression::Gzip, None, &vec![0; 1 << 20]);
        let mut out = Vec::new();

        let result = gunzip_into(&mut out, &packed, 100);

        assert_eq!((result, out.len()), (Err(Corruption::TooLarge { limit: 100 }), 101));
    }

    #[test]
    fn flags_of_gzip_that_mean_nothing_are_passed_over() {
        let mut packed = compressed(Compression::Gzip, None, &text());
        packed[3] |= 0b1110_0000;

        assert_eq!(decompress(Compression::Gzip, &packed, usize::MAX).unwrap(), text());
    }

    #[test]
    fn zeros_behind_the_end_of_gzip_are_padding() {
        let members =
            ["one ", "two"].map(|text| compressed(Compression::Gzip, None, text.as_bytes()));
        let packed = [&members.concat()[..], &[0; 9]].concat();

        assert_eq!(decompress(Compression::Gzip, &packed, usize::MAX).unwrap(), b"one two");
    }

    #[test]
    fn a_missing_end_is_noticed() {
        let bytes = text();
        for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let packed = compressed(codec, None, &bytes);
            for cut in (0..packed.len()).step_by(packed.len() / 500).chain([packed.len() - 1]) {
                assert!(decompress(codec, &packed[..cut], usize::MAX).is_err(), "{codec:?} {cut}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_are_noticed() {
        for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let mut packed = compressed(codec, None, b"bytes");
            packed.extend_from_slice(b"more");

            assert!(decompress(codec, &packed, usize::MAX).is_err(), "{codec:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            bytes in prop::collection::vec(any::<u8>(), 0..3_000),
            repeat in 1_usize..60,
            level in prop::option::of(-5..23),
        ) {
            let bytes = bytes.repeat(repeat);
            for codec in CODECS {
                let packed = compressed(codec, level, &bytes);
                prop_assert_eq!(decompress(codec, &packed, bytes.len()), Ok(bytes.clone()));
            }
        }

        #[test]
        fn any_bytes_give_a_result_within_the_limit(
            bytes in prop::collection::vec(any::<u8>(), 0..500),
            limit in 0_usize..10_000,
        ) {
            for codec in CODECS {
                if let Ok(out) = decompress(codec, &bytes, limit) {
                    prop_assert!(out.len() <= limit);
                }
            }
        }
    }
}
