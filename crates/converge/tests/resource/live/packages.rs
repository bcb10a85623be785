//! Packages, from repositories that the tests make.

use std::fs;
use std::path::Path;

use converge::resource::Request;
use serde_json::json;
use testkit::in_booted_machine;

use super::{Live, request, said};

/// Makes packages `demo` of some versions and a repository of them in `/srv/repository`.
fn repository(versions: &[&str]) {
    let mut index = String::new();
    for version in versions {
        let folder = format!("/srv/repository/demo-{version}");
        let control = format!(
            "Package: demo\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.com>\n\
             Provides: demonstration\nDescription: a demonstration\n"
        );
        fs::create_dir_all(format!("{folder}/DEBIAN")).unwrap();
        fs::create_dir_all(format!("{folder}/etc")).unwrap();
        durable::write(
            Path::new(&format!("{folder}/DEBIAN/control")),
            0o644,
            control.as_bytes(),
        )
        .unwrap();
        durable::write(
            Path::new(&format!("{folder}/DEBIAN/conffiles")),
            0o644,
            b"/etc/demo.conf\n",
        )
        .unwrap();
        durable::write(
            Path::new(&format!("{folder}/etc/demo.conf")),
            0o644,
            version.as_bytes(),
        )
        .unwrap();
        let file = format!("/srv/repository/demo_{version}_all.deb");
        said(&format!("dpkg-deb --root-owner-group -b {folder} {file}"));
        let (size, sum) = (
            said(&format!("stat -c %s {file}")),
            said(&format!("sha256sum {file}")),
        );
        let sum = sum.split(' ').next().unwrap();
        index.push_str(&format!(
            "{control}Filename: ./demo_{version}_all.deb\nSize: {size}\nSHA256: {sum}\n\n"
        ));
        fs::remove_dir_all(folder).unwrap();
    }
    durable::write(Path::new("/srv/repository/Packages"), 0o644, index.as_bytes()).unwrap();
}

