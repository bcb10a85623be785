//! A network that fails: a TCP proxy whose connections can be cut, halved, slowed and swallowed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both ends see it closed.
    Cut,
    /// What one end sends does not come any more, until it is closed a moment later: the way to the server.
    HalfCloseUp,
    /// The same for the way to the client.
    HalfCloseDown,
    /// Nothing passes for a moment; then everything does.
    Delay(Duration),
    /// What is sent vanishes, both ways, and after a moment it is closed.
    BlackHole(Duration),
}

#[derive(Debug)]
struct Pipe {
    client: TcpStream,
    server: TcpStream,
    paused: AtomicBool,
    swallows: AtomicBool,
}

impl Pipe {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

#[derive(Debug, Default)]
struct State {
    upstream: Option<SocketAddr>,
    pipes: Vec<Arc<Pipe>>,
    accepted: usize,
}

/// A proxy on a port of its own on the loopback interface.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Starts it. Until [`Proxy::lead_to`] says where, connections are closed at once.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(upstream) = shared.lock().unwrap().upstream else {
                    continue;
                };
                let Ok(server) = TcpStream::connect(upstream) else {
                    continue;
                };
                // Small writes must not wait for each other, or every answer takes 40 ms.
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let pipe = Arc::new(Pipe {
                    client,
                    server,
                    paused: AtomicBool::new(false),
                    swallows: AtomicBool::new(false),
                });
                carry(&pipe, |pipe| (&pipe.client, &pipe.server));
                carry(&pipe, |pipe| (&pipe.server, &pipe.client));
                let mut state = shared.lock().unwrap();
                state.accepted += 1;
                state.pipes.retain(|pipe| Arc::strong_count(pipe) > 1);
                state.pipes.push(pipe);
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections lead from now on.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.state.lock().unwrap().upstream = Some(upstream);
    }

    /// How many connections were made.
    pub fn accepted(&self) -> usize {
        self.state.lock().unwrap().accepted
    }

    /// Does this to an open connection, the `choice`th of them counted around; false when there is none.
    pub fn fail(&self, choice: usize, fault: Fault) -> bool {
        let pipe = {
            let mut state = self.state.lock().unwrap();
            state.pipes.retain(|pipe| Arc::strong_count(pipe) > 1);
            match state.pipes.len() {
                0 => return false,
                count => Arc::clone(&state.pipes[choice % count]),
            }
        };
        match fault {
            Fault::Cut => pipe.close(),
            Fault::HalfCloseUp => {
                let _ = pipe.server.shutdown(Shutdown::Write);
                close_after(pipe, Duration::from_millis(500));
            }
            Fault::HalfCloseDown => {
                let _ = pipe.client.shutdown(Shutdown::Write);
                close_after(pipe, Duration::from_millis(500));
            }
            Fault::Delay(time) => {
                pipe.paused.store(true, Ordering::SeqCst);
                thread::spawn(move || {
                    thread::sleep(time);
                    pipe.paused.store(false, Ordering::SeqCst);
                });
            }
            Fault::BlackHole(time) => {
                pipe.swallows.store(true, Ordering::SeqCst);
                close_after(pipe, time);
            }
        }
        true
    }
}

fn close_after(pipe: Arc<Pipe>, time: Duration) {
    thread::spawn(move || {
        thread::sleep(time);
        pipe.close();
    });
}

/// Carries one direction until it ends.
fn carry(pipe: &Arc<Pipe>, ends: fn(&Pipe) -> (&TcpStream, &TcpStream)) {
    let pipe = Arc::clone(pipe);
    thread::spawn(move || {
        let (mut from, mut to) = ends(&pipe);
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while pipe.paused.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            if pipe.swallows.load(Ordering::SeqCst) {
                continue;
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
