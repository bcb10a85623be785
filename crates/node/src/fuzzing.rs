//! What a fuzzer in `fuzz/` runs: settings that others wrote. A test replays the seeds through the same function.

use crate::home::Home;
use crate::ini::Ini;
use crate::settings::Settings;

/// Reads the text of a `jetpack.ini`: it is written back line by line as it was, a key that is set has its value, and nothing else
/// changes.
///
/// # Panics
/// When that does not hold.
pub fn ini(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(mut ini) = Ini::parse("jetpack.ini", text) else {
        return;
    };
    let written = ini.to_string();
    // The last line may end in the middle of its line break.
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_end_matches('\r').to_owned());
        lines.collect()
    };
    assert_eq!(lines(&written), lines(text), "{text:?} became {written:?}");
    let _ = Settings::from_ini(&Home::at("/home"), &ini, "jetpack.ini");
    let others = |ini: &Ini| -> Vec<(String, String, String)> {
        ini.entries()
            .filter(|entry| (entry.section, entry.key) != ("cycle_server", "webserver"))
            .map(|entry| {
                (
                    entry.section.to_owned(),
                    entry.key.to_owned(),
                    entry.value.to_owned(),
                )
            })
            .collect()
    };
    let key = ini
        .find("cycle_server", "webserver")
        .map_or("webserver", |entry| entry.key)
        .to_owned();
    let is_ours = key == "webserver";
    let before = others(&ini);
    ini.set("cycle_server", &key, "https://server:8443");
    let again = Ini::parse("jetpack.ini", &ini.to_string());
    let found = again
        .as_ref()
        .ok()
        .and_then(|again| again.find("cycle_server", &key));
    assert_eq!(
        found.map(|entry| entry.value),
        Some("https://server:8443"),
        "in {again:?}"
    );
    if is_ours {
        assert_eq!(again.as_ref().map(others).ok(), Some(before));
    }
}

/// Settings as administrators write them.
pub fn ini_seeds() -> Vec<Vec<u8>> {
    [
        "# by hand\n[cycle_server]\nwebserver = https://server:8443\ntransport = auto\n\n[identity]\nnode_id: 1\n",
        "[converge]\nretry_initial = 5s\nretry_max = PT5M\nscript_timeout = 14400\ndownloads = 8\ncluster_init_root = x\n",
        "; odd\r\n[mine]\r\nx: a = b\r\n\u{feff}[metadata]\nprovider = azure\n[log]\nlevel = debug\n",
        "[converge]\n; cut off\r",
    ]
    .map(|text: &str| text.as_bytes().to_vec())
    .to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeds_are_settings() {
        for seed in ini_seeds() {
            Ini::parse("f", std::str::from_utf8(&seed).unwrap()).unwrap();
            ini(&seed);
        }
    }

    proptest! {
        #[test]
        fn mutated_settings_keep_the_promises(
            seed in prop::sample::select(ini_seeds()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut bytes = seed;
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            ini(&bytes);
        }
    }
}
