#![no_main]

use brokerless::Compression::Gzip;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::codec(Gzip, bytes));
