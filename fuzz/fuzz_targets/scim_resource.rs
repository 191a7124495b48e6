//! Whatever a client sends, what is shown of it can be sent back and changes nothing.
#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| portcullis_fuzz::scim_resource::check(octets));
