//! An IdP's document under a pinned signer says what was signed; any other that is taken is one that a connection can use.
#![no_main]
libfuzzer_sys::fuzz_target!(|edits: portcullis_fuzz::metadata::Edits| portcullis_fuzz::metadata::check(
    &edits
));
