//! Zstandard frames (KIP-110), a context for each thread.
//!
//! Java's clients write frames that do not tell their content's size, so the blocks' headers
//! are walked first: they bound what the frames can hold.
//!
//! ```text
//! magic u32 | descriptor u8 | [window u8] | [dictionary id] | [content size]
//!   | (last:1 type:2 size:21 | block)* | [checksum u32]
//! ```

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use super::codec;
use crate::error::Corruption;

const MAGIC: u32 = 0xfd2f_b528;
/// The lowest of the sixteen magics of a frame to be skipped.
const SKIPPABLE: u32 = 0x184d_2a50;
/// No compressed block stands for more.
const MAX_BLOCK: usize = 128 * 1024;

const REFUSED: Corruption = Corruption::Compressed("zstd");

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends one frame that holds `bytes` to `out`.
pub(crate) fn compress(
    level: Option<i32>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    let range = zstd::compression_level_range();
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    let level = level.clamp(*range.start(), *range.end());
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(bytes.len()), 0);
    let size = COMPRESSOR.with_borrow_mut(|compressor| {
        let compressor = context(compressor, || Compressor::new(level))?;
        compressor.set_compression_level(level)?;
        compressor.compress_to_buffer(bytes, &mut out[start..])
    });
    out.truncate(start + size.map_err(|_| REFUSED)?);
    Ok(())
}

/// Decompresses all frames of `bytes` into at most `limit` bytes.
pub(crate) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    let bound = bound(bytes)?;
    let mut out = Vec::new();
    codec::reserve(&mut out, bound.min(limit))?;
    let result = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = context(decompressor, Decompressor::new)?;
        decompressor.decompress_to_buffer(bytes, &mut out)
    });
    match result {
        Ok(_) if out.len() < out.capacity() / 2 => out.shrink_to_fit(),
        Ok(_) => {}
        Err(_) if bound > limit => return Err(Corruption::TooLarge { limit }),
        Err(_) => return Err(REFUSED),
    }
    Ok(out)
}

fn context<T>(slot: &mut Option<T>, new: impl FnOnce() -> io::Result<T>) -> io::Result<&mut T> {
    match slot {
        Some(context) => Ok(context),
        None => Ok(slot.insert(new()?)),
    }
}

/// No more bytes than these come out of the frames in `bytes`.
fn bound(mut bytes: &[u8]) -> Result<usize, Corruption> {
    if bytes.is_empty() {
        return Err(REFUSED);
    }
    let mut bound = 0_usize;
    while !bytes.is_empty() {
        let magic = u32::from_le_bytes(take(&mut bytes)?);
        if magic & !0xf == SKIPPABLE {
            let size = u32::from_le_bytes(take(&mut bytes)?);
            skip(&mut bytes, size as usize)?;
        } else if magic == MAGIC {
            bound = bound.saturating_add(frame_bound(&mut bytes)?);
        } else {
            return Err(REFUSED);
        }
    }
    Ok(bound)
}

fn frame_bound(bytes: &mut &[u8]) -> Result<usize, Corruption> {
    let [descriptor] = take(bytes)?;
    let single_segment = descriptor & 0x20 != 0;
    skip(bytes, usize::from(!single_segment))?;
    skip(bytes, [0, 1, 2, 4][usize::from(descriptor & 3)])?;
    let content = content_size(bytes, descriptor >> 6, single_segment)?;
    let bound = blocks_bound(bytes)?;
    skip(bytes, if descriptor & 0x04 == 0 { 0 } else { 4 })?;
    Ok(bound.min(content))
}

fn content_size(bytes: &mut &[u8], flag: u8, single_segment: bool) -> Result<usize, Corruption> {
    Ok(match (flag, single_segment) {
        (0, false) => usize::MAX,
        (0, true) => u8::from_le_bytes(take(bytes)?).into(),
        (1, _) => usize::from(u16::from_le_bytes(take(bytes)?)) + 256,
        (2, _) => u32::from_le_bytes(take(bytes)?) as usize,
        _ => usize::try_from(u64::from_le_bytes(take(bytes)?)).unwrap_or(usize::MAX),
    })
}

/// Walks a frame's blocks, to the last one's end.
fn blocks_bound(bytes: &mut &[u8]) -> Result<usize, Corruption> {
    let mut bound = 0_usize;
    loop {
        let [low, middle, high] = take(bytes)?;
        let size = u32::from_le_bytes([low, middle, high, 0]) as usize >> 3;
        let (stored, most) = match (low >> 1) & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, MAX_BLOCK),
            _ => return Err(REFUSED),
        };
        skip(bytes, stored)?;
        bound = bound.saturating_add(most);
        if low & 1 == 1 {
            return Ok(bound);
        }
    }
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), Corruption> {
    *bytes = bytes.get(count..).ok_or(REFUSED)?;
    Ok(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Corruption> {
    let (field, rest) = bytes.split_first_chunk().ok_or(REFUSED)?;
    *bytes = rest;
    Ok(*field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(None, bytes, &mut out).unwrap();
        out
    }

    /// As Java's clients write it: a stream, which cannot tell its size ahead.
    fn streamed(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    #[test]
    fn a_frame_without_its_size_is_read() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i / 700) as u8).collect();
        let frame = streamed(&bytes);

        assert_eq!(decompress(&frame, bytes.len()), Ok(bytes));
    }

    #[test]
    fn frames_one_after_the_other_are_read_as_one() {
        let skippable = [0x5f, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let frames = [packed(b"abc"), skippable.to_vec(), streamed(b"def")].concat();

        assert_eq!(decompress(&frames, 6).unwrap(), b"abcdef");
    }

    #[test]
    fn a_size_the_blocks_cannot_stand_for_is_not_allocated() {
        // Single segment, a content size of 2^40 bytes, one raw block of one byte.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 9, 0, 0, b'x'];

        assert_eq!(bound(&frame), Ok(1));
        assert_eq!(decompress(&frame, usize::MAX), Err(REFUSED));
    }
}
