//! The machine as a whole.

use converge::resource::Request;
use testkit::in_booted_machine;

use super::{Live, request, said};

#[test]
fn names_times_and_languages() {
    if !in_booted_machine("live::system::names_times_and_languages") {
        return;
    }
    let live = Live::new();
    let report = live.law(&Request::new("hostname", "node-7.example.com"));
    assert!(
        report
            .changes
            .contains(&"set hostname to node-7.example.com".to_owned()),
        "{report:?}"
    );
    assert_eq!(said("cat /proc/sys/kernel/hostname"), "node-7.example.com");
    assert_eq!(
        said("hostname -f 2>/dev/null || getent hosts node-7 | awk '{print $2}'"),
        "node-7.example.com"
    );
    // Without the service that hostnamectl talks to.
    said("systemctl mask -q --now systemd-hostnamed");
    live.law_of_changes(&Request::new("hostname", "node-8"));
    assert_eq!(
        said("cat /proc/sys/kernel/hostname /etc/hostname"),
        "node-8\nnode-8"
    );
    live.law(&Request::new("timezone", "Asia/Tokyo"));
    assert_eq!(said("date -d @0 +%H"), "09");
    live.law(&Request::new("locale", "x").with("lang", "de_DE.UTF-8"));
    assert!(said("locale -a").contains("de_DE.utf8"));
    assert_eq!(said("cat /etc/default/locale"), "LANG=de_DE.UTF-8");
}

#[test]
fn one_of_several_programs() {
    if !in_booted_machine("live::system::one_of_several_programs") {
        return;
    }
    let live = Live::new();
    said("cp /bin/true /usr/local/bin/one; cp /bin/false /usr/local/bin/two");
    let choice = |action: &str, path: &str| request("alternatives", "choice", action).with("path", path);
    live.law(&choice("install", "/usr/local/bin/one").with("priority", 10));
    live.law(&choice("install", "/usr/local/bin/two").with("priority", 20));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/two");
    live.law(&choice("set", "/usr/local/bin/one"));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/one");
    live.law(&request("alternatives", "choice", "auto"));
    live.law(&choice("remove", "/usr/local/bin/two"));
    assert_eq!(said("readlink -f /usr/bin/choice"), "/usr/local/bin/one");
    let cause = live.fails(&choice("set", "/usr/local/bin/three"));
    assert!(cause.to_string().contains("no alternative"), "{cause}");
    let report = live
        .run(&Request::new("chef_sleep", "1").with("seconds", 0))
        .unwrap();
    assert_eq!(report.changes, ["sleep 0 seconds"]);
}
