//! A canonical form means what its source means, and is its own canonical form.
#![no_main]
libfuzzer_sys::fuzz_target!(|question: portcullis_fuzz::canonical::Question| {
    portcullis_fuzz::canonical::check(&question)
});
