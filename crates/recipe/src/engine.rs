//! One Ruby for one converge.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use node::command::Stop;
use ruby::{Interrupt, RubyError, Vm};
use serde::Deserialize;

use crate::error::{Failure, RecipeError};
use crate::event::{Event, Observer};
use crate::host::Host;
use crate::image::image;
use crate::plan::{Plan, Reboot, Surroundings};

/// What the host, the engine and whoever waits for it know of the run.
pub(crate) struct Shared {
    pub(crate) observer: Mutex<Box<dyn Observer>>,
    /// What is at work: a file of a cookbook, or a resource.
    pub(crate) at: Mutex<Option<String>>,
    /// What recipes have asked for.
    pub(crate) reboot: Mutex<Option<Reboot>>,
}

impl Shared {
    pub(crate) fn tell(&self, event: &Event<'_>) {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        observer.observe(event);
    }

    fn at(&self) -> Option<String> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

enum Order {
    /// Run a phase, or any code.
    Eval(String, Sender<Result<String, RecipeError>>),
}

/// One Ruby, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Engine {
    /// None when it is over.
    orders: Mutex<Option<Sender<Order>>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    stop: Stop,
}

/// Ruby ends, and with it what recipes want to do at the end.
impl Drop for Engine {
    fn drop(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What a phase says at its end.
#[derive(Debug, Deserialize)]
struct Answer {
    exit: Option<i32>,
    failure: Option<Failure>,
}

impl Engine {
    /// Starts Ruby. The limit of time begins with the first phase.
    ///
    /// # Errors
    /// When there is no image, or no thread can be started.
    pub fn start(
        plan: Plan,
        surroundings: Surroundings,
        observer: Box<dyn Observer>,
    ) -> Result<Self, RecipeError> {
        let image = image()?;
        let (orders, mut inbox) = channel();
        let shared = Arc::new(Shared {
            observer: Mutex::new(observer),
            at: Mutex::new(None),
            reboot: Mutex::new(None),
        });
        let for_ruby = Arc::clone(&shared);
        let stop = surroundings.stop.clone();
        let thread = thread::Builder::new()
            .name("recipes".to_owned())
            .spawn(move || {
                let limits = ruby::Limits {
                    memory: surroundings.limits.memory,
                };
                let limit = surroundings.limits.time;
                let deadline = Arc::new(Mutex::new(None));
                let host = Host::new(plan, surroundings, Arc::clone(&for_ruby), Arc::clone(&deadline));
                let work = |vm: &mut Vm| serve(vm, &mut inbox, &for_ruby, limit, &deadline);
                if let Err(error) = Vm::with(&image, limits, Box::new(host), work) {
                    refuse(&inbox, &error.to_string());
                }
            })
            .map_err(|error| RecipeError::Gone(error.to_string()))?;
        Ok(Self {
            orders: Mutex::new(Some(orders)),
            thread: Some(thread),
            shared,
            stop,
        })
    }

    /// Compiles the recipes and brings their resources to be.
    ///
    /// # Errors
    /// When a recipe or a resource fails, with its file and line. Ruby can still be asked for the deferred blocks.
    /// [`RecipeError::Reboot`] when a recipe wants to go on after a reboot.
    pub fn converge(&self) -> Result<(), RecipeError> {
        let done = self
            .phase("compile")
            .and_then(|()| self.rebooting())
            .and_then(|()| self.phase("converge"))
            .and_then(|()| self.rebooting());
        match &done {
            Ok(()) => self.shared.tell(&Event::Finished),
            Err(RecipeError::Reboot { reason }) => self.shared.tell(&Event::Rebooting(reason)),
            Err(error) => self.shared.tell(&Event::Failed(error)),
        }
        done
    }

    /// Runs the blocks that recipes have deferred, if there are some.
    ///
    /// # Errors
    /// As [`Engine::converge`].
    pub fn deferred(&self) -> Result<(), RecipeError> {
        let done = self.phase("deferred").and_then(|()| self.rebooting());
        if let Err(error) = &done {
            self.shared.tell(&Event::Failed(error));
        }
        done
    }

    /// Whether recipes have deferred blocks.
    pub fn has_deferred(&self) -> bool {
        self.eval("Chef.run_context&.root&.deferred? || false")
            .is_ok_and(|answer| answer == "true")
    }

    /// The reboot that recipes ask for, if they do.
    pub fn reboot(&self) -> Option<Reboot> {
        self.shared
            .reboot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Nothing more is done when a recipe wants a reboot first.
    fn rebooting(&self) -> Result<(), RecipeError> {
        match self.reboot() {
            Some(reboot) if reboot.at_once => Err(RecipeError::Reboot {
                reason: reboot.reason,
            }),
            _ => Ok(()),
        }
    }

    fn phase(&self, name: &str) -> Result<(), RecipeError> {
        let answer = self.eval(&format!("Jetpack.phase({name:?})"))?;
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|error| RecipeError::Gone(error.to_string()))?;
        // A program that the stop has ended may look to Ruby as one that is done, or that failed.
        if self.stop.is_requested() {
            return Err(RecipeError::Stopped { at: self.shared.at() });
        }
        match (answer.exit, answer.failure) {
            // `exit 0` ends the recipes and is no failure.
            (Some(0), _) | (None, None) => Ok(()),
            (Some(status), failure) => Err(RecipeError::Exit {
                status,
                at: failure
                    .and_then(|failure| failure.place)
                    .or_else(|| self.shared.at()),
            }),
            (None, Some(failure)) => Err(RecipeError::Failed(Box::new(failure))),
        }
    }

    /// Evaluates code; its value as a text.
    ///
    /// # Errors
    /// As [`Engine::converge`].
    pub fn eval(&self, code: &str) -> Result<String, RecipeError> {
        let (reply, answer) = channel();
        let gone = || RecipeError::Gone("its thread has ended".to_owned());
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = Order::Eval(code.to_owned(), reply);
        orders
            .as_ref()
            .and_then(|orders| orders.send(order).ok())
            .ok_or_else(gone)?;
        drop(orders);
        answer.recv().map_err(|_| gone())?
    }
}

/// Does what it is told until nobody can tell it anything any more.
fn serve(
    vm: &mut Vm,
    inbox: &mut Receiver<Order>,
    shared: &Shared,
    limit: Duration,
    deadline: &Mutex<Option<Instant>>,
) {
    let mut booted = false;
    while let Ok(Order::Eval(code, reply)) = inbox.recv() {
        *deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + limit);
        let mut result = Ok(String::new());
        if !booted {
            result = vm
                .eval("Jetpack.boot")
                .map_err(|error| explain(error, shared, limit));
            booted = result.is_ok();
        }
        if result.is_ok() {
            result = vm.eval(&code).map_err(|error| explain(error, shared, limit));
        }
        let dead = matches!(
            result,
            Err(RecipeError::Crash { .. }
                | RecipeError::TimeLimit { .. }
                | RecipeError::Stopped { .. }
                | RecipeError::Exit { .. })
        );
        let why = result.as_ref().err().map(ToString::to_string);
        let _ = reply.send(result);
        if dead {
            return refuse(inbox, &why.unwrap_or_default());
        }
    }
    let _ = vm.eval("Jetpack.finish");
}

/// Tells everybody that there is no Ruby any more.
fn refuse(inbox: &Receiver<Order>, why: &str) {
    while let Ok(Order::Eval(_, reply)) = inbox.recv() {
        let _ = reply.send(Err(RecipeError::Gone(why.to_owned())));
    }
}

fn explain(error: RubyError, shared: &Shared, limit: Duration) -> RecipeError {
    let at = shared.at();
    match error {
        RubyError::Exception {
            class,
            message,
            backtrace,
        } => RecipeError::Failed(Box::new(Failure {
            place: backtrace
                .iter()
                .find(|line| !line.starts_with("/__ruby__/"))
                .cloned(),
            class,
            message,
            backtrace,
            ..Failure::default()
        })),
        RubyError::Interrupted(Interrupt::TimeLimit) => RecipeError::TimeLimit {
            seconds: limit.as_secs(),
            at,
        },
        RubyError::Interrupted(Interrupt::Stop) => RecipeError::Stopped { at },
        RubyError::Exit(status) => RecipeError::Exit { status, at },
        RubyError::Jump(_) | RubyError::Crash(_) => RecipeError::Crash {
            reason: error.to_string(),
            at,
        },
    }
}
