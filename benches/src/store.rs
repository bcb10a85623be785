//! An object store on the loopback interface: files of a folder over HTTP/1.1, for as long as this program runs.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// Serves the folder on a free port.
///
/// # Errors
/// When there is no port.
pub(crate) fn serve(folder: &Path) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let folder = folder.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A client that goes away ends its connection, not the store.
            thread::spawn(move || answer(stream, &folder));
        }
    });
    Ok(address)
}

/// Answers all requests of one connection.
fn answer(stream: TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
        }
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match open(folder, path) {
            Some((mut file, length)) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                if method != "HEAD" {
                    io::copy(&mut file, &mut stream)?;
                }
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}

/// `/lockers/NAME/PATH`, where the folder is the locker.
fn open(folder: &Path, path: &str) -> Option<(File, u64)> {
    let path: PathBuf = path.trim_start_matches('/').split('/').skip(2).collect();
    let file = File::open(folder.join(path)).ok()?;
    let metadata = file.metadata().ok()?;
    let length = metadata.len();
    metadata.is_file().then_some((file, length))
}
