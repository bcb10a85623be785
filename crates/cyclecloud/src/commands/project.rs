//! `cyclecloud project`

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, bail};
use locker::project::{self, BuildError, Part, Progress};
use locker::{Error, Locker};
use terminal::ResultExt;

use super::{fetch, lockers, project_test};
use crate::cli;
use crate::client::{Client, check_name};
use crate::config::Config;
use crate::workplace::Workplace;

const SCRIPTS_README: &str = "\
Scripts of this spec. They run on every node that uses it, as root, in the order of their names, each until it
succeeded once. On Linux a script ends in .sh, on Windows in .bat, .cmd or .exe; other files are ignored.

The current folder of a script is this one; its files are in ../files. An exit code other than 0 stops the node's
installation, which is tried again later: write scripts so that they can run twice.
";
const FILES_README: &str = "\
Files that the scripts of this spec use. They are copied to every node that uses it.
";
const TESTS_README: &str = "\
Tests of this spec. They run on the nodes when a cluster is started in test mode, and by `jetpack test`.
";

pub(super) async fn run(config: Config, command: cli::Project) -> anyhow::Result<()> {
    match command {
        cli::Project::Init { name } => init(&config, &name),
        cli::Project::Build(args) => {
            let build = build(&Workplace::find()?, &args)?;
            terminal::out(format_args!("Built {}\n", build.folder.display()))?;
            Ok(())
        }
        cli::Project::Upload(args) => upload(&config, &args).await,
        cli::Project::Download {
            locker,
            project_version,
        } => download(&config, locker.as_deref(), project_version.as_deref()).await,
        cli::Project::Fetch { url, path } => fetch::run(&url, &path).await,
        cli::Project::Test(args) => project_test::run(&config, args).await,
        cli::Project::Info => info(&config),
        cli::Project::DefaultLocker { locker, global } => default_locker(config, &locker, global),
        cli::Project::AddSpec { spec } => {
            let workplace = Workplace::find()?;
            add_spec(&workplace.folder, &spec)?;
            terminal::out(format_args!(
                "Spec '{spec}' added to project '{}'\n",
                workplace.ini.name
            ))?;
            Ok(())
        }
    }
}

fn init(config: &Config, name: &str) -> anyhow::Result<()> {
    check_name("project", name)?;
    let folder = std::env::current_dir()
        .context("there is no current folder")?
        .join(name);
    match fs::read_dir(&folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!("`{}` is there already", folder.display());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
    }
    for below in ["blobs", "templates"] {
        durable::create_folder(&folder.join(below), 0o755)?;
    }
    add_spec(&folder, "default")?;
    // Last, because it is what makes the folder a project.
    let ini = format!("[project]\nname = {name}\nlabel = {name}\ntype = application\nversion = 1.0.0\n");
    durable::write(&folder.join("project.ini"), 0o644, ini.as_bytes())?;
    terminal::out(format_args!(
        "Project '{name}' initialized in {}\n",
        folder.display()
    ))?;
    if let Some(locker) = config.default_locker(name) {
        terminal::out(format_args!("Default locker: {locker}\n"))?;
    }
    Ok(())
}

fn add_spec(project: &Path, spec: &str) -> anyhow::Result<()> {
    check_name("spec", spec)?;
    let folder = project.join("specs").join(spec);
    if folder.exists() {
        bail!("there is a spec `{spec}` already: `{}`", folder.display());
    }
    for (below, text) in [
        ("scripts", SCRIPTS_README),
        ("files", FILES_README),
        ("tests", TESTS_README),
    ] {
        let folder = folder.join("cluster-init").join(below);
        durable::create_folder(&folder, 0o755)?;
        durable::write(&folder.join("README.txt"), 0o644, text.as_bytes())?;
    }
    Ok(())
}

fn build(workplace: &Workplace, args: &cli::Build) -> anyhow::Result<project::Build> {
    let built = project::build(
        &workplace.folder,
        args.project_version.as_deref(),
        args.build_dir.as_deref(),
    );
    match built {
        Err(error @ BuildError::MissingBlobs { .. }) => {
            Err(error).hint("put them there, or take them out of `[blobs]` in `project.ini`")
        }
        built => Ok(built?),
    }
}

