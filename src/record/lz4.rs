//! LZ4 frames as Kafka has them: independent blocks of at most 64 KiB, no checksums.
//!
//! ```text
//! magic u32 | flags u8 | block size u8 | [content size u64] | header checksum u8
//!   | (size u32 | block | [checksum u32])* | 0 u32 | [checksum u32]
//! ```
//!
//! Little-endian; the highest bit of a block's size marks one that is stored as it is. Other
//! writers' frames, with larger or linked blocks or with checksums, are read too.

use lz4_flex::block::{self, CompressTable, DecompressError};
use twox_hash::XxHash32;

use super::codec;
use crate::error::Corruption;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// The frame Kafka writes: version 1, independent blocks, of 64 KiB at most, header checksum.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const BLOCK: usize = 64 * 1024;
const STORED: u32 = 1 << 31;
/// How far back a linked block may refer.
const WINDOW: usize = 64 * 1024;
/// A compressed byte cannot stand for more.
const MAX_RATIO: usize = 255;

const REFUSED: Corruption = Corruption::Compressed("lz4");

/// Whether the checksum of the frame's header counts.
///
/// Kafka's clients before 0.10 computed it wrongly, over the magic as well; message sets of
/// magic 0 have it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderChecksum {
    Checked,
    Ignored,
}

