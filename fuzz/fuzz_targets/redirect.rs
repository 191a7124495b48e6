//! Whatever is done to a signed query: one that is accepted says what was signed. And no query that is signed does harm.
#![no_main]
libfuzzer_sys::fuzz_target!(|query: portcullis_fuzz::redirect::Query| portcullis_fuzz::redirect::check(
    &query
));
