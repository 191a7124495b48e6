//! Whatever is done to signed responses: one that is accepted has exactly the claims that were signed.
#![no_main]
libfuzzer_sys::fuzz_target!(|edits: portcullis_fuzz::verify::Edits| portcullis_fuzz::verify::check(&edits));
