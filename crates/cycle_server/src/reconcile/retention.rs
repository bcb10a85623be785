//! Forgetting what is too old or too much.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::app::App;
use crate::store::{self, StoreError};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(600);

/// Looks now and then.
#[derive(Debug, Default)]
pub(super) struct Retention {
    last: Mutex<Option<(Instant, usize)>>,
}

impl Retention {
    /// Forgets, if the last look is long ago.
    pub(super) async fn reconcile(&self, app: &App) -> Result<String, StoreError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = match last {
            Some((at, gone)) if at.elapsed() < PERIOD => gone,
            _ => {
                let settings = &app.settings;
                let gone = app
                    .store
                    .forget(store::Retention {
                        before: app.clock.now().saturating_sub(settings.keep).unwrap_or_default(),
                        max_events: settings.max_events,
                        max_messages: settings.max_messages,
                    })
                    .await?;
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), gone));
                gone
            }
        };
        Ok(format!("{gone} rows forgotten by the last look"))
    }
}