#[test]
fn packages_of_debian() {
    if !in_booted_machine("live::packages::packages_of_debian") {
        return;
    }
    let live = Live::new();
    said("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    repository(&["1.0", "1.1", "2.0"]);
    let repository = request("apt_repository", "local", "add")
        .with("uri", "file:/srv/repository")
        .with("distribution", "./")
        .with("trusted", true);
    live.law(&repository);
    assert_eq!(
        fs::read_to_string("/etc/apt/sources.list.d/local.list").unwrap(),
        "deb [trusted=yes] file:/srv/repository ./\n"
    );

    let package = |action: &str| request("package", "demo", action);
    let report = live.law(&package("install").with("version", "1.0"));
    assert_eq!(report.changes, ["install version 1.0 of package demo"]);
    live.nothing(&package("install"));
    live.nothing(&request("package", "demonstration", "install"));
    let report = live.law(&package("upgrade"));
    assert_eq!(report.changes, ["upgrade package demo from 1.0 to 2.0"]);
    live.law(&package("install").with("version", "1.1"));
    assert_eq!(said("dpkg-query -W -f '${Version}' demo"), "1.1");
    live.law(&package("lock"));
    assert_eq!(said("apt-mark showhold"), "demo");
    live.law(&package("unlock"));
    durable::write(Path::new("/etc/demo.conf"), 0o644, b"mine").unwrap();
    live.law(&package("remove"));
    assert!(Path::new("/etc/demo.conf").exists());
    live.law(&package("purge"));
    assert!(!Path::new("/etc/demo.conf").exists());

    // The answers to its questions come before it.
    let preseeded = package("install")
        .with("response_file", "demo.seed.erb")
        .with("environment", json!({ "DEMO": "1" }))
        .body("demo demo/question string answer\n");
    live.law(&preseeded);
    assert!(said("debconf-show demo 2>&1; cat /var/cache/debconf/config.dat").contains("answer"));
    live.law(&package("purge"));
    let cause = live.fails(&package("install").with("arch", "no-such-arch"));
    assert!(cause.to_string().contains("demo:no-such-arch"), "{cause}");

    // A file of a package, also through the general name.
    let file = "/srv/repository/demo_1.0_all.deb";
    live.law(&request("dpkg_package", "demo", "install").with("source", file));
    live.law(
        &request("apt_package", "demo", "install")
            .with("source", "/srv/repository/demo_1.1_all.deb")
            .with("version", "1.1"),
    );
    live.law(&request("dpkg_package", "demo", "purge"));
    live.law(
        &request("package", "anything", "install")
            .with("package_name", json!(["demo"]))
            .with("options", "--no-install-recommends"),
    );
    let cause = live.fails(&request("package", "no-such-package", "install"));
    assert_eq!(
        cause.to_string(),
        "No candidate version available for no-such-package"
    );
    assert_eq!(cause.exception(), "Chef::Exceptions::Package");
    let cause = live.fails(&package("install").with("version", "9.9"));
    assert!(cause.to_string().contains("9.9"), "{cause}");
    assert!(
        live.runner(true)
            .run(&request("package", "no-such-package", "install"))
            .unwrap()
            .updated
    );
    live.law(&request("apt_repository", "local", "remove"));
}

#[test]
fn lists_of_packages() {
    if !in_booted_machine("live::packages::lists_of_packages") {
        return;
    }
    let live = Live::new();
    said("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; rm -rf /var/lib/apt/lists");
    repository(&["1.0"]);
    durable::write(
        Path::new("/etc/apt/sources.list"),
        0o644,
        b"deb [trusted=yes] file:/srv/repository ./\n",
    )
    .unwrap();
    live.law(&request("apt_update", "daily", "periodic"));
    assert!(said("apt-cache policy demo").contains("Candidate: 1.0"));
    assert!(live.run(&request("apt_update", "now", "update")).unwrap().updated);
    live.law(
        &request("apt_preference", "demo", "add")
            .with("pin", "version 1.0")
            .with("pin_priority", 1001),
    );
}

/// Makes packages `demo` of RPM of some versions and a repository of them in `/srv/rpms`.
fn repository_of_rpms(versions: &[&str]) {
    for version in versions {
        let spec = format!(
            "Name: demo\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n\
             Provides: demonstration = {version}\n%description\nx\n%install\nmkdir -p %{{buildroot}}/opt\n\
             echo {version} >%{{buildroot}}/opt/demo\n%files\n/opt/demo\n"
        );
        durable::write(Path::new("/srv/demo.spec"), 0o644, spec.as_bytes()).unwrap();
        said(
            "rpmbuild --quiet -bb --define '_topdir /srv/build' --define '_rpmdir /srv/rpms' /srv/demo.spec",
        );
    }
    said("createrepo_c -q /srv/rpms");
}

#[test]
fn packages_of_red_hat() {
    if !in_booted_machine("live::packages::packages_of_red_hat") {
        return;
    }
    let live = Live::new();
    repository_of_rpms(&["1.9", "1.10", "2.0"]);
    said("rm -f /etc/yum.repos.d/*; mkdir -p /etc/yum.repos.d");
    let repository = Request::new("yum_repository", "local")
        .with("baseurl", "file:///srv/rpms")
        .with("gpgcheck", false);
    live.law(&repository);
    let kind = "dnf_package";
    let package = |action: &str| request(kind, "demo", action);
    let report = live.law(&package("install").with("version", "1.10"));
    assert_eq!(report.changes, ["install version 1.10 of package demo"]);
    assert_eq!(said("rpm -q demo"), "demo-1.10-1.noarch");
    live.nothing(&package("install"));
    live.nothing(&request(kind, "demonstration", "install"));
    live.nothing(&package("install").with("version", "1.10-1"));
    let report = live.law(&package("upgrade"));
    assert_eq!(report.changes, ["upgrade package demo from 1.10-1 to 2.0-1"]);
    live.law(&package("install").with("version", "1.9"));
    assert_eq!(said("rpm -q demo"), "demo-1.9-1.noarch");
    live.law(&package("remove"));
    live.law(&request(kind, "demonstration", "install"));
    live.law(&package("purge"));
    let cause = live.fails(&request(kind, "no-such-package", "install"));
    assert_eq!(
        cause.to_string(),
        "No candidate version available for no-such-package"
    );
    live.law(&request(kind, "x", "install").with("source", "/srv/rpms/noarch/demo-1.9-1.noarch.rpm"));
    live.law(&request(kind, "/srv/rpms/noarch/demo-2.0-1.noarch.rpm", "install").with("version", "2.0"));
    live.law(&package("remove"));
    live.law(
        &package("install")
            .with("arch", "noarch")
            .with("flush_cache", json!({ "before": true })),
    );
    live.law(&package("remove"));
    // On releases without yum its name means dnf.
    live.law(&request("yum_package", "demo", "install"));
    live.law(&request("yum_package", "demo", "remove"));
    let file = |version: &str| {
        let path = format!("/srv/rpms/noarch/demo-{version}-1.noarch.rpm");
        request("rpm_package", "demo", "install").with("source", path)
    };
    // What belongs to Debian is not in the database of RPM.
    let nodeps = json!(["--nodeps"]);
    live.law(&file("1.9").with("options", nodeps.clone()));
    live.law(&file("2.0").with("version", "2.0").with("options", nodeps.clone()));
    live.law(&request("rpm_package", "demo", "remove").with("options", nodeps));
    live.law(&request("yum_repository", "local", "remove"));
}

#[test]
fn packages_of_python() {
    if !in_booted_machine("live::packages::packages_of_python") {
        return;
    }
    let live = Live::new();
    said("python3 -m venv /srv/venv");
    for version in ["1.0", "2.0"] {
        let info = format!("demo_pkg-{version}.dist-info");
        let folder = format!("/srv/py-{version}");
        fs::create_dir_all(format!("{folder}/{info}")).unwrap();
        let metadata = format!("Metadata-Version: 2.1\nName: demo-pkg\nVersion: {version}\n");
        let wheel = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        for (name, text) in [("METADATA", metadata.as_str()), ("WHEEL", wheel), ("RECORD", "")] {
            let path = format!("{folder}/{info}/{name}");
            durable::write(Path::new(&path), 0o644, text.as_bytes()).unwrap();
        }
        said(&format!(
            "mkdir -p /srv/wheels; cd {folder}; \
             python3 -m zipfile -c /srv/wheels/demo_pkg-{version}-py3-none-any.whl {info}/"
        ));
    }
    let pip = |action: &str| {
        request("python_package", "demo_pkg", action)
            .with("virtualenv", "/srv/venv")
            .with("options", "--no-index --find-links /srv/wheels")
    };
    live.law(&pip("install").with("version", "1.0"));
    live.nothing(&pip("install"));
    live.law(&pip("upgrade"));
    assert!(said("/srv/venv/bin/pip list --format=freeze").contains("demo-pkg==2.0"));
    let gone = request("pip_package", "demo-pkg", "remove").with("virtualenv", "/srv/venv");
    live.law(&gone);
}

#[test]
fn packages_of_ruby() {
    if !in_booted_machine("live::packages::packages_of_ruby") {
        return;
    }
    let live = Live::new();
    for version in ["1.0", "2.0"] {
        let spec = format!(
            "Gem::Specification.new {{ |s| s.name = 'demo'; s.version = '{version}'; s.summary = 'x'; \
             s.author = 'x'; s.files = [] }}\n"
        );
        durable::write(Path::new("/srv/demo.gemspec"), 0o644, spec.as_bytes()).unwrap();
        said(&format!(
            "cd /srv && gem build -q demo.gemspec -o demo-{version}.gem 2>&1"
        ));
    }
    let gem = |action: &str, version: &str| {
        request("gem_package", "demo", action)
            .with("source", format!("/srv/demo-{version}.gem"))
            .with("options", "--local")
    };
    live.law(&gem("install", "1.0"));
    live.law(&gem("install", "2.0").with("version", "2.0"));
    assert!(said("gem list --local --exact demo").contains("demo (2.0, 1.0)"));
    live.law(&request("gem_package", "demo", "remove").with("version", "1.0"));
    live.law(&request("gem_package", "demo", "remove"));
}
