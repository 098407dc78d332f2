//! The fields that messages are made of, written and read.

#![allow(clippy::option_option, reason = "a field that is null is not one that is damaged")]

/// What the length of a string can say.
const MAX_STRING: usize = i16::MAX as usize;

/// Appends fields to a message.
pub(crate) trait Put {
    fn put_i16(&mut self, value: i16);
    fn put_i32(&mut self, value: i32);
    fn put_i64(&mut self, value: i64);
    /// Text of at most 32,767 bytes; of a longer one, which only a client's id can be, the rest
    /// is left out.
    fn put_string(&mut self, text: &str);
    fn put_nullable_string(&mut self, text: Option<&str>);
    fn put_bytes(&mut self, bytes: &[u8]);
    fn put_nullable_bytes(&mut self, bytes: Option<&[u8]>);
    /// The number of elements that follow.
    fn put_count(&mut self, count: usize);
}

impl Put for Vec<u8> {
    fn put_i16(&mut self, value: i16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_string(&mut self, text: &str) {
        let mut len = text.len().min(MAX_STRING);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.put_i16(len as i16);
        self.extend_from_slice(&text.as_bytes()[..len]);
    }

    fn put_nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.put_string(text),
            None => self.put_i16(-1),
        }
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_count(bytes.len());
        self.extend_from_slice(bytes);
    }

    fn put_nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.put_bytes(bytes),
            None => self.put_i32(-1),
        }
    }

    fn put_count(&mut self, count: usize) {
        self.put_i32(i32::try_from(count).expect("a message has less than 2 GiB"));
    }
}

/// What is left of a message. A field that is not there, or not in order, is `None`.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// Whether lengths are varints and structures end with tagged fields.
    flexible: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message, flexible: false }
    }

    /// Goes on as in a flexible version.
    pub(crate) fn flexible(self, flexible: bool) -> Self {
        Self { flexible, ..self }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*field)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        self.nullable_string()?
    }

    pub(crate) fn nullable_string(&mut self) -> Option<Option<String>> {
        let len = if self.flexible { self.compact_len()? } else { len(self.i16()?.into())? };
        let Some(len) = len else { return Some(None) };
        String::from_utf8(self.slice(len)?.to_vec()).ok().map(Some)
    }

    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        self.nullable_bytes()?
    }

    pub(crate) fn nullable_bytes(&mut self) -> Option<Option<Vec<u8>>> {
        match self.long_len()? {
            Some(len) => Some(Some(self.slice(len)?.to_vec())),
            None => Some(None),
        }
    }

    /// An array, an element by each call of `one`, which must read at least a byte.
    pub(crate) fn array<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.long_len()??;
        if count > self.rest.len() {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }

    /// The end of a structure: in flexible versions its tagged fields, which nobody knows yet.
    pub(crate) fn end(&mut self) -> Option<()> {
        let tagged = if self.flexible { self.varint()? } else { 0 };
        for _ in 0..tagged {
            self.varint()?;
            let len = self.varint()?;
            self.slice(usize::try_from(len).ok()?)?;
        }
        Some(())
    }

    fn long_len(&mut self) -> Option<Option<usize>> {
        if self.flexible { self.compact_len() } else { len(self.i32()?) }
    }

    fn compact_len(&mut self) -> Option<Option<usize>> {
        match self.varint()?.checked_sub(1) {
            Some(len) => Some(Some(usize::try_from(len).ok()?)),
            None => Some(None),
        }
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(slice)
    }
}

/// A length as fixed versions have it: -1 is null, less is damage.
fn len(field: i32) -> Option<Option<usize>> {
    match field {
        -1 => Some(None),
        len => usize::try_from(len).ok().map(Some),
    }
}
