//! SipHash-2-4 with 128 bits (Aumasson and Bernstein): who does not know the key cannot find two
//! inputs with one hash.

/// The hash of `bytes` under a secret key.
pub(crate) fn hash(key: u128, bytes: &[u8]) -> u128 {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let mut state = State([
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    state.take(u64::from_le_bytes(last));
    let first = state.finish(2, 0xee);
    let second = state.finish(1, 0xdd);
    u128::from(second) << 64 | u128::from(first)
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.rounds(2);
        self.0[0] ^= word;
    }

    fn finish(&mut self, at: usize, mark: u64) -> u64 {
        self.0[at] ^= mark;
        self.rounds(4);
        self.0.iter().fold(0, |all, word| all ^ word)
    }

    fn rounds(&mut self, count: usize) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for _ in 0..count {
            a = a.wrapping_add(b);
            b = b.rotate_left(13) ^ a;
            a = a.rotate_left(32);
            c = c.wrapping_add(d);
            d = d.rotate_left(16) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(21) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_authors() {
        // From `vectors.h` of the reference implementation: inputs 00, 01, 02, ...
        let key = u128::from_le_bytes(std::array::from_fn(|index| index as u8));
        let expected =
            [0x9302_55c7_1472_f66d_e6a8_25ba_047f_81a3, 0x45fc_229b_1159_7634_44af_996b_d8c1_87da];

        for (len, expected) in expected.into_iter().enumerate() {
            let input: Vec<u8> = (0..len as u8).collect();

            assert_eq!(hash(key, &input), expected, "{len}");
        }
        assert_ne!(hash(key, &[0; 8]), hash(key, &[0; 9]));
    }
}
