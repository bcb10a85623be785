//! Clocks, and waiting.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::errno::Errno;
use super::guest::Bytes;
use super::{Handle, Wasi};
use crate::host::Door;

/// Nanoseconds on a clock.
pub(super) fn clock(id: u32) -> Result<u64, Errno> {
    let id = match id {
        0 => ClockId::CLOCK_REALTIME,
        1 => ClockId::CLOCK_MONOTONIC,
        2 => ClockId::CLOCK_PROCESS_CPUTIME_ID,
        3 => ClockId::CLOCK_THREAD_CPUTIME_ID,
        _ => return Err(Errno::INVAL),
    };
    let time = Duration::from(clock_gettime(id)?);
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Sizes of what is wanted and of what has happened.
const WANTED: u32 = 48;
const EVENT: u32 = 32;

impl Wasi {
    /// Waits for the nearest time, or until something can be read or written; never longer than the door allows.
    pub(super) fn poll(
        &self,
        door: &mut dyn Door,
        bytes: &mut Bytes<'_>,
        [wanted, events, count, out]: [u32; 4],
    ) -> Result<(), Errno> {
        let mut sleep = None;
        let mut polled = Vec::new();
        let mut ready = Vec::new();
        for index in 0..count {
            let at = wanted + index * WANTED;
            let kind = bytes.byte(at + 8)?;
            if kind == 0 {
                let (id, mut time) = (bytes.u32(at + 16)?, bytes.u64(at + 24)?);
                if bytes.u32(at + 40)? & 1 == 1 {
                    time = time.saturating_sub(clock(id)?);
                }
                let time = Duration::from_nanos(time);
                sleep = Some(sleep.map_or(time, |other: Duration| other.min(time)));
                continue;
            }
            let fd = bytes.u32(at + 16)?;
            match self.handles.get(fd as usize).and_then(Option::as_ref) {
                Some(Handle::Host { fd, .. }) => {
                    let flags = if kind == 1 {
                        PollFlags::POLLIN
                    } else {
                        PollFlags::POLLOUT
                    };
                    polled.push((index, kind, PollFd::new(fd.as_fd(), flags)));
                }
                Some(_) => ready.push((index, kind)),
                None => return Err(Errno::BADF),
            }
        }
        if ready.is_empty() {
            ready = wait(door, &mut polled, sleep)?;
        }
        if ready.is_empty() {
            let mut clocks = (0..count).filter(|index| bytes.byte(wanted + index * WANTED + 8) == Ok(0));
            ready.extend(clocks.next().map(|index| (index, 0)));
        }
        for (number, (index, kind)) in (0_u32..).zip(&ready) {
            let at = events + number * EVENT;
            bytes.get_mut(at, EVENT)?.fill(0);
            let userdata = bytes.u64(wanted + index * WANTED)?;
            bytes.put_u64(at, userdata)?;
            bytes.put(at + 10, &[*kind])?;
        }
        bytes.put_u32(out, u32::try_from(ready.len()).unwrap_or(u32::MAX))
    }
}

/// In slices, so that somebody who wants Ruby to stop need not wait for the end of a long sleep.
const SLICE: Duration = Duration::from_millis(100);

fn wait(
    door: &mut dyn Door,
    polled: &mut [(u32, u8, PollFd<'_>)],
    sleep: Option<Duration>,
) -> Result<Vec<(u32, u8)>, Errno> {
    let started = clock(1)?;
    loop {
        let slept = Duration::from_nanos(clock(1)?.saturating_sub(started));
        let left = sleep.map(|sleep| sleep.saturating_sub(slept));
        let slice = left
            .unwrap_or(SLICE)
            .min(SLICE)
            .min(door.remaining().unwrap_or(SLICE));
        let mut fds: Vec<_> = polled.iter().map(|(_, _, fd)| fd.clone()).collect();
        let count = match ppoll(&mut fds, Some(TimeSpec::from_duration(slice)), None) {
            Err(nix::errno::Errno::EINTR) => 0,
            count => count?,
        };
        if count > 0 {
            let ready = polled.iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or(true));
            return Ok(ready.map(|((index, kind, _), _)| (*index, *kind)).collect());
        }
        // What wants Ruby to end finds it as soon as this call is over.
        if left.is_some_and(|left| left <= slice) || door.interrupt().is_some() {
            return Ok(Vec::new());
        }
    }
}
