//! Ruby in here behaves as Ruby on the machine: what WASI cannot do, what it says wrongly, limits and ends.

mod harness;

use harness::Try;
use recipe::{Limits, RecipeError};
use std::time::Duration;

#[test]
fn code_is_evaluated() {
    assert_eq!(Try::new().eval("1 + 1"), "2");
}
