//! What the machine itself says about its cloud, before anybody is asked: its firmware above all.

use serde_json::Value;

use super::Cloud;
use crate::collect::{Selection, collect, find};
use crate::machine::Machine;

/// The asset tag of the chassis of every virtual machine of Azure.
const AZURE_ASSET_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// Which cloud a machine is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// This one.
    Cloud(Cloud),
    /// Somebody's: its firmware names none.
    SomeVirtualMachine,
    /// None: hardware, or a container.
    None,
}

/// Looks at the machine.
pub(super) fn of(machine: &Machine) -> Evidence {
    let wanted = ["dmi", "virtualization"].map(str::to_owned);
    let facts = collect(machine, Selection::Attributes(&wanted));
    let text = |path: &str| find(&facts, path).and_then(Value::as_str).unwrap_or_default();
    let product = text("dmi/system/product_name");
    let hypervisor = machine.read_value("/sys/hypervisor/uuid").unwrap_or_default();
    if text("dmi/chassis/asset_tag") == AZURE_ASSET_TAG {
        Evidence::Cloud(Cloud::Azure)
    } else if text("dmi/system/manufacturer").starts_with("Amazon EC2")
        || text("dmi/bios/vendor").starts_with("Amazon EC2")
        || text("dmi/bios/version").contains("amazon")
        || hypervisor.starts_with("ec2")
    {
        Evidence::Cloud(Cloud::Aws)
    } else if product == "Google Compute Engine" {
        Evidence::Cloud(Cloud::Gcp)
    } else if product.contains("OpenStack") || text("dmi/system/manufacturer").contains("OpenStack") {
        Evidence::Cloud(Cloud::Openstack)
    // The agent of Azure is on its machines only; a container has no firmware to look at.
    } else if machine.exists("/var/lib/waagent/GoalState.1.xml") || machine.exists("/usr/sbin/waagent") {
        Evidence::Cloud(Cloud::Azure)
    } else if find(&facts, "dmi/system").is_some() && text("virtualization/role") == "guest" {
        Evidence::SomeVirtualMachine
    } else {
        Evidence::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;

    #[test]
    fn the_firmware_names_the_cloud() {
        for (files, expected) in [
            (
                &[
                    ("/sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
                    (
                        "/sys/class/dmi/id/chassis_asset_tag",
                        "7783-7084-3265-9085-8269-3286-77\n",
                    ),
                ][..],
                Evidence::Cloud(Cloud::Azure),
            ),
            (
                &[("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n")],
                Evidence::Cloud(Cloud::Aws),
            ),
            (
                &[("/sys/class/dmi/id/bios_version", "4.11.amazon\n")],
                Evidence::Cloud(Cloud::Aws),
            ),
            (
                &[("/sys/hypervisor/uuid", "ec2b1c2d-0000-0000-0000-000000000000\n")],
                Evidence::Cloud(Cloud::Aws),
            ),
            (
                &[("/sys/class/dmi/id/product_name", "Google Compute Engine\n")],
                Evidence::Cloud(Cloud::Gcp),
            ),
            (
                &[("/sys/class/dmi/id/product_name", "OpenStack Nova\n")],
                Evidence::Cloud(Cloud::Openstack),
            ),
            (&[("/usr/sbin/waagent", "")], Evidence::Cloud(Cloud::Azure)),
            (
                &[
                    ("/sys/class/dmi/id/sys_vendor", "QEMU\n"),
                    (
                        "/sys/class/dmi/id/product_name",
                        "Standard PC (Q35 + ICH9, 2009)\n",
                    ),
                ],
                Evidence::SomeVirtualMachine,
            ),
            (
                &[
                    ("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
                    ("/sys/class/dmi/id/product_name", "PowerEdge R6525\n"),
                ],
                Evidence::None,
            ),
            (&[], Evidence::None),
        ] {
            let (_root, machine) = machine(files);
            assert_eq!(of(&machine), expected, "{files:?}");
        }
    }
}
