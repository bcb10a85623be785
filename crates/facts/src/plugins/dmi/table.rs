//! The firmware's tables. Format: System Management BIOS reference specification, DMTF DSP0134.
//!
//! The records that Ohai keeps: BIOS, system, base board, chassis, processors and the maker's strings, with the fields
//! that identify a machine, under the names of `dmidecode`.

use serde_json::{Map, Value, json};

/// The records: type, name of the section, heading.
const KINDS: [(u8, &str, &str); 6] = [
    (0, "bios", "BIOS Information"),
    (1, "system", "System Information"),
    (2, "base_board", "Base Board Information"),
    (3, "chassis", "Chassis Information"),
    (4, "processor", "Processor Information"),
    (11, "oem_strings", "OEM Strings"),
];

/// What a field holds at its place in the record.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The number of one of the strings behind the record.
    Text,
    /// Sixteen bytes, the first three groups of them with the low byte first.
    Uuid,
    /// A byte that stands for one of these, counted from 1.
    OneOf(&'static [&'static str]),
    /// A byte that counts something.
    Count,
    /// Two bytes, in MHz.
    Speed,
    /// Two bytes, major and minor; 0xFF means none.
    Release,
}

const WAKE_UP: &[&str] = &[
    "Other",
    "Unknown",
    "APM Timer",
    "Modem Ring",
    "LAN Remote",
    "Power Switch",
    "PCI PME#",
    "AC Power Restored",
];
const BOARDS: &[&str] = &[
    "Unknown",
    "Other",
    "Server Blade",
    "Connectivity Switch",
    "System Management Module",
    "Processor Module",
    "I/O Module",
    "Memory Module",
    "Daughter Board",
    "Motherboard",
    "Processor+Memory Module",
    "Processor+I/O Module",
    "Interconnect Board",
];
const CHASSIS: &[&str] = &[
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosing",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];
const STATES: &[&str] = &[
    "Other",
    "Unknown",
    "Safe",
    "Warning",
    "Critical",
    "Non-recoverable",
];
const SECURITY: &[&str] = &[
    "Other",
    "Unknown",
    "None",
    "External Interface Locked Out",
    "External Interface Enabled",
];
const PROCESSORS: &[&str] = &[
    "Other",
    "Unknown",
    "Central Processor",
    "Math Processor",
    "DSP Processor",
    "Video Processor",
];

/// Where each field is in its record: type, place, name, kind.
const FIELDS: &[(u8, usize, &str, Kind)] = &[
    (0, 0x04, "Vendor", Kind::Text),
    (0, 0x05, "Version", Kind::Text),
    (0, 0x08, "Release Date", Kind::Text),
    (0, 0x14, "BIOS Revision", Kind::Release),
    (0, 0x16, "Firmware Revision", Kind::Release),
    (1, 0x04, "Manufacturer", Kind::Text),
    (1, 0x05, "Product Name", Kind::Text),
    (1, 0x06, "Version", Kind::Text),
    (1, 0x07, "Serial Number", Kind::Text),
    (1, 0x08, "UUID", Kind::Uuid),
    (1, 0x18, "Wake-up Type", Kind::OneOf(WAKE_UP)),
    (1, 0x19, "SKU Number", Kind::Text),
    (1, 0x1A, "Family", Kind::Text),
    (2, 0x04, "Manufacturer", Kind::Text),
    (2, 0x05, "Product Name", Kind::Text),
    (2, 0x06, "Version", Kind::Text),
    (2, 0x07, "Serial Number", Kind::Text),
    (2, 0x08, "Asset Tag", Kind::Text),
    (2, 0x0A, "Location In Chassis", Kind::Text),
    (2, 0x0D, "Type", Kind::OneOf(BOARDS)),
    (3, 0x04, "Manufacturer", Kind::Text),
    (3, 0x05, "Type", Kind::OneOf(CHASSIS)),
    (3, 0x06, "Version", Kind::Text),
    (3, 0x07, "Serial Number", Kind::Text),
    (3, 0x08, "Asset Tag", Kind::Text),
    (3, 0x09, "Boot-up State", Kind::OneOf(STATES)),
    (3, 0x0A, "Power Supply State", Kind::OneOf(STATES)),
    (3, 0x0B, "Thermal State", Kind::OneOf(STATES)),
    (3, 0x0C, "Security Status", Kind::OneOf(SECURITY)),
    (4, 0x04, "Socket Designation", Kind::Text),
    (4, 0x05, "Type", Kind::OneOf(PROCESSORS)),
    (4, 0x07, "Manufacturer", Kind::Text),
    (4, 0x10, "Version", Kind::Text),
    (4, 0x14, "Max Speed", Kind::Speed),
    (4, 0x16, "Current Speed", Kind::Speed),
    (4, 0x20, "Serial Number", Kind::Text),
    (4, 0x21, "Asset Tag", Kind::Text),
    (4, 0x22, "Part Number", Kind::Text),
    (4, 0x23, "Core Count", Kind::Count),
    (4, 0x24, "Core Enabled", Kind::Count),
    (4, 0x25, "Thread Count", Kind::Count),
];

/// The type that ends the table.
const END: u8 = 127;

/// One record: its bytes, and the strings behind them.
#[derive(Debug)]
struct Record<'a> {
    bytes: &'a [u8],
    strings: Vec<String>,
}

