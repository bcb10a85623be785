//! Resources that tell rather than do: `notify_group`, `ohai`, `reboot`, `ruby_block`, `breakpoint`; and `chef_sleep`.

use serde_json::json;

use super::Definition;
use crate::resource::act::Act;
use crate::resource::catalogue::{Default, Kind, Property, Provides};
use crate::resource::error::Failure;

/// A place for notifications: it is always updated.
pub(super) const NOTIFY_GROUP: Definition = Definition {
    kind: Kind::new(
        "notify_group",
        &[Provides::everywhere("notify_group")],
        &["run"],
        &[],
    )
    .repeats(),
    run: |act| {
        let name = act.request.name.clone();
        let _ = act.will(format!("notify with {name}"));
        Ok(())
    },
};

/// Asks for facts to be collected again: the report says of which plugin, or of all.
pub(super) const OHAI: Definition = Definition {
    kind: Kind::new(
        "ohai",
        &[Provides::everywhere("ohai")],
        &["reload"],
        &[
            Property::string("plugin"),
            Property::boolean("ignore_failure", false),
        ],
    )
    .repeats(),
    run: |act| {
        let plugin = act.text("plugin");
        let _ = act.will("re-run ohai and merge results into node attributes");
        act.report.result = json!({ "reload": true, "plugin": plugin });
        Ok(())
    },
};

/// Asks for a reboot: the report says when, and whoever runs the recipes does it.
pub(super) const REBOOT: Definition = Definition {
    kind: Kind::new(
        "reboot",
        &[Provides::everywhere("reboot")],
        &["reboot_now", "request_reboot", "cancel"],
        &[
            Property::string("reason").or(Default::String("Reboot by Chef Infra Client")),
            Property::integer("delay_mins").or(Default::Integer(0)),
        ],
    )
    .default_action("nothing")
    .repeats(),
    run: reboot,
};

fn reboot(act: &mut Act<'_>) -> Result<(), Failure> {
    let (reason, delay) = (act.need("reason")?, act.number("delay_mins")?.unwrap_or(0));
    if delay < 0 {
        return Err(Failure::invalid("delay_mins", format!("{delay} is before now")));
    }
    let sentence = match act.action {
        "reboot_now" => "rebooting system immediately",
        "request_reboot" => "request a system reboot to occur if the run succeeds",
        _ => "cancel any existing end-of-run reboot request",
    };
    if act.will(sentence) {
        act.report.result = json!({ "reboot": act.action, "reason": reason, "delay_mins": delay });
    }
    Ok(())
}

/// A block of Ruby, which whoever evaluates the recipe runs; here it only has its place among the kinds.
pub(super) const RUBY_BLOCK: Definition = Definition {
    kind: Kind::new(
        "ruby_block",
        &[Provides::everywhere("ruby_block")],
        &["run", "create"],
        &[
            Property::new("block", &[]),
            Property::string("block_name").or(Default::Name),
        ],
    )
    .repeats(),
    run: |act| {
        let name = act.request.name.clone();
        let _ = act.will(format!("execute the ruby block {name}"));
        Ok(())
    },
};

/// Stops in Chef's shell, and nowhere else.
pub(super) const BREAKPOINT: Definition = Definition {
    kind: Kind::new(
        "breakpoint",
        &[Provides::everywhere("breakpoint")],
        &["break"],
        &[],
    ),
    run: |_| Ok(()),
};

/// Waits, for what has no better sign of its being ready.
pub(super) const CHEF_SLEEP: Definition = Definition {
    kind: Kind::new(
        "chef_sleep",
        &[Provides::everywhere("chef_sleep")],
        &["sleep"],
        &[Property::id("seconds").or(Default::Name)],
    )
    .repeats(),
    run: |act| {
        let seconds = act
            .number("seconds")?
            .and_then(|seconds| u64::try_from(seconds).ok());
        let seconds = seconds.ok_or_else(|| Failure::invalid("seconds", "it must be a number of seconds"))?;
        if act.will(format!("sleep {seconds} seconds")) {
            let program = act.program("sleep").arg(seconds.to_string());
            act.finish(program, &format!("sleep {seconds}"))?.ok()?;
        }
        Ok(())
    },
};
