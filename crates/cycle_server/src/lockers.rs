//! The lockers of the server: its own folder, and the object storage that its administrator configured.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locker::{Error, Locker};

use crate::app::LOCKER;
use crate::settings::Settings;

/// How long a signed URL of object storage is good. A download may take longer: storage looks when it begins.
const SIGNED: Duration = Duration::from_secs(15 * 60);
/// How long readers may use one before they ask for another.
pub const SIGNED_KEPT: Duration = Duration::from_secs(10 * 60);

/// All lockers, by name.
#[derive(Debug)]
pub struct Lockers {
    own: Locker,
    all: BTreeMap<String, Entry>,
    default: String,
}

#[derive(Debug)]
struct Entry {
    locker: Locker,
    redirect: bool,
    /// Whether signing failed the last time: it is said once.
    cannot_sign: AtomicBool,
}

impl Lockers {
    /// Opens them. Storage is not talked to yet.
    ///
    /// # Errors
    /// For a URL or a credential that cannot be; names the locker.
    pub fn open(own: Locker, settings: &Settings) -> Result<Self, Error> {
        let entry = Entry {
            locker: own.clone(),
            redirect: false,
            cannot_sign: AtomicBool::new(false),
        };
        let mut all = BTreeMap::from([(LOCKER.to_owned(), entry)]);
        for (name, settings) in &settings.lockers {
            let entry = Entry {
                locker: Locker::open_any(&settings.url, &settings.access)?,
                redirect: settings.redirect,
                cannot_sign: AtomicBool::new(false),
            };
            all.insert(name.clone(), entry);
        }
        Ok(Self {
            own,
            all,
            default: settings.default_locker.clone(),
        })
    }

    /// The server's own one.
    pub fn own(&self) -> &Locker {
        &self.own
    }

    /// The locker of this name.
    pub fn get(&self, name: &str) -> Option<&Locker> {
        self.all.get(name).map(|entry| &entry.locker)
    }

    /// Name of the one that holds a project when nobody says which.
    pub fn default(&self) -> &str {
        &self.default
    }

    /// Names and lockers; the default comes first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Locker)> {
        let is_default = |name: &str| name == self.default;
        let all = self
            .all
            .iter()
            .map(|(name, entry)| (name.as_str(), &entry.locker));
        let first = all.clone().filter(move |(name, _)| is_default(name));
        first.chain(all.filter(move |(name, _)| !is_default(name)))
    }

    /// Where the storage itself gives one blob to whoever has the URL, for a time. None when the bytes have to go
    /// through the server.
    pub async fn signed_url(&self, name: &str, path: &str) -> Option<String> {
        let entry = self.all.get(name).filter(|entry| entry.redirect)?;
        match entry.locker.signed_url(path, SIGNED).await {
            Ok(url) => {
                entry.cannot_sign.store(false, Ordering::Relaxed);
                url
            }
            Err(error) => {
                if !entry.cannot_sign.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        locker = name,
                        error = terminal::chain(&error),
                        "no URL can be signed; blobs go through the server"
                    );
                }
                None
            }
        }
    }
}
