#![no_main]

use brokerless::Compression::Zstd;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::codec(Zstd, bytes));
