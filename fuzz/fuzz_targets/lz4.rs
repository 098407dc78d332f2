#![no_main]

use brokerless::Compression::Lz4;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::codec(Lz4, bytes));
