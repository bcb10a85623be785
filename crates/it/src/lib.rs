//! End-to-end tests of the whole system; they are in `tests/it`, one binary.