/// Appends one frame that holds `bytes` to `out`.
pub(crate) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
    out.extend_from_slice(&HEADER);
    let mut table = CompressTable::default();
    for block in bytes.chunks(BLOCK) {
        compress_block(block, &mut table, out)?;
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

fn compress_block(
    bytes: &[u8],
    table: &mut CompressTable,
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    let start = out.len() + 4;
    out.resize(start + block::get_maximum_output_size(bytes.len()), 0);
    let size = block::compress_into_with_table(bytes, &mut out[start..], table);
    let size = size.map_err(|_| REFUSED)?;
    out.truncate(start + size);
    let mut field = size as u32;
    if size >= bytes.len() {
        out.truncate(start);
        out.extend_from_slice(bytes);
        field = bytes.len() as u32 | STORED;
    }
    out[start - 4..start].copy_from_slice(&field.to_le_bytes());
    Ok(())
}

/// Decompresses one frame, which must be all of `bytes`, into at most `limit` bytes.
pub(crate) fn decompress(
    mut bytes: &[u8],
    limit: usize,
    checksum: HeaderChecksum,
) -> Result<Vec<u8>, Corruption> {
    let frame = Frame::parse(&mut bytes, checksum)?;
    let mut out = Vec::new();
    while frame.read_block(&mut bytes, &mut out, limit)? {}
    frame.check_content(&mut bytes, &out)?;
    if bytes.is_empty() { Ok(out) } else { Err(REFUSED) }
}

/// What a frame's header says.
struct Frame {
    block_size: usize,
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
}

impl Frame {
    fn parse(bytes: &mut &[u8], checksum: HeaderChecksum) -> Result<Self, Corruption> {
        if take(bytes)? != MAGIC {
            return Err(REFUSED);
        }
        let header = *bytes;
        let [flags, block_size] = take(bytes)?;
        let version_1 = flags & 0xc0 == 0x40;
        let reserved_or_dictionary = flags & 0x03 != 0 || block_size & 0x8f != 0;
        let block_size = usize::from(block_size >> 4);
        if !version_1 || reserved_or_dictionary || block_size < 4 {
            return Err(REFUSED);
        }
        let frame = Self {
            block_size: 1 << (2 * block_size + 8),
            linked: flags & 0x20 == 0,
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            content_size: match flags & 0x08 {
                0 => None,
                _ => Some(u64::from_le_bytes(take(bytes)?)),
            },
        };
        let hash = XxHash32::oneshot(0, &header[..header.len() - bytes.len()]);
        let [stored] = take(bytes)?;
        let fits = stored == (hash >> 8) as u8 || checksum == HeaderChecksum::Ignored;
        if fits { Ok(frame) } else { Err(REFUSED) }
    }

    /// Appends the next block to `out`; `false` is the frame's end.
    fn read_block(
        &self,
        bytes: &mut &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<bool, Corruption> {
        let field = u32::from_le_bytes(take(bytes)?);
        if field == 0 {
            return Ok(false);
        }
        let size = (field & !STORED) as usize;
        if size > self.block_size {
            return Err(REFUSED);
        }
        let (block, rest) = bytes.split_at_checked(size).ok_or(REFUSED)?;
        *bytes = rest;
        if self.block_checksums && take(bytes)? != XxHash32::oneshot(0, block).to_le_bytes() {
            return Err(REFUSED);
        }
        if field & STORED == 0 {
            self.decompress_block(block, out, limit)?;
        } else if size > limit - out.len() {
            return Err(Corruption::TooLarge { limit });
        } else {
            codec::reserve(out, block.len())?;
            out.extend_from_slice(block);
        }
        Ok(true)
    }

    fn decompress_block(
        &self,
        block: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Corruption> {
        let start = out.len();
        let most = self.block_size.min(block.len().saturating_mul(MAX_RATIO));
        let room = most.min(limit - start);
        codec::reserve(out, room)?;
        out.resize(start + room, 0);
        let (before, room_for_block) = out.split_at_mut(start);
        let result = if self.linked {
            let window = &before[start.saturating_sub(WINDOW)..];
            block::decompress_into_with_dict(block, room_for_block, window)
        } else {
            block::decompress_into(block, room_for_block)
        };
        match result {
            Ok(size) => {
                out.truncate(start + size);
                Ok(())
            }
            Err(DecompressError::OutputTooSmall { .. }) if room < most => {
                Err(Corruption::TooLarge { limit })
            }
            Err(_) => Err(REFUSED),
        }
    }

    fn check_content(&self, bytes: &mut &[u8], content: &[u8]) -> Result<(), Corruption> {
        let size_fits = self.content_size.is_none_or(|size| size == content.len() as u64);
        let checksum_fits =
            !self.content_checksum || take(bytes)? == XxHash32::oneshot(0, content).to_le_bytes();
        if size_fits && checksum_fits { Ok(()) } else { Err(REFUSED) }
    }
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
        compress(bytes, &mut out).unwrap();
        out
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Corruption> {
        decompress(bytes, 1 << 20, HeaderChecksum::Checked)
    }

    /// A frame of `flags` whose blocks are stored as they are, each with `behind` after it.
    fn stored(flags: u8, behind_header: &[u8], blocks: &[&[u8]], end: &[u8]) -> Vec<u8> {
        let mut frame = [&[flags, 0x40], behind_header].concat();
        frame.push((XxHash32::oneshot(0, &frame) >> 8) as u8);
        for block in blocks {
            frame.extend_from_slice(&(block.len() as u32 | STORED).to_le_bytes());
            frame.extend_from_slice(block);
            if flags & 0x10 != 0 {
                frame.extend_from_slice(&XxHash32::oneshot(0, block).to_le_bytes());
            }
        }
        [&MAGIC[..], &frame, &[0; 4], end].concat()
    }

    #[test]
    fn bytes_that_do_not_compress_are_stored() {
        let frame = packed(b"abc");

        assert_eq!(frame[..7], HEADER);
        assert_eq!(frame[7..], [3, 0, 0, 0x80, b'a', b'b', b'c', 0, 0, 0, 0]);
    }

    #[test]
    fn the_header_checksum_counts_unless_it_is_to_be_ignored() {
        let mut frame = packed(b"abc");
        frame[6] ^= 1;

        assert_eq!(unpacked(&frame), Err(REFUSED));
        assert_eq!(decompress(&frame, 3, HeaderChecksum::Ignored).unwrap(), b"abc");
    }

    #[test]
    fn frames_with_sizes_and_checksums_are_read_and_held_to_them() {
        let content = XxHash32::oneshot(0, b"abcde").to_le_bytes();
        let size = 5_u64.to_le_bytes();
        let blocks: [&[u8]; 2] = [b"abc", b"de"];

        assert_eq!(unpacked(&stored(0x78, &size, &blocks, &[])).unwrap(), b"abcde");
        assert_eq!(unpacked(&stored(0x64, &[], &blocks, &content)).unwrap(), b"abcde");
        assert_eq!(unpacked(&stored(0x78, &size, &blocks[..1], &[])), Err(REFUSED));
        assert_eq!(unpacked(&stored(0x64, &[], &blocks[..1], &content)), Err(REFUSED));
        let mut damaged = stored(0x70, &[], &blocks, &[]);
        damaged[12] ^= 1;
        assert_eq!(unpacked(&damaged), Err(REFUSED));
    }

    #[test]
    fn stored_blocks_count_towards_the_limit() {
        let frame = stored(0x60, &[], &[b"abc", b"de"], &[]);
        let result = decompress(&frame, 4, HeaderChecksum::Checked);

        assert_eq!(result, Err(Corruption::TooLarge { limit: 4 }));
    }

    #[test]
    fn a_linked_block_refers_to_the_one_before() {
        let mut frame = stored(0x40, &[], &[b"0123456789abcdef"], &[]);
        frame.truncate(frame.len() - 4);
        // No literal, a match of 4 + 11 bytes 16 back; then five literals, as the format ends.
        let block = [0x0b, 16, 0, 0x50, b'v', b'w', b'x', b'y', b'z'];
        frame.extend_from_slice(&[9, 0, 0, 0]);
        frame.extend_from_slice(&block);
        frame.extend_from_slice(&[0; 4]);

        assert_eq!(unpacked(&frame).unwrap(), b"0123456789abcdef0123456789abcdevwxyz");
    }

    #[test]
    fn other_versions_dictionaries_and_sizes_are_refused() {
        for (flags, block_size) in
            [(0xa0, 0x40), (0x61, 0x40), (0x62, 0x40), (0x60, 0x30), (0x60, 0xc0)]
        {
            let hash = (XxHash32::oneshot(0, &[flags, block_size]) >> 8) as u8;
            let frame = [&MAGIC[..], &[flags, block_size, hash], &[0; 4]].concat();

            assert_eq!(unpacked(&frame), Err(REFUSED), "{flags:#x} {block_size:#x}");
        }
    }

    #[test]
    fn a_block_above_the_frame_s_size_is_refused() {
        let block = vec![0; BLOCK + 1];
        let frame = stored(0x60, &[], &[&block], &[]);

        assert_eq!(unpacked(&frame), Err(REFUSED));
    }
}
