#![no_main]

use brokerless::Compression::Snappy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::codec(Snappy, bytes));
