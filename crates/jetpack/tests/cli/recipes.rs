//! Recipes of a project, run by `jetpack converge --project`.

use std::fs;
use std::io::Write as _;

use crate::local::Project;

const RECIPE: &str = "specs/default/chef/site-cookbooks/tools/recipes/default.rb";

fn project(recipe: &str) -> Project {
    let project = Project::new();
    project
        .file(
            "project.ini",
            "[project]\nname = tools\nversion = 1.2.0\n[spec default]\nrun_list = recipe[tools]\n",
        )
        .file(RECIPE, recipe);
    project
}

#[test]
fn recipes_run_before_the_scripts_and_deferred_blocks_after_them() {
    let project = project(
        "out = File.join(Chef::Config[:file_cache_path], '../../../out')\n\
         file(out) { content node['tools']['word'] + \"\\n\" }\n\
         defer_block('late') { execute \"echo deferred >> #{out}\" }\n",
    );
    project
        .file(
            "specs/default/chef/site-cookbooks/tools/attributes/default.rb",
            "default['tools']['word'] = 'weak'\n",
        )
        .script(
            "default",
            "010-a.sh",
            "#!/bin/sh\necho script >>$CYCLECLOUD_HOME/out\ncat $CYCLECLOUD_HOME/logs/chef-client.log\n",
        );
    let run = project.converge(&["--config", "tools.word=recipe", "--keep"]);
    assert_eq!(run.code, 0, "{run:?}");
    let phases: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.ends_with(": started"))
        .collect();
    let expected = [
        "configure: started",
        "sync: started",
        "recipes: started",
        "cluster-init: started",
        "deferred: started",
    ];
    assert_eq!(phases, expected, "{run:?}");
    // The script has shown the log: the same lines once more.
    assert_eq!(
        run.stdout.matches("Recipe: tools::default\n").count(),
        2,
        "{run:?}"
    );
    let kept = run.stderr.split('`').nth(1).unwrap();
    let out = fs::read_to_string(format!("{kept}/jetpack/out")).unwrap();
    assert_eq!(out, "recipe\nscript\ndeferred\n");
}

#[test]
fn a_recipe_that_fails_is_one_line_with_its_place_and_no_script_runs() {
    let project = project("\nexecute 'exit 3'\n");
    project.script("default", "010-a.sh", "#!/bin/sh\necho the script ran\n");
    let run = project.converge(&[]);
    assert_eq!(run.code, 1, "{run:?}");
    let error = run
        .stderr
        .lines()
        .find(|line| line.starts_with("Error: "))
        .unwrap();
    assert!(error.starts_with("Error: recipes: execute[exit 3] ("), "{run:?}");
    assert!(error.contains("/tools/recipes/default.rb:2): "), "{run:?}");
    assert!(!run.stdout.contains("the script ran"), "{run:?}");
}

#[test]
fn a_dry_run_says_what_recipes_would_do_and_does_nothing() {
    let project =
        project("file('made') { content 'x'; path File.join(__dir__, 'made') }\nexecute 'touch never'\n");
    let run = project.converge(&["--dry-run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("    - create new file "), "{run:?}");
    assert!(run.stdout.contains("    - execute touch never\n"), "{run:?}");
    let recipes = project.folder().join(RECIPE);
    assert!(!recipes.with_file_name("made").exists());
}

#[test]
fn recipes_can_be_turned_off() {
    let project = project("raise 'it ran'\n");
    let run = project.converge(&["--config", "cyclecloud.enable_chef=false"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stdout.contains("recipes: started"), "{run:?}");
}

#[test]
fn a_role_of_the_platform_and_cookbooks_that_projects_include_are_there() {
    let project = project(
        "%w[cuser cganglia::client cshared::server cshared::client jdk jetpack thunderball cyclecloud::_hosts cluster_init].each do |name|\n\
           include_recipe name\nend\n\
         puts node['recipes'].include?('cyclecloud::default'), node['jetpack']['downloads'].end_with?('jetpack/downloads')\n\
         puts resources('ruby_block[dump node.json]').name\n",
    );
    project.file(
        "project.ini",
        "[project]\nname = tools\nversion = 1.2.0\n[spec default]\nrun_list = role[scheduler], recipe[tools]\n",
    );
    // They would export folders and install a Java on the machine of the test.
    let run = project.converge(&["--dry-run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("\ntrue\ntrue\ndump node.json\n"), "{run:?}");
    assert!(
        run.stdout
            .contains("* cyclecloud_export[builtinshared] action export"),
        "{run:?}"
    );
}

#[test]
fn cookbooks_that_other_tools_have_packed_are_unpacked() {
    for inside in ["", "site-cookbooks/"] {
        let project = project("unused");
        let recipe = project.folder().join(RECIPE);
        let chef = recipe.ancestors().nth(4).unwrap().to_owned();
        fs::remove_dir_all(chef.join("site-cookbooks")).unwrap();
        let mut archive = zip::ZipWriter::new(fs::File::create(chef.join("site-cookbooks.zip")).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        let name = format!("{inside}tools/recipes/default.rb");
        archive.start_file(name, options).unwrap();
        archive.write_all(b"puts 'from the archive'").unwrap();
        archive.finish().unwrap();
        let run = project.converge(&[]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains("from the archive\n"), "{run:?}");
    }
}
