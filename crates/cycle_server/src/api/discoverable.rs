//! What nodes of a cluster let each other know: `cluster.search` and `cluster.store_discoverable` of recipes.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use protocol::set_dotted;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ApiError;
use super::body::JsonBody;
use crate::app::SharedApp;
use crate::auth::NodeIdentity;
use crate::store::{Document, DocumentKind, Node, TargetState};

/// Most bytes of what a node lets others know: a whole tree of attributes with the facts of a large machine has a tenth.
const MAX_BYTES: usize = 2 << 20;

/// Which nodes are wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// Those with this role among `roles`.
    role: Option<String>,
    /// Those with this recipe among `recipes`.
    recipe: Option<String>,
}

impl Wanted {
    fn matches(&self, attributes: &Map<String, Value>) -> bool {
        let lists = |key: &str, is_wanted: &dyn Fn(&str) -> bool| match attributes.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(is_wanted),
            Some(Value::String(one)) => is_wanted(one),
            _ => false,
        };
        let has_role = |role: &str| lists("roles", &|name| name == role);
        let has_recipe = |recipe: &str| lists("recipes", &|name| full(name) == full(recipe));
        self.role.as_deref().is_none_or(has_role) && self.recipe.as_deref().is_none_or(has_recipe)
    }
}

/// A cookbook alone is its default recipe.
fn full(recipe: &str) -> Cow<'_, str> {
    match recipe.contains("::") {
        true => recipe.into(),
        false => format!("{recipe}::default").into(),
    }
}

/// `GET /clusterlink/discoverable` (ours): the attributes of the nodes of the caller's cluster that are to run and let others know
/// of them, by name. Who they are is said by the server, not by them.
pub(super) async fn search(
    State(app): State<SharedApp>,
    Query(wanted): Query<Wanted>,
    identity: NodeIdentity,
) -> Result<Json<Vec<Map<String, Value>>>, ApiError> {
    let known = app.store.discoverable(&identity.node().cluster).await?;
    let there = known
        .into_iter()
        .filter(|(node, _)| node.target_state == TargetState::Started);
    let attributes = there.filter_map(|(node, body)| match body {
        Value::Object(attributes) if wanted.matches(&attributes) => Some(signed(&node, attributes)),
        _ => None,
    });
    Ok(Json(attributes.collect()))
}

/// `PUT /clusterlink/discoverable` (ours): what the caller lets others know. It replaces what it let them know before.
pub(super) async fn store(
    State(app): State<SharedApp>,
    identity: NodeIdentity,
    JsonBody(mut attributes): JsonBody<Map<String, Value>>,
) -> Result<StatusCode, ApiError> {
    forget_password(&mut attributes);
    let body = Value::Object(attributes);
    let bytes = body.to_string().len();
    if bytes > MAX_BYTES {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the attributes have {bytes} bytes, more than {MAX_BYTES}"),
        ));
    }
    let document = Document {
        kind: DocumentKind::Discoverable,
        name: String::new(),
        time: app.clock.now(),
        body,
    };
    match app.store.save_document(&identity.node().id, document).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("the node is gone")),
    }
}

/// The node's own credential is among its attributes, and is for nobody else.
fn forget_password(attributes: &mut Map<String, Value>) {
    if let Some(Value::Object(cyclecloud)) = attributes.get_mut("cyclecloud")
        && let Some(Value::Object(config)) = cyclecloud.get_mut("config")
    {
        config.remove("password");
    }
}

/// The attributes with what the server itself knows of the node.
fn signed(node: &Node, mut attributes: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in [
        ("cyclecloud.cluster.name", json!(node.cluster)),
        ("cyclecloud.node.id", json!(node.id)),
        ("cyclecloud.node.name", json!(node.name)),
        ("cyclecloud.node.template", json!(node.template)),
    ] {
        set_dotted(&mut attributes, key, value);
    }
    if let Some(id) = &node.instance_id {
        set_dotted(&mut attributes, "cyclecloud.instance.id", json!(id));
    }
    attributes
}
