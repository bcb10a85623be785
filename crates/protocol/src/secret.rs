//! Replacing the secret of a node (ours).

use std::fmt;

use serde::{Deserialize, Serialize};

/// `POST /clusterlink/secret`, with the node's credential: the secret that it is to be known by. The old one holds for another hour.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewSecret {
    /// 64 hexadecimal digits.
    pub secret: String,
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewSecret")
    }
}
