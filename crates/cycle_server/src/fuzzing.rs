//! What a fuzzer in `fuzz/` runs: cluster templates of anybody. A test replays the seeds through the same function.

use serde_json::Map;

use crate::template::{parse, resolve};

/// Reads a cluster template: what is wrong is in the text, and the same text gives the same definition.
///
/// # Panics
/// When that does not hold.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let lines = text.split('\n').count();
    let check = |error: &crate::template::TemplateError| {
        if let Some(position) = error.position() {
            assert!(
                (1..=lines).contains(&position.line) && position.column >= 1,
                "{error:?} is not in {lines} lines"
            );
        }
    };
    let template = match parse("a.txt", text) {
        Ok(template) => template,
        Err(error) => return check(&error),
    };
    let define = || resolve(&template, template.cluster_name(), &Map::new());
    match (define(), define()) {
        (Ok(first), Ok(second)) => assert_eq!(format!("{first:?}"), format!("{second:?}")),
        (Err(first), Err(second)) => {
            check(&first);
            assert_eq!(first.to_string(), second.to_string());
        }
        (first, second) => assert_eq!(first.is_ok(), second.is_ok()),
    }
}

/// Templates as people write them.
pub fn template_seeds() -> Vec<Vec<u8>> {
    let short = "[cluster c]\nCategory = x\n\n[[node defaults]]\nIsReturnProxy = false\n[[[configuration]]]\na.b = 1\n\n\
                 [[nodearray n]]\nExtends = defaults\nMaxCoreCount = $Cores\n[[[cluster-init p:default:1.0.0]]]\n\n\
                 [parameters P]\n[[parameter Cores]]\nDefaultValue = 8\nParameterType = Integer\n";
    let mut seeds = vec![include_bytes!("template/testdata/grid.txt").to_vec()];
    seeds.push(short.as_bytes().to_vec());
    seeds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeds_are_templates() {
        for seed in template_seeds() {
            parse("a.txt", std::str::from_utf8(&seed).unwrap()).unwrap();
            template(&seed);
        }
    }

    proptest! {
        #[test]
        fn mutated_templates_keep_the_promises(
            seed in prop::sample::select(template_seeds()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut bytes = seed;
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            template(&bytes);
        }
    }
}
