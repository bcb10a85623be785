//! `cyclecloud project fetch`: a project of somebody else, from an archive of its source code.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use locker::archive::unpack;
use locker::is_private;
use locker::project::ProjectIni;
use reqwest::{StatusCode, Url};
use terminal::ResultExt;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Most redirects: services for source code send readers to another host for archives.
const REDIRECTS: usize = 5;

/// Where a project comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// An archive on this machine.
    File(PathBuf),
    /// An archive behind a URL, and the folder of a release with blobs.
    Web { archive: Url, assets: Option<Url> },
}

pub(super) async fn run(url: &str, dest: &Path) -> anyhow::Result<()> {
    let origin = origin(url)?;
    if let Ok(mut entries) = std::fs::read_dir(dest) {
        ensure!(
            entries.next().is_none(),
            "`{}` is there already and not empty",
            dest.display()
        );
    }
    let parent = match dest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    durable::create_folder(parent, 0o755)?;
    // The project appears at the end, in one step: until then everything is in here.
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot create a folder in `{}`", parent.display()))?;
    let project = staging.path().join("project");
    let (archive, assets) = match origin {
        Origin::File(archive) => (archive, None),
        Origin::Web { archive, assets } => {
            let file = staging.path().join("archive");
            if !download(&archive, &file).await? {
                return Err(anyhow::anyhow!("there is nothing at `{archive}`"))
                    .hint("check the names of owner, repository and tag");
            }
            (file, assets)
        }
    };
    unpack(&archive, &project).with_context(|| format!("cannot unpack what `{url}` gives"))?;
    let path = project.join("project.ini");
    if !path.is_file() {
        return Err(anyhow::anyhow!("`{url}` is no project: it has no `project.ini`"))
            .hint("a project has `project.ini` at the top of its archive");
    }
    let ini = ProjectIni::read(&path).with_context(|| format!("`{url}` is no project that can be used"))?;
    if let Some(assets) = assets {
        blobs(&project, &ini, &assets).await?;
    }
    std::fs::rename(&project, dest).with_context(|| format!("cannot create `{}`", dest.display()))?;
    durable::sync_folder(parent)?;
    terminal::out(format_args!(
        "Project '{}' version {} fetched to {}\n",
        ini.name,
        ini.version,
        dest.display()
    ))?;
    Ok(())
}

/// Downloads the blobs that the project lists and its source code does not hold. What the release does not have is
/// said, not an error: it may come from elsewhere.
async fn blobs(project: &Path, ini: &ProjectIni, assets: &Url) -> anyhow::Result<()> {
    for blob in &ini.blobs {
        let dest = locker::path::join(&project.join("blobs"), blob)?;
        if dest.exists() || blob.contains(['*', '?', '[']) {
            continue;
        }
        if let Some(folder) = dest.parent() {
            durable::create_folder(folder, 0o755)?;
        }
        // A release has no folders.
        let name = blob.rsplit('/').next().unwrap_or(blob);
        let mut url = assets.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.push(name);
        }
        if !download(&url, &dest).await? {
            terminal::warn(format_args!(
                "the blob `{blob}` is not among the files of the release"
            ));
        }
    }
    Ok(())
}

/// Understands the URL, or the path, that the user gave.
fn origin(text: &str) -> anyhow::Result<Origin> {
    let is_archive = |path: &str| [".tar.gz", ".tgz", ".tar"].iter().any(|end| path.ends_with(end));
    let Ok(url) = Url::parse(text) else {
        ensure!(
            is_archive(text),
            "`{text}` is neither a URL nor an archive: .tar.gz, .tgz and .tar are known"
        );
        return Ok(Origin::File(text.into()));
    };
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the URL has a credential in it"
    );
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .ok()
                .with_context(|| format!("`{text}` names no file of this machine"))?;
            return Ok(Origin::File(path));
        }
        "http" | "https" if is_private(&url) => {}
        "http" => bail!("`{text}` is not on this machine: a project comes over https only"),
        scheme => bail!("`{text}` has the scheme `{scheme}`; https and file are known"),
    }
    if is_archive(url.path()) {
        return Ok(Origin::Web {
            archive: url,
            assets: None,
        });
    }
    let path = url.path().trim_matches('/').to_owned();
    let steps: Vec<&str> = path.split('/').collect();
    let at = |steps: &[&str]| {
        let mut at = url.clone();
        at.set_query(None);
        at.set_fragment(None);
        at.set_path(&steps.join("/"));
        at
    };
    let (owner, repository, rest) = match steps.as_slice() {
        [owner, repository, rest @ ..] if !owner.is_empty() && !repository.is_empty() => {
            (*owner, repository.trim_end_matches(".git"), rest)
        }
        _ => return unknown(text),
    };
    match rest {
        [] => Ok(Origin::Web {
            archive: at(&[owner, repository, "archive", "HEAD.tar.gz"]),
            assets: None,
        }),
        ["tree", reference @ ..] if !reference.is_empty() => {
            let name = format!("{}.tar.gz", reference.join("/"));
            Ok(Origin::Web {
                archive: at(&[owner, repository, "archive", &name]),
                assets: None,
            })
        }
        ["releases", "tag", tag] | ["releases", tag] => {
            let name = format!("{tag}.tar.gz");
            Ok(Origin::Web {
                archive: at(&[owner, repository, "archive", "refs", "tags", &name]),
                assets: Some(at(&[owner, repository, "releases", "download", tag])),
            })
        }
        _ => unknown(text),
    }
}

