//! The locker as its users see it: in a folder, and behind a server.

#[cfg(test)]
mod cache;
#[cfg(test)]
mod file;
#[cfg(test)]
mod http;
#[cfg(test)]
mod ranges;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod tokens;
