//! `dmi`: what the firmware says of the machine.
//!
//! Ohai asks `dmidecode`. This reads the same firmware tables, where the kernel shows them to root, and else the few
//! fields that it shows to everybody.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::machine::Machine;

mod table;

pub(super) const PLUGIN: Plugin = Plugin {
    provides: &["dmi"],
    on_demand: false,
    collect,
};

const ENTRY: &str = "/sys/firmware/dmi/tables/smbios_entry_point";
const TABLE: &str = "/sys/firmware/dmi/tables/DMI";

/// Fields of no record: Ohai finds them in the output and keeps them out of the short forms.
const NO_FIELDS: [&str; 3] = ["application_identifier", "size", "record_id"];

/// Files of `/sys/class/dmi/id`, the record that they are of, and what `dmidecode` calls them.
const FILES: [(&str, &str, &str); 17] = [
    ("bios_vendor", "bios", "Vendor"),
    ("bios_version", "bios", "Version"),
    ("bios_date", "bios", "Release Date"),
    ("sys_vendor", "system", "Manufacturer"),
    ("product_name", "system", "Product Name"),
    ("product_version", "system", "Version"),
    ("product_serial", "system", "Serial Number"),
    ("product_uuid", "system", "UUID"),
    ("product_sku", "system", "SKU Number"),
    ("product_family", "system", "Family"),
    ("board_vendor", "base_board", "Manufacturer"),
    ("board_name", "base_board", "Product Name"),
    ("board_serial", "base_board", "Serial Number"),
    ("chassis_vendor", "chassis", "Manufacturer"),
    ("chassis_version", "chassis", "Version"),
    ("chassis_serial", "chassis", "Serial Number"),
    ("chassis_asset_tag", "chassis", "Asset Tag"),
];

fn collect(machine: &Machine, facts: &mut Map<String, Value>) {
    facts.insert("dmi".to_owned(), read(machine).into());
}

/// All records, by what they describe.
pub(super) fn read(machine: &Machine) -> Map<String, Value> {
    let mut dmi = match machine.bytes(TABLE) {
        Some(table) => {
            let entry = machine.bytes(ENTRY).unwrap_or_default();
            table::decode(&entry, &table)
        }
        None => by_files(machine),
    };
    shorten(&mut dmi);
    dmi
}

fn by_files(machine: &Machine) -> Map<String, Value> {
    let mut dmi = Map::new();
    for (file, kind, field) in FILES {
        let Some(value) = machine.read_value(&format!("/sys/class/dmi/id/{file}")) else {
            continue;
        };
        let section = dmi.entry(kind).or_insert_with(|| json!({"all_records": [{}]}));
        section["all_records"][0][field] = value.into();
    }
    dmi
}

/// Adds the short forms: `system.serial_number` is the field `Serial Number` of all records of the system, if they
/// agree.
fn shorten(dmi: &mut Map<String, Value>) {
    for section in dmi.values_mut().filter_map(Value::as_object_mut) {
        let Some(Value::Array(records)) = section.get("all_records") else {
            continue;
        };
        let mut common: Map<String, Value> = Map::new();
        for (field, value) in records.iter().filter_map(Value::as_object).flatten() {
            let name: String = field
                .to_lowercase()
                .chars()
                .map(|letter| {
                    if letter.is_ascii_alphanumeric() {
                        letter
                    } else {
                        '_'
                    }
                })
                .collect();
            let Value::String(value) = value else {
                continue;
            };
            if NO_FIELDS.contains(&name.as_str()) {
                continue;
            }
            let value = Value::from(value.trim());
            common
                .entry(name)
                .and_modify(|known| {
                    if *known != value {
                        *known = Value::Null;
                    }
                })
                .or_insert(value);
        }
        section.extend(common.into_iter().filter(|(_, value)| !value.is_null()));
    }
}

/// A field of a section in its short form.
pub(super) fn field<'a>(dmi: &'a Map<String, Value>, section: &str, field: &str) -> Option<&'a str> {
    dmi.get(section)?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn what_everybody_may_read_of_an_azure_machine() {
        let (_root, machine) = machine(&[
            ("/sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
            ("/sys/class/dmi/id/product_name", "Virtual Machine\n"),
            (
                "/sys/class/dmi/id/chassis_asset_tag",
                "7783-7084-3265-9085-8269-3286-77\n",
            ),
        ]);
        assert_eq!(
            Value::from(read(&machine)),
            json!({
                "system": {
                    "all_records": [{"Manufacturer": "Microsoft Corporation", "Product Name": "Virtual Machine"}],
                    "manufacturer": "Microsoft Corporation",
                    "product_name": "Virtual Machine",
                },
                "chassis": {
                    "all_records": [{"Asset Tag": "7783-7084-3265-9085-8269-3286-77"}],
                    "asset_tag": "7783-7084-3265-9085-8269-3286-77",
                },
            })
        );
    }

    #[test]
    fn records_that_disagree_have_no_short_form() {
        let mut dmi = json!({"processor": {"all_records": [
            {"record_id": "0x1", "Status": "Populated", "Socket Designation": "CPU0", "Flags": {"FPU": null}},
            {"record_id": "0x2", "Status": "Populated", "Socket Designation": "CPU1", "Flags": {"FPU": null}},
            {"record_id": "0x3", "Status": "Populated", "Socket Designation": "CPU0"},
        ]}})
        .as_object()
        .unwrap()
        .clone();
        shorten(&mut dmi);
        assert_eq!(dmi["processor"]["status"], "Populated");
        assert_eq!(field(&dmi, "processor", "socket_designation"), None);
        assert_eq!(dmi["processor"].get("flags"), None);
    }
}
