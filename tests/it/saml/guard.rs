//! The switches of the guards are in no build that could ship.
use std::process::Command;

/// Compiles the file of the guards alone, as the crate would.
fn compile(debug_assertions: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("rustc")
        .args([
            "--crate-type",
            "lib",
            "--edition",
            "2024",
            "--emit",
            "metadata",
            "--cfg",
            "feature=\"guard-ablation\"",
        ])
        .args(["-C", &format!("debug-assertions={debug_assertions}"), "-o"])
        .arg(folder.path().join("guard.rmeta"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/saml/guard/mod.rs"))
        .output()
        .expect("rustc, which compiled this");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_switches_need_debug_assertions() {
    let (compiles, messages) = compile("on");
    assert!(compiles, "{messages}");
    let (compiles, messages) = compile("off");
    assert!(!compiles && messages.contains("guard-ablation takes guards away"), "{messages}");
}
