//! `grub2`: the variables that the boot loader keeps, as `grub2-editenv list` shows them.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["grub2"],
    on_demand: true,
    collect,
};

const ENVIRONMENTS: [&str; 2] = ["/boot/grub2/grubenv", "/boot/grub/grubenv"];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if let Some(text) = ENVIRONMENTS.iter().find_map(|path| machine.read(path)) {
        facts.insert("grub2".to_owned(), json!({"environment": variables(&text)}));
    }
}

/// Lines `name=value`; comments and the padding at the end begin with `#`.
fn variables(text: &str) -> Map<String, Value> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim().into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_padding_are_no_variables() {
        let text =
            "# GRUB Environment Block\nsaved_entry=abc-5.14.0\nkernelopts=root=/dev/sda2 ro \n######=##";
        assert_eq!(
            Value::Object(variables(text)),
            json!({"saved_entry": "abc-5.14.0", "kernelopts": "root=/dev/sda2 ro"})
        );
    }
}
