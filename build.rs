//! Tells the program how it was built, so that `serve` can warn of a quick build in production.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo:rustc-env=BUILD_OPT_LEVEL={level}");
}
