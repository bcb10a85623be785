//! `jetpack facts` against Debian's `ohai`.

use std::path::Path;

use crate::comparison::{Comparison, Goal, Measure};
use crate::ours;
use crate::process::Contender;

/// All default facts of this machine by both.
pub(crate) fn comparisons(_scratch: &Path) -> anyhow::Result<Vec<Comparison>> {
    Ok(vec![Comparison {
        title: "All default facts of this machine as JSON".to_owned(),
        ours: Contender::new("jetpack facts", ours("jetpack")?).args(["facts"]),
        peers: vec![
            Contender::new("ohai", "ohai")
                .args(["--log_level", "fatal"])
                // Ruby takes the encoding of files from it.
                .env("LC_ALL", "C.UTF-8"),
        ],
        goals: vec![
            Goal::Ratio {
                peer: "ohai",
                measure: Measure::Cpu,
                at_least: 100.0,
            },
            Goal::Memory(8_000_000 / 1024),
            Goal::Alone,
        ],
    }])
}
