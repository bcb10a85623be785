//! The pages, one function each.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use protocol::{Level, Priority};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::view::{ClusterView, Frame, Log, NodeView, TargetView, Told, quoted};
use super::{headers, live};
use crate::clock::SharedClock;
use crate::store::{EventQuery, Store, StoreError};

/// Events on the page of a cluster and of the site.
const LOG_LENGTH: u32 = 200;
/// Events below the list of clusters.
const LATEST: u32 = 10;

/// What the pages need.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Where everything on them comes from.
    pub store: Store,
    /// For uptimes.
    pub clock: SharedClock,
    /// Ends the streams of changes, which would go on for ever.
    pub stopping: CancellationToken,
}

/// `/`, `/c/{cluster}`, `/c/{cluster}/n/{node}`, `/events`, and `/changes` that keeps them up to date. To be mounted behind a check of
/// the account.
pub fn pages<S: Clone + Send + Sync + 'static>(pages: Pages) -> Router<S> {
    Router::new()
        .route("/", get(clusters))
        .route("/c/{cluster}", get(cluster))
        .route("/c/{cluster}/n/{node}", get(node))
        .route("/events", get(events))
        .route("/changes", get(live::changes))
        .layer(axum::middleware::map_response(headers::add))
        .with_state(pages)
}

#[derive(Template)]
#[template(path = "clusters.html")]
struct ClustersPage {
    frame: Frame,
    clusters: Vec<ClusterView>,
    log: Log,
}

#[derive(Template)]
#[template(path = "cluster.html")]
struct ClusterPage {
    frame: Frame,
    cluster: ClusterView,
    nodes: Vec<NodeView>,
    targets: Vec<TargetView>,
    log: Log,
}

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    frame: Frame,
    cluster: String,
    cluster_href: String,
    node: NodeView,
    told: Told,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    log: Log,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: &'static str,
    message: String,
}

/// What a reader may choose.
#[derive(Debug, Default, Deserialize)]
struct Choice {
    #[serde(default)]
    priority: String,
}

impl Choice {
    /// A word that is none of ours is as good as no choice.
    fn priority(&self) -> Priority {
        self.priority.parse().unwrap_or(Priority::Medium)
    }
}

/// Why there is no page. Browsers see a page all the same.
enum Problem {
    Store(StoreError),
    Render(askama::Error),
    NoCluster(Frame, String),
    NoNode(Frame, String),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::Render(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            tracing::error!(error = terminal::chain(error), "cannot show a page");
            let text = "The server cannot show this page now. Its log says why.";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        };
        match self {
            Self::Store(error) => failed(&error),
            Self::Render(error) => failed(&error),
            Self::NoCluster(frame, name) => {
                let message = format!("There is no cluster named “{name}”.");
                nothing(frame, "No such cluster", message).unwrap_or_else(|error| failed(&error))
            }
            Self::NoNode(frame, name) => {
                let message = format!("There is no node named “{name}” in this cluster.");
                nothing(frame, "No such node", message).unwrap_or_else(|error| failed(&error))
            }
        }
    }
}

fn nothing(frame: Frame, title: &'static str, message: String) -> Result<Response, askama::Error> {
    let page = ProblemPage {
        frame,
        title,
        message,
    };
    Ok((StatusCode::NOT_FOUND, Html(page.render()?)).into_response())
}

impl Pages {
    fn frame(&self, section: &'static str) -> Frame {
        Frame::new(section, self.clock.now())
    }

    async fn log(
        &self,
        cluster: Option<&str>,
        priority: Priority,
        limit: u32,
        path: &str,
    ) -> Result<Log, StoreError> {
        let query = EventQuery {
            cluster: cluster.map(str::to_owned),
            after: None,
            level: Level::Info,
            priority,
            limit,
        };
        let events = self.store.events(query).await?;
        Ok(Log::new(events, cluster.is_none(), priority, path))
    }
}

async fn clusters(State(pages): State<Pages>) -> Result<Html<String>, Problem> {
    let nodes = pages.store.nodes(None).await?;
    let clusters = pages.store.clusters().await?;
    let page = ClustersPage {
        frame: pages.frame("clusters"),
        clusters: clusters
            .iter()
            .map(|cluster| {
                ClusterView::new(cluster, nodes.iter().filter(|node| node.cluster == cluster.name))
            })
            .collect(),
        log: pages.log(None, Priority::Medium, LATEST, "/events").await?,
    };
    Ok(Html(page.render()?))
}

async fn cluster(
    State(pages): State<Pages>,
    Path(name): Path<String>,
    Query(choice): Query<Choice>,
) -> Result<Html<String>, Problem> {
    let frame = pages.frame("clusters");
    let Some((cluster, nodes)) = pages.store.cluster_and_nodes(&name).await? else {
        return Err(Problem::NoCluster(frame, name));
    };
    let page = ClusterPage {
        frame,
        cluster: ClusterView::new(&cluster, nodes.iter()),
        nodes: NodeView::all(&nodes, pages.clock.now()),
        targets: TargetView::all(&cluster, pages.clock.now()),
        log: pages.log(Some(&name), choice.priority(), LOG_LENGTH, "").await?,
    };
    Ok(Html(page.render()?))
}

async fn node(
    State(pages): State<Pages>,
    Path((cluster, name)): Path<(String, String)>,
) -> Result<Html<String>, Problem> {
    let frame = pages.frame("clusters");
    let nodes = pages.store.nodes(Some(&cluster)).await?;
    let Some(node) = nodes.into_iter().find(|node| node.name == name) else {
        return Err(Problem::NoNode(frame, name));
    };
    let page = NodePage {
        frame,
        cluster_href: format!("/c/{}", quoted(&cluster)),
        cluster,
        node: NodeView::new(&node, pages.clock.now()),
        told: Told::new(pages.store.documents(&node.id).await?, pages.clock.now()),
    };
    Ok(Html(page.render()?))
}

async fn events(State(pages): State<Pages>, Query(choice): Query<Choice>) -> Result<Html<String>, Problem> {
    let page = EventsPage {
        frame: pages.frame("events"),
        log: pages.log(None, choice.priority(), LOG_LENGTH, "/events").await?,
    };
    Ok(Html(page.render()?))
}
