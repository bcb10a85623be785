//! Who may log in to nodes, and what an account on a node may be called.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use protocol::NodeUser;
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::store::{AccountRecord, Cluster};

/// Longest name of an account on Linux, useradd(8).
const MAX_NAME: usize = 32;
/// Numbers below are those of the system.
const FIRST_UID: u32 = 1000;
/// `nobody`, and the end of what every file system can keep.
const RESERVED_UIDS: [u32; 2] = [65_534, 65_535];
/// Above, systemd and containers have their own.
const LAST_UID: u32 = 0x7fff_ffff;
/// Accounts that a machine has already; `cyclecloud` is that of the node itself.
const SYSTEM_NAMES: [&str; 28] = [
    "adm",
    "backup",
    "bin",
    "cyclecloud",
    "daemon",
    "dbus",
    "ftp",
    "games",
    "gnats",
    "halt",
    "http",
    "irc",
    "jetpack",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "news",
    "nobody",
    "operator",
    "polkitd",
    "proxy",
    "root",
    "sshd",
    "sync",
    "sys",
    "uucp",
];
/// Most bytes of a key.
const MAX_KEY: usize = 16 * 1024;
/// Kinds of keys, as sshd(8) names them.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Whether an account on a node may have this name: a small letter or `_`, then small letters, digits, `_` and `-`; not one
/// that the system has.
///
/// # Errors
/// What is wrong with it.
pub fn check_user_name(name: &str) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal(format!("the user name `{}` {why}", name.escape_debug())));
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_next = |byte: &u8| is_first(*byte) || byte.is_ascii_digit() || *byte == b'-';
    match name.as_bytes() {
        [] => refused("is empty"),
        bytes if bytes.len() > MAX_NAME => refused("is longer than 32 bytes"),
        [first, rest @ ..] if is_first(*first) && rest.iter().all(is_next) => {
            if SYSTEM_NAMES.contains(&name) || name.starts_with("systemd-") {
                refused("belongs to the system")
            } else {
                Ok(())
            }
        }
        _ => refused(
            "cannot be a Linux account: expected a small letter, then small letters, digits, `_` or `-`",
        ),
    }
}

/// Whether an account on a node may have this number.
///
/// # Errors
/// Which numbers are possible.
pub fn check_uid(uid: u32) -> Result<(), Refusal> {
    if (FIRST_UID..=LAST_UID).contains(&uid) && !RESERVED_UIDS.contains(&uid) {
        Ok(())
    } else {
        Err(Refusal(format!(
            "the uid {uid} cannot be given: expected one from {FIRST_UID} to {LAST_UID}, and not that of `nobody`"
        )))
    }
}

/// A public key as one line without a line end: type, key, comment.
///
/// # Errors
/// What is wrong with it: more than one line, an unknown type, or a key that is damaged. A private key is refused without
/// repeating it.
pub fn public_key(text: &str) -> Result<String, Refusal> {
    let refused = |why: &str| Err(Refusal(format!("the public key {why}")));
    let key = text.trim();
    if key.contains("PRIVATE KEY") {
        return refused("is a private one: give the file that ends in `.pub`");
    }
    if key.is_empty() {
        return refused("is empty");
    }
    if key.len() > MAX_KEY {
        return refused("is longer than 16 KiB");
    }
    if key.chars().any(char::is_control) {
        return refused("is more than one line");
    }
    let mut words = key.splitn(3, ' ');
    let kind = words.next().unwrap_or_default();
    if !KEY_TYPES.contains(&kind) {
        return refused(&format!(
            "is of type `{}`: expected ssh-ed25519, ssh-rsa, or ecdsa-sha2-nistp256, 384 or 521",
            kind.chars().take(40).collect::<String>()
        ));
    }
    let blob = words.next().and_then(|word| STANDARD.decode(word).ok());
    let fields = blob.as_deref().and_then(fields);
    let is_whole = match (kind, fields.as_deref()) {
        ("ssh-ed25519", Some([name, key])) => *name == kind.as_bytes() && key.len() == 32,
        ("ssh-rsa", Some([name, _exponent, modulus])) => *name == kind.as_bytes() && modulus.len() >= 128,
        (_, Some([name, curve, key, ..])) => *name == kind.as_bytes() && !curve.is_empty() && !key.is_empty(),
        _ => false,
    };
    if is_whole {
        Ok(key.to_owned())
    } else {
        refused("is damaged")
    }
}

/// The fields of a key: each is its length in four bytes and so many bytes (RFC 4251, section 5).
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = blob.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    blob.is_empty().then_some(fields)
}

/// `SHA256:` and base64, as ssh-keygen(1) shows it.
pub fn fingerprint(public_key: &str) -> String {
    let blob = public_key
        .split(' ')
        .nth(1)
        .and_then(|word| STANDARD.decode(word).ok());
    let digest = Sha256::digest(blob.unwrap_or_default());
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
}

