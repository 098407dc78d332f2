//! snappy in the framing of xerial's snappy-java, which Kafka uses.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 | compatible version i32 | (size i32 | raw snappy)*
//! ```
//!
//! Big-endian. Without that header the bytes are one block of raw snappy, as some clients
//! write it.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::codec;
use crate::error::Corruption;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic, version 1, compatible with readers of version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// What snappy-java compresses at a time.
const BLOCK: usize = 32 * 1024;
/// A compressed byte cannot stand for more: a copy of 64 bytes takes three.
const MAX_RATIO: usize = 22;

const REFUSED: Corruption = Corruption::Compressed("snappy");

/// Appends `bytes`, compressed, to `out`.
pub(crate) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
    out.extend_from_slice(&HEADER);
    let mut encoder = Encoder::new();
    for block in bytes.chunks(BLOCK) {
        let start = out.len() + 4;
        out.resize(start + max_compress_len(block.len()), 0);
        let size = encoder.compress(block, &mut out[start..]).map_err(|_| REFUSED)?;
        out.truncate(start + size);
        out[start - 4..start].copy_from_slice(&(size as u32).to_be_bytes());
    }
    Ok(())
}

/// Decompresses all of `bytes` into at most `limit` bytes.
pub(crate) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    let mut out = Vec::new();
    let Some(mut rest) = after_header(bytes)? else {
        decompress_block(bytes, &mut out, limit)?;
        return Ok(out);
    };
    while !rest.is_empty() {
        // Streams written one after the other: the next one's header.
        if let Some(behind) = after_header(rest)? {
            rest = behind;
            continue;
        }
        let (size, behind) = rest.split_first_chunk().ok_or(REFUSED)?;
        let size = u32::from_be_bytes(*size) as usize;
        let (block, behind) = behind.split_at_checked(size).ok_or(REFUSED)?;
        decompress_block(block, &mut out, limit)?;
        rest = behind;
    }
    Ok(out)
}

/// What follows xerial's header, if there is one.
fn after_header(bytes: &[u8]) -> Result<Option<&[u8]>, Corruption> {
    match bytes.strip_prefix(&MAGIC) {
        None => Ok(None),
        Some(_) => bytes.get(HEADER.len()..).map(Some).ok_or(REFUSED),
    }
}

fn decompress_block(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), Corruption> {
    let size = decompress_len(block).map_err(|_| REFUSED)?;
    if block.is_empty() || size > block.len().saturating_mul(MAX_RATIO) {
        return Err(REFUSED);
    }
    let start = out.len();
    if size > limit - start {
        return Err(Corruption::TooLarge { limit });
    }
    codec::reserve(out, size)?;
    out.resize(start + size, 0);
    Decoder::new().decompress(block, &mut out[start..]).map_err(|_| REFUSED)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(bytes, &mut out).unwrap();
        out
    }

    #[test]
    fn the_framing_is_that_of_snappy_java() {
        let frame = packed(b"abc");

        assert_eq!(frame[..16], HEADER);
        // One block of 5 bytes: length 3, then a literal of 3 bytes.
        assert_eq!(frame[16..], [0, 0, 0, 5, 3, 0x08, b'a', b'b', b'c']);
    }

    #[test]
    fn raw_snappy_is_read() {
        assert_eq!(decompress(&[3, 0x08, b'a', b'b', b'c'], 3).unwrap(), b"abc");
    }

    #[test]
    fn streams_one_after_the_other_are_read_as_one() {
        let frames = [packed(b"abc"), packed(b"def")].concat();

        assert_eq!(decompress(&frames, 6).unwrap(), b"abcdef");
    }

    #[test]
    fn a_cut_within_a_block_is_noticed() {
        let frame = packed(b"abc");
        for cut in (0..16).chain(17..frame.len()) {
            assert!(decompress(&frame[..cut], 100).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_length_the_block_cannot_stand_for_is_refused() {
        // A length of 2^32 - 1 in front of three bytes.
        let raw = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x08, b'a', b'b', b'c'];

        let mut out = Vec::new();
        let result = decompress_block(&raw, &mut out, usize::MAX);

        assert_eq!(result, Err(REFUSED));
        assert!(out.capacity() < 1_000, "{}", out.capacity());
    }
}
