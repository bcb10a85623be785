//! The broker over loopback, with clients that others wrote.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod support;