/// Decodes a table. What is broken in it ends it, without an error: the firmware is as it is.
pub(super) fn decode(entry: &[u8], table: &[u8]) -> Map<String, Value> {
    let version = version(entry);
    let mut dmi = Map::new();
    if let Some((major, minor)) = version {
        dmi.insert("smbios_version".to_owned(), format!("{major}.{minor}").into());
    }
    let (mut rest, mut records) = (table, 0_u64);
    while let Some((record, behind)) = Record::split(rest) {
        records += 1;
        rest = behind;
        let kind = record.bytes[0];
        if kind == END {
            break;
        }
        let Some((_, section, heading)) = KINDS.iter().find(|(known, ..)| *known == kind) else {
            continue;
        };
        let section = dmi.entry(*section).or_insert_with(|| json!({"all_records": []}));
        if let Some(Value::Array(list)) = section.get_mut("all_records") {
            list.push(record.describe(kind, heading, version));
        }
    }
    let size = table.len() - rest.len();
    dmi.insert(
        "structures".to_owned(),
        json!({"count": records.to_string(), "size": size.to_string()}),
    );
    dmi
}

/// The version of the format, from either form of the entry point.
fn version(entry: &[u8]) -> Option<(u8, u8)> {
    if entry.starts_with(b"_SM3_") {
        Some((*entry.get(7)?, *entry.get(8)?))
    } else if entry.starts_with(b"_SM_") {
        Some((*entry.get(6)?, *entry.get(7)?))
    } else {
        None
    }
}

impl<'a> Record<'a> {
    /// The first record of a table and what is behind it. A record says how long it is; its strings end with a zero
    /// each, and all together with another one.
    fn split(table: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::from(*table.get(1)?);
        if length < 4 {
            return None;
        }
        let (bytes, tail) = table.split_at_checked(length)?;
        let end = tail.windows(2).position(|pair| pair == [0, 0])?;
        let strings = tail[..end]
            .split(|byte| *byte == 0)
            .map(|string| String::from_utf8_lossy(string).into_owned())
            .collect();
        Some((Self { bytes, strings }, &tail[end + 2..]))
    }

    fn describe(&self, kind: u8, heading: &str, version: Option<(u8, u8)>) -> Value {
        let mut fields = Map::new();
        let handle = self.word(2).unwrap_or_default();
        fields.insert("record_id".to_owned(), format!("0x{handle:04X}").into());
        // Ohai puts the type there. Recipes that read it get what they know.
        fields.insert("size".to_owned(), kind.to_string().into());
        fields.insert("application_identifier".to_owned(), heading.into());
        for (_, place, name, field) in FIELDS.iter().filter(|(of, ..)| *of == kind) {
            if let Some(value) = self.field(*place, *field, version) {
                fields.insert((*name).to_owned(), value.into());
            }
        }
        if kind == 11 {
            for (number, string) in (1..).zip(&self.strings) {
                fields.insert(format!("String {number}"), string.as_str().into());
            }
        }
        fields.into()
    }

    fn field(&self, place: usize, kind: Kind, version: Option<(u8, u8)>) -> Option<String> {
        let byte = *self.bytes.get(place)?;
        match kind {
            Kind::Text => Some(match byte.checked_sub(1) {
                None => "Not Specified".to_owned(),
                Some(index) => self
                    .strings
                    .get(usize::from(index))
                    .map_or("<BAD INDEX>", |string| string.trim_end())
                    .to_owned(),
            }),
            Kind::Uuid => uuid(self.bytes.get(place..place + 16)?, version),
            // The highest bit of the type of a chassis says whether it has a lock.
            Kind::OneOf(values) => {
                let index = usize::from(byte & 0x7F).checked_sub(1);
                let value = index.and_then(|index| values.get(index));
                Some((*value.unwrap_or(&"<OUT OF SPEC>")).to_owned())
            }
            Kind::Count => (byte != 0).then(|| byte.to_string()),
            Kind::Speed => Some(match self.word(place)? {
                0 => "Unknown".to_owned(),
                speed => format!("{speed} MHz"),
            }),
            Kind::Release => {
                let minor = *self.bytes.get(place + 1)?;
                (byte != 0xFF && minor != 0xFF).then(|| format!("{byte}.{minor}"))
            }
        }
    }

