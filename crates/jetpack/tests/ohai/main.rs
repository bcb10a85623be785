//! `jetpack facts` against Debian's `ohai`, leaf by leaf, in both directions.
//!
//! `cargo nextest run -p jetpack --test ohai --no-capture` prints the tables.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure is a failed test, also in helpers"
)]
#![expect(clippy::print_stdout, reason = "the tables are for people")]

mod compare;
mod exceptions;
mod leaves;
mod machines;

use machines::{Machine, Place};

/// How often both look at a machine before a difference is one.
const LOOKS: usize = 3;

/// Compares until there is no difference, or until the same ones were there each time.
fn check(place: Place) {
    let Some(machine) = Machine::new(place) else {
        return;
    };
    let (looks, setting) = machine.look();
    let mut outcome = looks.compare(&setting);
    for _ in 1..LOOKS {
        if outcome.differences.is_empty() {
            break;
        }
        outcome = machine.look().0.compare(&setting).keep_what_stays(&outcome);
    }
    println!(
        "{place:?}, Ohai {}\n\n{outcome}\n{}",
        setting.ohai,
        outcome.exceptions()
    );
    assert!(outcome.differences.is_empty(), "{outcome}");
    assert_eq!(
        outcome.stale(&setting),
        [""; 0],
        "exceptions that are not needed here; remove them or say where they are"
    );
}

#[test]
fn on_this_machine_as_root() {
    check(Place::HostAsRoot);
}

#[test]
fn on_this_machine_as_an_ordinary_user() {
    check(Place::HostAsUser);
}

#[test]
fn in_another_release_of_debian() {
    check(Place::Root);
}
