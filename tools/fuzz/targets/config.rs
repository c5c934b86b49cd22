#![no_main]

use orion::config::{Sources, import_yaml, load};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(yaml) = std::str::from_utf8(text)
        && let Err(refused) = import_yaml(yaml)
    {
        assert!(!refused.render(false).is_empty(), "a refusal says why");
    }
    // Settings are read from a file, so one is written: in memory, and one per process.
    let file = std::path::PathBuf::from(format!("/dev/shm/orion-fuzz-{}.toml", std::process::id()));
    std::fs::write(&file, text).expect("memory takes a small file");
    let sources = Sources { file: Some(file.clone()), ..Sources::default() };
    let loaded = load(&sources);
    match &loaded {
        Ok(loaded) => assert!(!loaded.origins.is_empty(), "every setting has its origin"),
        Err(refused) => {
            assert!(!refused.render(false).is_empty(), "a refusal says why");
            assert!(refused.faults().iter().all(|fault| fault.line().is_none_or(|line| 0 < line)), "lines count from 1");
        }
    }
    let _ = std::fs::remove_file(file);
});
