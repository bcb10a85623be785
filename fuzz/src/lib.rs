//! What all fuzzers share.

use std::fs;
use std::path::PathBuf;

/// Puts the seeds of a target into its corpus: the first argument that is a folder, which libFuzzer reads afterwards.
///
/// # Panics
/// When they cannot be written.
#[expect(clippy::disallowed_methods, reason = "a corpus need not survive a power cut")]
pub fn plant(seeds: Vec<Vec<u8>>) {
    let corpus = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .find(|argument| argument.is_dir());
    for (number, seed) in seeds.iter().enumerate() {
        if let Some(corpus) = &corpus {
            fs::write(corpus.join(format!("seed-{number}")), seed).expect("a corpus that can be written");
        }
    }
}