fn unknown<T>(text: &str) -> anyhow::Result<T> {
    Err(anyhow::anyhow!("`{text}` is no URL that a project can be fetched from")).hint(
        "https://HOST/OWNER/REPOSITORY, the same with /releases/TAG or /tree/BRANCH, or the URL or path of a .tar.gz",
    )
}

/// Downloads a file; whether it is there.
async fn download(url: &Url, dest: &Path) -> anyhow::Result<bool> {
    let context = || format!("cannot download `{url}`");
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if is_private(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("a redirect to a URL that is not https")
        }
    });
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirects)
        .user_agent(concat!("cyclecloud/", env!("CARGO_PKG_VERSION")))
        .build()
        .with_context(context)?;
    let response = client
        .get(url.clone())
        .send()
        .await
        .map_err(reqwest::Error::without_url);
    let response = response.with_context(context)?;
    match response.status() {
        StatusCode::NOT_FOUND => return Ok(false),
        status => ensure!(
            status.is_success(),
            "cannot download `{url}`: the server answered {status}"
        ),
    }
    let total = response.content_length();
    let name = url.path_segments().and_then(|mut steps| steps.next_back());
    let bar = terminal::Bar::new(name.unwrap_or("project"));
    let writing = || format!("cannot write `{}`", dest.display());
    let mut file = std::fs::File::create_new(dest).with_context(writing)?;
    let mut done = 0_u64;
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(reqwest::Error::without_url).with_context(context)?;
        file.write_all(&chunk).with_context(writing)?;
        done += chunk.len() as u64;
        bar.set(done, total.unwrap_or(done));
    }
    file.sync_all().with_context(writing)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_url() {
        let web = |text: &str| match origin(text).unwrap() {
            Origin::Web { archive, assets } => (archive.to_string(), assets.map(|url| url.to_string())),
            Origin::File(path) => (path.display().to_string(), None),
        };
        let host = "https://forge.example/org/repo";
        assert_eq!(web(host), (format!("{host}/archive/HEAD.tar.gz"), None));
        assert_eq!(
            web(&format!("{host}.git")).0,
            format!("{host}/archive/HEAD.tar.gz")
        );
        assert_eq!(
            web(&format!("{host}/tree/feature/x/?tab=1")).0,
            format!("{host}/archive/feature/x.tar.gz")
        );
        let release = (
            format!("{host}/archive/refs/tags/2.0.tar.gz"),
            Some(format!("{host}/releases/download/2.0")),
        );
        assert_eq!(web(&format!("{host}/releases/2.0")), release);
        assert_eq!(web(&format!("{host}/releases/tag/2.0")), release);
        assert_eq!(web("https://x.example/a.tgz").0, "https://x.example/a.tgz");
        assert_eq!(web("file:///tmp/a.tar.gz").0, "/tmp/a.tar.gz");
        assert_eq!(web("dir/a.tar").0, "dir/a.tar");
    }

    #[test]
    fn what_cannot_be_fetched_is_named() {
        for (text, words) in [
            ("nonsense", "neither a URL nor an archive"),
            ("http://example.com/a/b", "https only"),
            ("ftp://example.com/a", "has the scheme `ftp`"),
            (
                "https://example.com/a",
                "no URL that a project can be fetched from",
            ),
            (
                "https://example.com/a/b/wiki/x",
                "no URL that a project can be fetched from",
            ),
        ] {
            let error = origin(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(words), "{error}");
        }
        let error = origin("https://u:topsecret@example.com/a/b")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("topsecret"), "{error}");
    }
}
