//! Whatever a filter says, it is read as it is printed, and no index hides what passes it.
#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| portcullis_fuzz::scim_filter::check(octets));
