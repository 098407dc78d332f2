//! The headers of one record.

use super::varint::read_i32;
use crate::error::Corruption;

/// A record's headers: names, not unique, each with a value or none.
///
/// They were checked when the record was read, so going through them cannot fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// The encoded headers, without their count.
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Headers<'a> {
    /// Takes the headers, which end the record, and checks them.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Corruption> {
        match bytes {
            [0] => Ok(Self::default()),
            _ => Self::parse_some(bytes),
        }
    }

    fn parse_some(mut bytes: &'a [u8]) -> Result<Self, Corruption> {
        let count = read_i32(&mut bytes)?;
        let count = usize::try_from(count)
            .ok()
            .filter(|&count| count <= bytes.len())
            .ok_or(Corruption::Length(count.into()))?;
        let mut rest = bytes;
        for _ in 0..count {
            header(&mut rest)?;
        }
        match rest {
            [] => Ok(Self { bytes, count }),
            _ => Err(Corruption::Length(rest.len() as i64)),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Goes through them in the order in which they were sent.
    pub const fn iter(&self) -> HeadersIter<'a> {
        HeadersIter { headers: *self }
    }
}

/// By names and values: one header can be encoded in more than one way.
impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers<'_> {}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// Goes through [`Headers`].
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    headers: Headers<'a>,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.headers.count = self.headers.count.checked_sub(1)?;
        Some(header(&mut self.headers.bytes).expect("headers were checked with their record"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.headers.count, Some(self.headers.count))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

fn header<'a>(bytes: &mut &'a [u8]) -> Result<(&'a str, Option<&'a [u8]>), Corruption> {
    let key = field(bytes)?.ok_or(Corruption::Field("header key"))?;
    let key = std::str::from_utf8(key).map_err(|_| Corruption::Field("header key"))?;
    Ok((key, field(bytes)?))
}

/// Takes a length and that many bytes; a negative length is null.
#[inline]
pub(crate) fn field<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Corruption> {
    let length = read_i32(bytes)?;
    if length < 0 {
        return Ok(None);
    }
    let need = length as usize;
    let Some((field, rest)) = bytes.split_at_checked(need) else {
        return Err(Corruption::Truncated { have: bytes.len(), need });
    };
    *bytes = rest;
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_equal_however_they_are_encoded() {
        // One header "h" without a value, whose length is -1, then -2, then 0 for an empty one.
        let [null, also_null, empty] = [1, 3, 0].map(|length| [2, 2, b'h', length]);
        let [null, also_null, empty] =
            [&null, &also_null, &empty].map(|bytes| Headers::parse(bytes).unwrap());

        assert_eq!(null, also_null);
        assert_ne!(null, empty);
        assert_ne!(null, Headers::default());
    }
}
