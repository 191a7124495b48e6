//! Whatever a PATCH does, what comes out of it is a resource that could have been sent.
#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| portcullis_fuzz::scim_patch::check(octets));