    fn word(&self, place: usize) -> Option<u16> {
        let bytes = self.bytes.get(place..place + 2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

/// A UUID as it is printed. Before version 2.6 of the format all its bytes were in their order.
fn uuid(bytes: &[u8], version: Option<(u8, u8)>) -> Option<String> {
    if bytes.iter().all(|byte| *byte == 0xFF) {
        return Some("Not Present".to_owned());
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Some("Not Settable".to_owned());
    }
    let mut ordered: [u8; 16] = bytes.try_into().ok()?;
    if version.is_none_or(|version| version >= (2, 6)) {
        ordered[..4].reverse();
        ordered[4..6].reverse();
        ordered[6..8].reverse();
    }
    let mut text = String::new();
    for (index, byte) in ordered.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRY: &[u8] = b"_SM3_\0\x18\x03\x01\0";

    fn record(kind: u8, handle: u16, body: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(body.len() + 4).unwrap()];
        bytes.extend(handle.to_le_bytes());
        bytes.extend(body);
        for string in strings {
            bytes.extend(string.bytes());
            bytes.push(0);
        }
        bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0][..] });
        bytes
    }

    #[test]
    fn an_azure_machine() {
        let mut system = vec![1, 2, 3, 4];
        system.extend(0..16);
        system.extend([6, 0, 5]);
        let mut table = record(
            1,
            1,
            &system,
            &[
                "Microsoft Corporation",
                "Virtual Machine",
                "7.0",
                "0000-0001 ",
                "VM",
            ],
        );
        table.extend(record(17, 2, &[0; 8], &["ignored"]));
        table.extend(record(
            3,
            3,
            &[1, 0x83, 0, 0, 2, 3, 3, 9],
            &["Microsoft Corporation", "7783-7084-3265-9085-8269-3286-77"],
        ));
        table.extend(record(11, 4, &[2], &["[MS_VM_CERT/SHA1/x]", "b"]));
        table.extend(record(127, 5, &[], &[]));
        let size = table.len();
        table.extend(b"rest");
        assert_eq!(
            Value::from(decode(ENTRY, &table)),
            json!({
                "smbios_version": "3.1",
                "system": {"all_records": [{
                    "record_id": "0x0001",
                    "size": "1",
                    "application_identifier": "System Information",
                    "Manufacturer": "Microsoft Corporation",
                    "Product Name": "Virtual Machine",
                    "Version": "7.0",
                    "Serial Number": "0000-0001",
                    "UUID": "03020100-0504-0706-0809-0a0b0c0d0e0f",
                    "Wake-up Type": "Power Switch",
                    "SKU Number": "Not Specified",
                    "Family": "VM",
                }]},
                "chassis": {"all_records": [{
                    "record_id": "0x0003",
                    "size": "3",
                    "application_identifier": "Chassis Information",
                    "Manufacturer": "Microsoft Corporation",
                    "Type": "Desktop",
                    "Version": "Not Specified",
                    "Serial Number": "Not Specified",
                    "Asset Tag": "7783-7084-3265-9085-8269-3286-77",
                    "Boot-up State": "Safe",
                    "Power Supply State": "Safe",
                    "Thermal State": "<OUT OF SPEC>",
                }]},
                "oem_strings": {"all_records": [{
                    "record_id": "0x0004",
                    "size": "11",
                    "application_identifier": "OEM Strings",
                    "String 1": "[MS_VM_CERT/SHA1/x]",
                    "String 2": "b",
                }]},
                "structures": {"count": "5", "size": size.to_string()},
            })
        );
    }

    #[test]
    fn the_order_of_bytes_changed_with_version_2_6() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            uuid(&bytes, Some((2, 4))).unwrap(),
            "00010203-0405-0607-0809-0a0b0c0d0e0f"
        );
        assert_eq!(uuid(&[0; 16], None).unwrap(), "Not Settable");
        assert_eq!(uuid(&[0xFF; 16], None).unwrap(), "Not Present");
    }

    proptest! {
        #[test]
        fn any_table_is_read_without_trouble(
            entry in prop::collection::vec(any::<u8>(), 0..16),
            table in prop::collection::vec(0_u8..8, 0..300),
        ) {
            let decoded = decode(&entry, &table);
            prop_assert!(decoded.contains_key("structures"));
        }
    }
}
