//! `pci`: devices on PCI buses, from /sys/bus/pci, with names from the list of known numbers if the machine has it
//! (`pci.ids`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["pci"],
    on_demand: true,
    collect,
};

const DEVICES: &str = "/sys/bus/pci/devices";
const NAMES: [&str; 3] = [
    "/usr/share/hwdata/pci.ids",
    "/usr/share/misc/pci.ids",
    "/usr/share/pci.ids",
];

/// What has a name, by numbers of four hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// A class of two digits, a subclass of four.
    Class(String),
    Vendor(String),
    Device(String, String),
    /// Vendor, device, vendor and number of the board.
    Board(String, String, String, String),
}

/// The numbers of a device.
#[derive(Debug)]
struct Device {
    class: String,
    vendor: String,
    device: String,
    board: Option<(String, String)>,
}

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    let addresses = machine.list(DEVICES);
    let found: Vec<_> = addresses
        .iter()
        .filter_map(|address| Some((address.as_str(), read(machine, address)?)))
        .collect();
    let mut wanted = BTreeSet::new();
    for (_, device) in &found {
        wanted.insert(Named::Class(device.class.clone()));
        wanted.insert(Named::Class(device.class.get(..2).unwrap_or_default().to_owned()));
        wanted.insert(Named::Vendor(device.vendor.clone()));
        wanted.insert(Named::Device(device.vendor.clone(), device.device.clone()));
        wanted.extend(board(device));
    }
    let list = NAMES
        .iter()
        .find_map(|path| machine.read(path))
        .unwrap_or_default();
    let names = names(&list, &wanted);

    let mut devices = json!({});
    for (address, device) in &found {
        // Most machines have one domain only, which nobody writes.
        let short = address.strip_prefix("0000:").unwrap_or(address);
        devices[short] = describe(machine, address, device, &names);
    }
    facts.insert("pci".to_owned(), devices);
}

fn read(machine: &Machine, address: &str) -> Option<Device> {
    let number = |file: &str| {
        let text = machine.read_value(&format!("{DEVICES}/{address}/{file}"))?;
        text.strip_prefix("0x")?.get(..4).map(str::to_lowercase)
    };
    let board = number("subsystem_vendor").zip(number("subsystem_device"));
    Some(Device {
        class: number("class")?,
        vendor: number("vendor")?,
        device: number("device")?,
        board: board.filter(|(vendor, _)| vendor != "0000"),
    })
}

fn board(device: &Device) -> Option<Named> {
    let (vendor, number) = device.board.clone()?;
    Some(Named::Board(
        device.vendor.clone(),
        device.device.clone(),
        vendor,
        number,
    ))
}

fn describe(machine: &Machine, address: &str, device: &Device, names: &BTreeMap<Named, String>) -> Value {
    let name = |of: &Named, otherwise: &str| names.get(of).map_or(otherwise, String::as_str).to_owned();
    let class = name(
        &Named::Class(device.class.get(..2).unwrap_or_default().to_owned()),
        "Class",
    );
    let mut described = json!({
        "class_name": name(&Named::Class(device.class.clone()), &class),
        "class_id": device.class,
        "vendor_name": name(&Named::Vendor(device.vendor.clone()), "Vendor"),
        "vendor_id": device.vendor,
        "device_name": name(&Named::Device(device.vendor.clone(), device.device.clone()), "Device"),
        "device_id": device.device,
    });
    if let (Some((_, number)), Some(named)) = (&device.board, board(device)) {
        // The maker's own board has no name of its own.
        let own = device.board == Some((device.vendor.clone(), device.device.clone()));
        let otherwise = described["device_name"]
            .as_str()
            .filter(|_| own)
            .unwrap_or("Device");
        described["sdevice_name"] = name(&named, otherwise).into();
        described["sdevice_id"] = number.as_str().into();
    }
    for (key, link) in [("driver", "driver"), ("module", "driver/module")] {
        let target = machine.link(&format!("{DEVICES}/{address}/{link}"));
        if let Some(name) = target.as_deref().and_then(|path| path.file_name()?.to_str()) {
            described[key] = json!([name]);
        }
    }
    described
}

/// The wanted names of the list. Its lines are `VENDOR  name`, indented once `DEVICE  name`, twice
/// `VENDOR DEVICE  name` of a board; after `C CLASS  name`, indented once, `SUBCLASS  name`.
fn names(list: &str, wanted: &BTreeSet<Named>) -> BTreeMap<Named, String> {
    let mut names = BTreeMap::new();
    let (mut class, mut vendor, mut device) = (None, String::new(), String::new());
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let depth = line.bytes().take_while(|byte| *byte == b'\t').count();
        let Some((numbers, name)) = line[depth..].split_once("  ") else {
            continue;
        };
        let named = match (depth, &class) {
            (0, _) => match numbers.split_once(' ') {
                Some(("C", number)) => {
                    class = Some(number.to_owned());
                    Named::Class(number.to_owned())
                }
                // Lists of other things follow the classes.
                Some(_) => continue,
                None => {
                    class = None;
                    vendor = numbers.to_owned();
                    Named::Vendor(vendor.clone())
                }
            },
            (1, Some(class)) => Named::Class(format!("{class}{numbers}")),
            (1, None) => {
                device = numbers.to_owned();
                Named::Device(vendor.clone(), device.clone())
            }
            (2, None) => match numbers.split_once(' ') {
                Some((maker, number)) => Named::Board(
                    vendor.clone(),
                    device.clone(),
                    maker.to_owned(),
                    number.to_owned(),
                ),
                None => continue,
            },
            _ => continue,
        };
        if wanted.contains(&named) {
            names.insert(named, name.trim().to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "# comment\n15b3  Mellanox Technologies\n\t1018  MT27800 Family [ConnectX-5 Virtual Function]\n\
                        \t\t15b3 0058  ConnectX-5 board\n1af4  Red Hat, Inc.\n\t1041  Virtio 1.0 network device\n\
                        C 02  Network controller\n\t00  Ethernet controller\n\t07  Infiniband controller\n";

    #[test]
    fn names_are_found_at_each_depth() {
        let of = |text: &str| text.to_owned();
        let wanted = BTreeSet::from([
            Named::Class(of("0207")),
            Named::Vendor(of("15b3")),
            Named::Device(of("1af4"), of("1041")),
            Named::Board(of("15b3"), of("1018"), of("15b3"), of("0058")),
            Named::Vendor(of("ffff")),
        ]);
        let names = names(LIST, &wanted);
        let found: BTreeSet<_> = names.values().map(String::as_str).collect();
        let expected = [
            "Infiniband controller",
            "Mellanox Technologies",
            "Virtio 1.0 network device",
            "ConnectX-5 board",
        ];
        assert_eq!(found, BTreeSet::from(expected));
    }

    proptest! {
        #[test]
        fn no_list_makes_the_reader_panic(list in "(\\PC|[\\t\\n 0-9a-fC]){0,200}") {
            names(&list, &BTreeSet::new());
        }
    }
}
