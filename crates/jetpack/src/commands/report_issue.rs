//! `jetpack report_issue`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use link::join::Membership;
use node::home::Home;
use node::host;
use node::identity::{Identity, Machine};
use node::settings::Settings;
use protocol::IssueUpload;
use secrecy::SecretString;
use terminal::ResultExt;
use uuid::Uuid;

use super::status;
use crate::archive::{Archive, Limits};
use crate::context;

/// Where our own files are in the archive.
const OURS: &str = "report_issue";
/// Most lines about what was left out.
const MAX_WARNINGS: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ReportIssueArgs {
    /// What to report: a folder or a file; if not given, the logs of this node
    path: Option<PathBuf>,

    /// Upload the archive to the server; this is what happens if nothing is said
    #[arg(long, overrides_with = "no_upload")]
    upload: bool,

    /// Only make the archive
    #[arg(long, overrides_with = "upload")]
    no_upload: bool,

    /// Have the server make a URL with which the archive can be read without an account, for 30 days; this is what
    /// happens if nothing is said
    #[arg(long, overrides_with = "no_sign")]
    sign: bool,

    /// Say where the archive is for those who have an account
    #[arg(long, overrides_with = "sign")]
    no_sign: bool,
}

/// Archives logs, gives them to the server and says where they are.
pub(crate) fn run(args: &ReportIssueArgs) -> anyhow::Result<()> {
    let home = match &args.path {
        Some(_) if args.no_upload => context::home()?,
        _ => context::initialized_home()?,
    };
    let settings = context::settings(&home)?;
    // Before the work: who has no server learns it now.
    let server = match args.no_upload {
        true => None,
        false => Some(server(&home, &settings)?),
    };
    let name = name(&settings);
    let folder = tempfile::Builder::new()
        .prefix("tmp")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .context("cannot make a temporary folder")?;
    let file = folder.path().join(&name);
    let path = args.path.clone().unwrap_or_else(|| home.logs());
    make(&file, &path, &home, &settings)?;
    let Some((membership, node_id)) = server else {
        let _ = folder.keep();
        return Ok(terminal::out(format_args!(
            "Logs can be found at: {}\n",
            file.display()
        ))?);
    };
    let uploaded = context::with_runtime(upload(
        membership,
        &home,
        &settings,
        &node_id,
        &file,
        &name,
        !args.no_sign,
    ));
    let uploaded = match uploaded {
        Ok(uploaded) => uploaded,
        Err(error) => {
            let _ = folder.keep();
            return Err(error).context("cannot upload the archive").hint(format!(
                "it is kept at `{}`; the same command makes and uploads another one",
                file.display()
            ));
        }
    };
    let mut text = format!(
        "Logs can be found at: {}\n",
        uploaded.signed_url.as_ref().unwrap_or(&uploaded.url)
    );
    if let Some(expires) = uploaded.expires {
        text.push_str(&format!("Signed URL will expire on: {expires:.0}\n"));
    }
    Ok(terminal::out(text)?)
}

fn server(home: &Home, settings: &Settings) -> anyhow::Result<(Membership, String)> {
    let hint = "`jetpack initialize` joins a cluster; --no-upload needs none";
    let membership = Membership::load(home, settings, &Machine::this()).hint(hint)?;
    let node_id = settings.identity.node_id.clone();
    let node_id = node_id
        .context("this node has not joined its cluster yet")
        .hint(hint)?;
    Ok((membership, node_id))
}

/// `CLUSTER-NODE-UUID.zip`. The server takes it from this node under no other name.
fn name(settings: &Settings) -> String {
    let identity = &settings.identity;
    let cluster = identity.cluster_name.as_deref().unwrap_or("none");
    let hostname = host::short_hostname();
    let node = identity.node_name.as_deref().or(hostname.as_deref());
    format!("{cluster}-{}-{}.zip", node.unwrap_or("node"), Uuid::new_v4())
}

fn make(file: &Path, path: &Path, home: &Home, settings: &Settings) -> anyhow::Result<()> {
    // Its folder is for this user only.
    let writing = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(file)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    let secrets = secrets(home);
    let mut archive = Archive::new(writing, Limits::default(), &secrets);
    archive.add_tree(path)?;
    archive.add_text(&format!("{OURS}/version.txt"), &format!("{}\n", node::version()))?;
    // A status that cannot be told is no reason to give no report.
    let status = status::observe(home, settings.clone())
        .and_then(|status| Ok(serde_json::to_string_pretty(&status)?))
        .unwrap_or_else(|error| format!("{error:#}"));
    archive.add_text(&format!("{OURS}/status.json"), &format!("{status}\n"))?;
    let left_out = archive.left_out().to_vec();
    if !left_out.is_empty() {
        let text: String = left_out.iter().map(|line| format!("{line}\n")).collect();
        archive.add_text(&format!("{OURS}/left_out.txt"), &text)?;
    }
    for line in left_out.iter().take(MAX_WARNINGS) {
        terminal::warn(format_args!("left out: {line}"));
    }
    if left_out.len() > MAX_WARNINGS {
        terminal::warn(format_args!(
            "left out: {} more; `{OURS}/left_out.txt` in the archive names all",
            left_out.len() - MAX_WARNINGS
        ));
    }
    let (writing, count) = archive.finish()?;
    writing
        .sync_all()
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    if count == 0 {
        terminal::warn(format_args!("`{}` has nothing to report", path.display()));
    }
    Ok(())
}

/// What must not stand in any file of the archive. Who may not read the identity cannot read a secret out of it either.
fn secrets(home: &Home) -> Vec<SecretString> {
    let identity = home
        .identity()
        .exists()
        .then(|| Identity::load(home, &Machine::this()));
    let identity = identity.and_then(|loaded| loaded.ok()?.identity);
    identity.into_iter().map(|identity| identity.secret).collect()
}

async fn upload(
    mut membership: Membership,
    home: &Home,
    settings: &Settings,
    node_id: &str,
    file: &Path,
    name: &str,
    sign: bool,
) -> anyhow::Result<IssueUpload> {
    membership.pin(home, settings).await?;
    let api = membership.api(node_id)?;
    let archive = tokio::fs::File::open(file)
        .await
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    let length = archive
        .metadata()
        .await
        .with_context(|| format!("cannot read `{}`", file.display()))?
        .len();
    Ok(api.upload_issue(name, archive, length, sign).await?)
}
