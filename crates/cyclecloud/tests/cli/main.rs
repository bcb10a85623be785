//! The program as its users see it, against a server that answers like the real one and fails the test on a
//! request that it does not expect.

#[cfg(test)]
mod blobs;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod events;
#[cfg(test)]
mod initialize;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod site;
#[cfg(test)]
mod users;
