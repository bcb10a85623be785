//! `shard_seed`: a number by which machines are told apart evenly, the same as long as the machine lives.
//!
//! It is made of the name and of the serial number and UUID in the firmware. Those only root may read: for others there
//! is no seed.

use md5::{Digest, Md5};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{Plugin, dmi, small};
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["shard_seed"],
    on_demand: false,
    collect,
};

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    if let Some(seed) = seed(machine) {
        facts.insert("shard_seed".to_owned(), seed.into());
    }
}

fn seed(machine: &Machine) -> Option<u32> {
    let dmi = dmi::read(machine);
    let find = |name| {
        ["system", "base_board", "chassis"]
            .iter()
            .filter_map(|section| dmi::field(&dmi, section, name))
            .find(|value| !value.trim().is_empty())
    };
    let (serial, uuid) = (find("serial_number")?, find("uuid")?);
    let name = machine.read_value("/proc/sys/kernel/hostname")?;
    let text = format!("{name}{serial}{uuid}");
    let digest: [u8; 4] = if small::fips(machine) {
        first_four(&Sha256::digest(text))?
    } else {
        first_four(&Md5::digest(text))?
    };
    // Seven hexadecimal digits.
    Some(u32::from_be_bytes(digest) >> 4)
}

fn first_four(digest: &[u8]) -> Option<[u8; 4]> {
    digest.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn the_seed_is_the_start_of_a_digest() {
        let files = [
            ("/proc/sys/kernel/hostname", "somehost001\n"),
            ("/sys/class/dmi/id/product_serial", "some-serial\n"),
            (
                "/sys/class/dmi/id/product_uuid",
                "0c8bb2c1-d2e7-4a95-bba9-32b1b2ee4a44\n",
            ),
        ];
        let (_root, full) = machine(&files);
        // echo -n somehost001some-serial0c8bb2c1-d2e7-4a95-bba9-32b1b2ee4a44 | md5sum | cut -c 1-7
        assert_eq!(seed(&full), Some(0x81d8e52));
        let (_root, not_root) = machine(&files[..2]);
        assert_eq!(seed(&not_root), None);
    }
}
