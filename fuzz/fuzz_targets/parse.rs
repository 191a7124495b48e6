//! What the second pass accepts, the first accepts with the same meaning; and neither panics on anything.
#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| portcullis_fuzz::parse::check(octets));
