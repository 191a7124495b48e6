//! Whatever somebody encrypts to us: a response that is accepted has exactly the claims that were signed.
#![no_main]
libfuzzer_sys::fuzz_target!(|sealed: portcullis_fuzz::decrypt::Sealed| portcullis_fuzz::decrypt::check(
    &sealed
));
