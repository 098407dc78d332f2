#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::run("batch_decode", bytes));
