//! Object storage to test with: Azurite for Azure Blob, s3s-fs for S3. Both check signatures.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::{env, thread};

use tempfile::TempDir;

use crate::http::request;
use crate::process::Program;

/// The storage account of the emulator.
pub const AZURE_ACCOUNT: &str = "jetpack";
/// Its key. It opens nothing but emulators of tests.
pub const AZURE_KEY: &str =
    "WIX8knWjco7CRDIliF5kSf2YJVbsgPGlK8vzxw1v7ptYhfySdaNyjsJEMiWIXmRJ/ZglVuyA8aUry/PHDW/umw==";
/// An account SAS that was made with that key: everything with blobs, until 2099.
pub const AZURE_SAS: &str = "sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=GIUIKPwWe%2FtSiTqzS5mo%2BTFMfkodWrVncBY8jVB5Kag%3D";
/// The access key id of the S3 server.
pub const S3_KEY_ID: &str = "jetpack";
/// Its secret.
pub const S3_SECRET: &str = "an emulator has no secrets";

/// An emulator of Azure Blob with the empty container `cyclecloud`, on a free port.
#[derive(Debug)]
pub struct Azure(Emulator);

/// An S3 server with the empty bucket `cyclecloud`, on a free port.
#[derive(Debug)]
pub struct S3(Emulator);

/// The XML API of GCS with the empty bucket `cyclecloud`, on a free port: an S3 server that asks for no signature, as the two APIs
/// are the same but for how requests are signed.
#[derive(Debug)]
pub struct Gcs(Emulator);

#[derive(Debug)]
struct Emulator {
    child: Child,
    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`
    url: String,
    _folder: TempDir,
}

impl Azure {
    /// Starts it.
    ///
    /// # Panics
    /// When it is not installed (`make tools`) or does not answer.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Self::program(&folder);
        let azure = Self(Emulator::start(program, folder, "successfully listens on "));
        let container = format!("{}/cyclecloud?restype=container&{AZURE_SAS}", azure.endpoint());
        // On a thread of its own: the test may be one of tokio's.
        let made = thread::spawn(move || request("PUT", &container, None, Some("")));
        let made = made.join().unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        azure
    }

    /// Starts it with HTTPS for `localhost`, as the bearer tokens of Azure AD want it. It looks at everything in a token but its
    /// signature. Certificate chain and key are files in PEM.
    ///
    /// # Panics
    /// As [`Azure::start`].
    pub fn start_with_tokens(certificate: &Path, key: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Self::program(&folder).args(["--oauth", "basic", "--cert"]).args([
            certificate.as_os_str(),
            "--key".as_ref(),
            key.as_os_str(),
        ]);
        Self(Emulator::start(program, folder, "successfully listens on "))
    }

    fn program(folder: &TempDir) -> Program {
        Program::at(&tool("emulators/node_modules/.bin/azurite-blob"))
            .args(["--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry"])
            .args(["--location".as_ref(), folder.path().as_os_str()])
            .env("AZURITE_ACCOUNTS", format!("{AZURE_ACCOUNT}:{AZURE_KEY}"))
    }

    /// Where the account is.
    pub fn endpoint(&self) -> String {
        format!("{}/{AZURE_ACCOUNT}", self.0.url)
    }
}

impl S3 {
    /// Starts it.
    ///
    /// # Panics
    /// When it is not installed (`make tools`) or does not answer.
    pub fn start() -> Self {
        Self(Emulator::s3(&[
            "--access-key",
            S3_KEY_ID,
            "--secret-key",
            S3_SECRET,
        ]))
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.0.url.clone()
    }
}

impl Gcs {
    /// Starts it.
    ///
    /// # Panics
    /// When it is not installed (`make tools`) or does not answer.
    pub fn start() -> Self {
        Self(Emulator::s3(&[]))
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.0.url.clone()
    }
}

impl Emulator {
    fn s3(keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cyclecloud")).unwrap();
        let program = Program::at(&tool("bin/s3s-fs"))
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(keys)
            .args([folder.path()])
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1");
        Self::start(program, folder, "server is running at ")
    }

    /// Starts it, and waits until it says where it is, behind `words`.
    fn start(program: Program, folder: TempDir, words: &str) -> Self {
        let mut child = program
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            if output.read_line(&mut said).unwrap() == 0 {
                panic!("the emulator ended: {:?}\n{said}", child.wait());
            }
            if let Some((_, address)) = said[before..].split_once(words) {
                break address.trim().to_owned();
            }
        };
        // It must never wait for a reader.
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let url = match address.split_once("://") {
            // A certificate is for a name.
            Some(("https", address)) => format!("https://{}", address.replace("127.0.0.1", "localhost")),
            Some((_, address)) => format!("http://{address}"),
            None => format!("http://{address}"),
        };
        Self {
            child,
            url,
            _folder: folder,
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that `make tools` has installed.
fn tool(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    // target/PROFILE/deps/TEST
    let target = test.ancestors().nth(3).unwrap();
    let path = target.join("tools").join(name);
    assert!(
        path.exists(),
        "`{}` is missing: run `make tools` first",
        path.display()
    );
    path
}
