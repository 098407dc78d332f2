//! Kafka's four codecs.

use crate::error::Corruption;
use crate::types::Compression;

/// Compresses `bytes` and appends the result to `out`.
pub fn compress(
    codec: Compression,
    level: Option<i32>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    let _ = level;
    match codec {
        Compression::None => out.extend_from_slice(bytes),
        codec => return Err(Corruption::Compressed(codec.name())),
    }
    Ok(())
}

/// Decompresses `bytes` into at most `limit` bytes.
pub fn decompress(codec: Compression, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    match codec {
        Compression::None if bytes.len() > limit => Err(Corruption::TooLarge { limit }),
        Compression::None => Ok(bytes.to_vec()),
        codec => Err(Corruption::Compressed(codec.name())),
    }
}
