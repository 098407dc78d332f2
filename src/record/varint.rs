//! Variable-length integers: zigzag, then seven bits a byte, the lowest first.

use crate::error::Corruption;

/// The most bytes an `i32` takes.
pub const MAX_VARINT: usize = 5;
/// The most bytes an `i64` takes.
pub const MAX_VARLONG: usize = 10;

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How many bytes `value` takes, as an `i32` or an `i64` alike.
#[inline]
pub const fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes `value` at `*at` and moves `*at` behind it; there must be room for [`size`] bytes.
#[inline]
pub(crate) fn put(out: &mut [u8], at: &mut usize, value: i64) {
    let mut rest = zigzag(value);
    while rest > 0x7f {
        out[*at] = rest as u8 | 0x80;
        *at += 1;
        rest >>= 7;
    }
    out[*at] = rest as u8;
    *at += 1;
}

/// Appends `value` to `out`.
pub fn write(out: &mut Vec<u8>, value: i64) {
    let (mut bytes, mut end) = ([0; MAX_VARLONG], 0);
    put(&mut bytes, &mut end, value);
    out.extend_from_slice(&bytes[..end]);
}

/// Takes an `i32` of at most [`MAX_VARINT`] bytes off the front of `bytes`.
#[inline]
pub fn read_i32(bytes: &mut &[u8]) -> Result<i32, Corruption> {
    let value = read(bytes, MAX_VARINT)?;
    // Bits above the 32nd are dropped, as Kafka does.
    Ok(unzigzag(value & 0xffff_ffff) as i32)
}

/// Takes an `i64` of at most [`MAX_VARLONG`] bytes off the front of `bytes`.
#[inline]
pub fn read_i64(bytes: &mut &[u8]) -> Result<i64, Corruption> {
    read(bytes, MAX_VARLONG).map(unzigzag)
}

#[inline]
fn read(bytes: &mut &[u8], max: usize) -> Result<u64, Corruption> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first & 0x7f) | u64::from(second) << 7)
        }
        _ => read_long(bytes, max),
    }
}

#[cold]
fn read_long(bytes: &mut &[u8], max: usize) -> Result<u64, Corruption> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(value);
        }
    }
    match bytes.len() {
        have if have < max => Err(Corruption::Truncated { have, need: have + 1 }),
        _ => Err(Corruption::Varint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn small_numbers_of_either_sign_take_one_byte() {
        let expected: [(i64, &[u8]); 9] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, bytes) in expected {
            assert_eq!(bytes_of(value), bytes, "{value}");
        }
    }

    #[test]
    fn a_number_that_does_not_end_is_an_error() {
        assert_eq!(read_i32(&mut &[0xff; 6][..]), Err(Corruption::Varint));
        assert_eq!(read_i64(&mut &[0xff; 11][..]), Err(Corruption::Varint));
        assert_eq!(read_i32(&mut &[0x80; 3][..]), Err(Corruption::Truncated { have: 3, need: 4 }));
        assert_eq!(read_i32(&mut &[][..]), Err(Corruption::Truncated { have: 0, need: 1 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64, shift in 0_u32..64, tail: u8) {
            let value = value >> shift;
            let mut bytes = bytes_of(value);
            prop_assert_eq!(bytes.len(), size(value));
            bytes.push(tail);

            let mut rest = &bytes[..];
            prop_assert_eq!(read_i64(&mut rest), Ok(value));
            prop_assert_eq!(rest, &[tail][..]);

            if let Ok(value) = i32::try_from(value) {
                let mut rest = &bytes[..];
                prop_assert_eq!(read_i32(&mut rest), Ok(value));
                prop_assert_eq!(rest, &[tail][..]);
            }
        }
    }
}
