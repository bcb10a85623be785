//! The broker over loopback, with clients that others wrote.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod pika;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod support;
