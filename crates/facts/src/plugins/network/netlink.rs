//! Asking the running kernel through a netlink socket.
//!
//! Four questions and their answers, on one socket, without a thread or a runtime. The messages are few and their
//! format is fixed for ever, so they are read here (`wire`), leniently: what a newer kernel adds is skipped, where a
//! general library refuses the message.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::attributes::{align, u16_at, u32_at};
use super::model::State;
use super::wire;

/// The kernel answers at once, or something is wrong.
const PATIENCE_SECONDS: i64 = 2;
/// The kernel fills at most this much at a time.
const BUFFER: usize = 64 * 1024;

/// `NLM_F_REQUEST | NLM_F_DUMP`
const REQUEST_ALL: u16 = 0x301;
/// `NLMSG_ERROR`, `NLMSG_DONE`
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;

/// `RTM_GETLINK`, and the length of the message that goes with it; so too for the others.
const LINKS: (u16, usize) = (18, 16);
const ADDRESSES: (u16, usize) = (22, 8);
const ROUTES: (u16, usize) = (26, 12);
const NEIGHBOURS: (u16, usize) = (30, 12);

/// What the kernel says of the network. None when it refuses, as in a sandbox.
pub(super) fn ask() -> Option<State> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
    .ok()?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::seconds(PATIENCE_SECONDS),
    )
    .ok()?;
    let mut state = State::default();
    dump(&socket, LINKS, |message| state.links.extend(wire::link(message)))?;
    dump(&socket, ADDRESSES, |message| {
        state.addresses.extend(wire::address(message));
    })?;
    dump(&socket, ROUTES, |message| {
        state.routes.extend(wire::routes(message).into_iter().flatten());
    })?;
    dump(&socket, NEIGHBOURS, |message| {
        state.neighbours.extend(wire::neighbour(message));
    })?;
    state.links.sort_by_key(|link| link.index);
    Some(state)
}

/// Asks for all that there is of one kind, of every family.
fn dump(socket: &OwnedFd, (question, body): (u16, usize), mut each: impl FnMut(&[u8])) -> Option<()> {
    let length = HEADER + body;
    let mut request = Vec::with_capacity(length);
    request.extend(u32::try_from(length).ok()?.to_ne_bytes());
    request.extend(question.to_ne_bytes());
    request.extend(REQUEST_ALL.to_ne_bytes());
    request.resize(length, 0);
    send(socket.as_raw_fd(), &request, MsgFlags::empty()).ok()?;

    let mut buffer = vec![0; BUFFER];
    loop {
        let read = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
        let mut rest = buffer.get(..read)?;
        while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
            let length = usize::try_from(length).ok()?;
            let message = rest.get(HEADER..length)?;
            match kind {
                DONE => return Some(()),
                ERROR => return None,
                _ => each(message),
            }
            rest = rest.get(align(length)..).unwrap_or_default();
        }
    }
}
