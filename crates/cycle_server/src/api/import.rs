//! `POST /cloud/api/import_cluster/{name}`

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use protocol::check_name;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ApiError;
use super::nodes::done;
use crate::app::SharedApp;
use crate::auth::Account;
use crate::lifecycle::{self, ImportRefusal};
use crate::store::{Autoscaling, Cluster};
use crate::template;

/// The fields of the form. Others are ignored, as the original does.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    cluster: String,
    template: Option<String>,
    force: Option<String>,
    as_template: Option<String>,
    parameters: Option<String>,
    parameters_format: Option<String>,
    file: Option<String>,
}

/// Makes a cluster from the text of a template, or gives it a new one.
pub(super) async fn import(
    State(app): State<SharedApp>,
    account: Account,
    Path(name): Path<String>,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<String, ApiError> {
    let Form(fields) = form.map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))?;
    check_name("the cluster", &name).map_err(|error| ApiError::bad_request(error.to_string()))?;
    if is_true(fields.as_template.as_deref()) {
        return Err(ApiError::bad_request("importing as a template is not supported"));
    }
    let parameters = Arc::new(parameters(&fields)?);
    let file = fields.file.as_deref().unwrap_or("template");
    let parsed =
        template::parse(file, &fields.cluster).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let definition = template::resolve(&parsed, &name, &parameters)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    if let Some(wanted) = fields.template.as_deref().filter(|wanted| !wanted.is_empty())
        && !wanted.eq_ignore_ascii_case(&definition.template)
    {
        return Err(ApiError::bad_request(format!(
            "{file} has no cluster `{wanted}`, only `{}`",
            definition.template
        )));
    }
    let definition = Arc::new(definition);
    let text: Arc<str> = fields.cluster.into();
    let force = is_true(fields.force.as_deref());
    let now = app.clock.now();
    let new = Cluster {
        name: name.clone(),
        id: Uuid::new_v4().to_string(),
        definition: definition.clone(),
        template: text.clone(),
        parameters: parameters.clone(),
        owner: account.name().to_owned(),
        state: None,
        target_state: None,
        start_count: 0,
        start_pending: false,
        active_arrays: Vec::new(),
        created: now,
        autoscale: Autoscaling::default(),
        replacements: Default::default(),
        test_mode: false,
        remove_pending: false,
    };
    let edited = app
        .store
        .edit_or_create_cluster(new, now, move |edit, is_new| {
            lifecycle::import(edit, is_new, force, definition, text, parameters, now)
        })
        .await?;
    done(edited, &name)?;
    app.wake.notify_one();
    Ok(format!("Importing cluster {name}....\n"))
}

impl From<ImportRefusal> for ApiError {
    fn from(refusal: ImportRefusal) -> Self {
        Self::conflict(format!("cannot import: {refusal}"))
    }
}

fn is_true(field: Option<&str>) -> bool {
    field.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}

fn parameters(fields: &Fields) -> Result<Map<String, Value>, ApiError> {
    if let Some(format) = fields.parameters_format.as_deref()
        && !format.eq_ignore_ascii_case("json")
    {
        return Err(ApiError::bad_request(format!(
            "the format `{format}` of the parameters is not supported: use `json`"
        )));
    }
    match fields.parameters.as_deref().map(str::trim) {
        None | Some("") => Ok(Map::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| ApiError::bad_request(format!("the parameters are not a JSON object: {error}"))),
    }
}