pub(super) async fn upload(config: &Config, args: &cli::Upload) -> anyhow::Result<()> {
    let workplace = Workplace::find()?;
    let client = Client::new(config.require_server()?)?;
    let name = args
        .locker
        .as_deref()
        .or_else(|| config.default_locker(&workplace.ini.name));
    let locker = lockers::open(&client, name).await?;
    let build = build(&workplace, &args.build)?;
    let target = |part| target(&locker, &build, part);
    let live = io::stdout().is_terminal();
    // What cannot be printed is noticed by the next line that is not about progress.
    let uploaded = project::upload(&locker, &build, args.force, &|progress| {
        if live && progress.done < progress.total {
            let _ = terminal::out(format_args!(
                "\rUploading to {} ({}%)",
                target(progress.part),
                percent(progress)
            ));
        }
        if progress.done == progress.total {
            let start = if live { "\r" } else { "" };
            let _ = terminal::out(format_args!(
                "{start}Uploading to {} (100%)\n",
                target(progress.part)
            ));
        }
    })
    .await;
    if live && uploaded.is_err() {
        terminal::out("\n")?;
    }
    match uploaded {
        Err(error @ Error::Upload { .. }) => {
            return Err(error).hint("the project was changed while it was uploaded: upload it again");
        }
        Err(error @ Error::Unauthorised { .. }) => {
            return Err(error).hint("this account may not write to the locker");
        }
        Err(error @ Error::NoLocker { .. }) => {
            return Err(error)
                .hint("its container or bucket must be there; `cyclecloud locker list` shows the lockers");
        }
        uploaded => uploaded?,
    };
    terminal::out("Upload complete!\n")?;
    Ok(())
}

async fn download(config: &Config, locker: Option<&str>, version: Option<&str>) -> anyhow::Result<()> {
    let Workplace { folder, ini } = Workplace::find()?;
    if ini.blobs.is_empty() {
        terminal::note(format_args!("The project `{}` lists no blobs", ini.name));
        return Ok(());
    }
    let client = Client::new(config.require_server()?)?;
    let name = locker.or_else(|| config.default_locker(&ini.name));
    let locker = lockers::open(&client, name).await?;
    let version = version.unwrap_or(&ini.version);
    let manifest = match locker.manifest(&ini.name, version).await {
        Err(error @ Error::NoProject { .. }) => {
            return Err(error)
                .hint("`--project-version` names another version; `cyclecloud project upload` uploads one");
        }
        manifest => manifest?,
    };
    let bar = std::sync::Mutex::new(None::<(String, terminal::Bar)>);
    let lock = || bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let watch = |path: &str, transfer: locker::Transfer| {
        let mut bar = lock();
        if bar.as_ref().is_none_or(|(of, _)| of != path) {
            *bar = Some((path.to_owned(), terminal::Bar::new(path)));
        }
        if let Some((_, bar)) = &*bar {
            bar.set(transfer.done, transfer.total);
        }
    };
    let done = |blob: project::Downloaded| {
        lock().take();
        // What cannot be printed is noticed by the last line.
        let _ = match blob.bytes {
            Some(bytes) => terminal::out(format_args!("blobs/{} ({bytes} bytes)\n", blob.path)),
            None => terminal::out(format_args!("blobs/{} is unchanged\n", blob.path)),
        };
    };
    let downloaded = project::download_blobs(&locker, &folder, &ini, &manifest, &watch, &done).await;
    lock().take();
    downloaded?;
    terminal::out("Download complete!\n")?;
    Ok(())
}

fn target(locker: &Locker, build: &project::Build, part: Part) -> String {
    let project = &build.manifest.name;
    let folder = match part {
        Part::Specs => build.manifest.version.as_str(),
        Part::Blobs => "blobs",
    };
    format!("{}/projects/{project}/{folder}", locker.url())
}

fn percent(progress: Progress) -> u64 {
    let Progress { done, total, .. } = progress;
    (u128::from(done) * 100)
        .checked_div(u128::from(total))
        .and_then(|percent| u64::try_from(percent).ok())
        .unwrap_or(100)
}

fn info(config: &Config) -> anyhow::Result<()> {
    let Workplace { folder, ini } = Workplace::find()?;
    let mut specs: Vec<String> = ini.specs.keys().cloned().collect();
    if let Ok(entries) = fs::read_dir(folder.join("specs")) {
        let folders = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir());
        specs.extend(folders.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    specs.sort();
    specs.dedup();
    let mut lines = vec![("Name", ini.name.clone())];
    lines.extend(ini.label.clone().map(|label| ("Label", label)));
    lines.push(("Type", ini.kind.clone()));
    lines.push(("Version", ini.version.clone()));
    lines.push(("Folder", folder.display().to_string()));
    lines.push(("Specs", specs.join(", ")));
    if !ini.blobs.is_empty() {
        lines.push(("Blobs", ini.blobs.join(", ")));
    }
    let locker = config.default_locker(&ini.name);
    lines.extend(locker.map(|locker| ("Default locker", locker.to_owned())));
    for (name, value) in lines {
        terminal::out(format_args!("{name}: {value}\n"))?;
    }
    Ok(())
}

fn default_locker(mut config: Config, locker: &str, global: bool) -> anyhow::Result<()> {
    check_name("locker", locker)?;
    let project = if global {
        None
    } else {
        Some(Workplace::find()?.ini.name)
    };
    config.set_default_locker(project.as_deref(), locker)?;
    config.write()?;
    terminal::out(format_args!("Default locker: {locker}\n"))?;
    Ok(())
}
