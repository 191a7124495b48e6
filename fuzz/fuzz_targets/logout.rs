//! Whatever is done to signed logout messages: one that is accepted says what was signed.
#![no_main]
libfuzzer_sys::fuzz_target!(|edits: portcullis_fuzz::logout::Edits| portcullis_fuzz::logout::check(&edits));
