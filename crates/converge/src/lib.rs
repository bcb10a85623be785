//! Brings a machine to the state that its projects describe
