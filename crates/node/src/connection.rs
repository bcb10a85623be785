//! `config/connection.json`: address and credential of the server, read by other software too.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::home::Home;

/// How this node, and the software on it, reaches the server.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    /// URL of the server.
    pub url: String,
    /// The node's id.
    pub username: String,
    /// The node's secret.
    pub password: SecretString,
    /// Name of the cluster.
    pub cluster: String,
}

impl Connection {
    /// Reads the file; none when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read or is not such a file.
    pub fn load(home: &Home) -> Result<Option<Self>, durable::Error> {
        durable::read_json(&home.connection())
    }

    /// Replaces the file, readable for root and the group of the node's data only.
    ///
    /// # Errors
    /// When it cannot be written; the old one is untouched then.
    pub fn save(&self, home: &Home) -> Result<(), durable::Error> {
        #[derive(Serialize)]
        struct Plain<'a> {
            url: &'a str,
            username: &'a str,
            password: &'a str,
            cluster: &'a str,
        }
        let plain = Plain {
            url: &self.url,
            username: &self.username,
            password: self.password.expose_secret(),
            cluster: &self.cluster,
        };
        durable::write_json(&home.connection(), 0o640, &plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create().unwrap();
        assert!(Connection::load(&home).unwrap().is_none());
        let connection = Connection {
            url: "http://h:8080".to_owned(),
            username: "id".to_owned(),
            password: "hush".into(),
            cluster: "demo".to_owned(),
        };
        connection.save(&home).unwrap();
        let loaded = Connection::load(&home).unwrap().unwrap();
        assert_eq!(loaded.password.expose_secret(), "hush");
        assert_eq!(loaded.cluster, "demo");
        assert!(!format!("{loaded:?}").contains("hush"));
    }
}