/// Who may log in to the nodes of a cluster, by name: its owner, and those who may log in everywhere. Accounts whose names
/// no Linux account can have are left out.
pub fn users_of(cluster: &Cluster, accounts: &[AccountRecord]) -> Vec<NodeUser> {
    let mut users: Vec<NodeUser> = accounts
        .iter()
        .filter(|account| !account.profile.disabled && account.profile.node_access)
        .filter(|account| check_user_name(&account.name).is_ok())
        .filter_map(|account| {
            let profile = &account.profile;
            let is_owner = account.name == cluster.owner;
            (is_owner || profile.node_user || profile.node_admin).then(|| NodeUser {
                full_name: match profile.full_name.as_str() {
                    "" => account.name.clone(),
                    name => name.to_owned(),
                },
                is_admin: is_owner || profile.node_admin,
                is_owner,
                name: account.name.clone(),
                public_keys: profile.public_keys.iter().map(|key| format!("{key}\n")).collect(),
                uid: account.uid,
            })
        })
        .collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    users
}

/// The same for the same users, and another one when any of them changes.
pub fn digest(users: &[NodeUser]) -> String {
    let mut digest = Sha256::new();
    for user in users {
        digest.update(format!("{user:?}\0"));
    }
    let digest = digest.finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtYXh3Rf0l5JXHmPWsMkEDbGk2v0rL8RoeUO8YQh2jD alice@laptop";

    #[test]
    fn names_of_linux_accounts() {
        for name in ["alice", "_x", "a-1", "user_2"] {
            check_user_name(name).unwrap();
        }
        let long = "a".repeat(33);
        for name in [
            "",
            "root",
            "../x",
            "Alice",
            "1a",
            "-a",
            "a b",
            "a\n",
            "cyclecloud",
            "systemd-x",
            "ä",
            &long,
        ] {
            check_user_name(name).unwrap_err();
        }
    }

    #[test]
    fn uids_of_people() {
        for uid in [1000, 20_000, 0x7fff_ffff] {
            check_uid(uid).unwrap();
        }
        for uid in [0, 1, 999, 65_534, 0x8000_0000, u32::MAX] {
            check_uid(uid).unwrap_err();
        }
    }

    #[test]
    fn keys_are_one_line_of_a_known_type() {
        assert_eq!(public_key(&format!("\n{KEY}\r\n")).unwrap(), KEY);
        let without_comment = KEY.rsplit_once(' ').unwrap().0;
        assert_eq!(public_key(without_comment).unwrap(), without_comment);
        let why = |text: &str| public_key(text).unwrap_err().0;
        assert!(why(&format!("{KEY}\n{KEY}")).contains("one line"));
        assert!(why(&format!("command=\"x\" {KEY}")).contains("type"));
        assert!(why("ssh-dss AAAA").contains("ssh-dss"));
        assert!(why(&KEY.replace("AAAAC3", "AAAAC4")).contains("damaged"));
        assert!(why(&KEY.replace("ssh-ed25519 ", "ssh-rsa ")).contains("damaged"));
        assert!(why("ssh-ed25519").contains("damaged"));
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret";
        assert!(why(private).contains("private") && !why(private).contains("secret"));
        assert!(fingerprint(KEY).starts_with("SHA256:"));
        assert_eq!(fingerprint(KEY), fingerprint(without_comment));
    }

    #[test]
    fn the_owner_and_the_global_users_are_listed() {
        let cluster = fixture::cluster(fixture::TEMPLATE);
        let account = |name: &str, change: &dyn Fn(&mut AccountRecord)| {
            let mut account = AccountRecord::new(name.to_owned(), String::new(), false);
            change(&mut account);
            account
        };
        let accounts = [
            account("root", &|account| account.profile.node_admin = true),
            account("zoe", &|account| account.profile.node_admin = true),
            account("admin", &|account| {
                account.profile.public_keys = vec![KEY.to_owned()]
            }),
            account("bob", &|account| account.profile.node_user = true),
            account("nobody-special", &|_| {}),
            account("gone", &|account| {
                (account.profile.node_user, account.profile.disabled) = (true, true)
            }),
            account("out", &|account| {
                (account.profile.node_user, account.profile.node_access) = (true, false)
            }),
        ];
        let users = users_of(&cluster, &accounts);
        let seen: Vec<_> = users
            .iter()
            .map(|user| (user.name.as_str(), user.is_admin, user.is_owner))
            .collect();
        assert_eq!(
            seen,
            [("admin", true, true), ("bob", false, false), ("zoe", true, false)]
        );
        assert_eq!(users[0].public_keys, [format!("{KEY}\n")]);
        assert_eq!(users[1].full_name, "bob");
        assert_ne!(digest(&users), digest(&users[1..]));
    }
}
