//! Recipes of nodes that belong together, and what the server is told of them.

use std::fs;

use testkit::{Project, Site};

const SCHEDULER: &str = "
cluster.store_discoverable
file \"#{node['cyclecloud']['home']}/seen\" do
  content lazy { cluster.search.map { |n| n['cyclecloud']['node']['name'] }.join(' ') }
end
";

const EXECUTE: &str = "
scheduler = cluster.search(recipe: 'queue::scheduler', singular: 'there is no scheduler yet')
raise 'a password of another node' if scheduler['cyclecloud']['config'].key?('password')
file \"#{node['cyclecloud']['home']}/scheduler\" do
  content \"#{scheduler['cyclecloud']['node']['name']} #{scheduler[:queue][:port]} #{cluster.scheduler == scheduler[:hostname]}\"
end
";

const TEMPLATE: &str = "[cluster demo]
[[node head]]
[[[cluster-init queue:scheduler]]]
[[[configuration]]]
queue.port = 6817
cyclecloud.is_scheduler = true
[[node execute]]
[[[cluster-init queue:execute]]]
";

fn project(site: &Site) -> Project {
    let mut project = Project::new(site.folder(), "queue");
    for (spec, recipe) in [("scheduler", SCHEDULER), ("execute", EXECUTE)] {
        project.script(spec, "010-x.sh", "#!/bin/sh\necho up\n");
        let path = format!("specs/{spec}/chef/site-cookbooks/queue/recipes/{spec}.rb");
        project.file(&path, recipe, 0o644);
    }
    let ini = project.folder().join("project.ini");
    let text = fs::read_to_string(&ini).unwrap();
    let lists = "\n[spec scheduler]\nrun_list = recipe[queue::scheduler]\n[spec execute]\nrun_list = recipe[queue::execute]\n";
    project.file("project.ini", &(text + lists), 0o644);
    project
}

/// A node that needs another one fails until that is there, tries again by itself, and finds it.
#[test]
fn nodes_find_each_other_and_the_server_knows_what_their_recipes_did() {
    let site = Site::new();
    let project = project(&site);
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "head", "Ready");
    site.wait_status("demo", "execute", "Ready");
    let (head, execute) = (site.node("demo", "head"), site.node("demo", "execute"));
    assert_eq!(head.read("seen"), "head");
    assert_eq!(execute.read("scheduler"), "head 6817 true");

    let log = execute.read("logs/chef-client.log");
    assert!(log.contains("* file["), "{log}");
    let status = execute.jetpack(&["status"]);
    let text = status.success();
    assert!(text.contains("actions changed something"), "{text}");
    let page = site.request("GET", "/c/demo/n/execute", None).body;
    assert!(page.contains("actions changed something"), "{page}");
}

/// Whoever asks a server that is away fails with that, and not with an empty list.
#[test]
fn a_search_without_the_server_is_a_failure() {
    let mut site = Site::new();
    let project = project(&site);
    site.cyclecloud_in(project.folder(), &["project", "upload", "local"])
        .success();
    site.start_cluster("demo", TEMPLATE);
    site.wait_status("demo", "execute", "Ready");
    let execute = site.node("demo", "execute");
    site.stop();
    let run = execute.jetpack(&["converge", "--no-sync"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr
            .contains("the nodes of the cluster cannot be asked for"),
        "{run:?}"
    );
    assert!(run.stderr.contains("is away"), "{run:?}");
}
