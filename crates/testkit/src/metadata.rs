//! A cloud's metadata service, as a machine sees it: one address, HTTP without TLS, and the rules of each cloud.
//!
//! It fails the test that it belongs to when it is asked for something that the real one would refuse.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;

/// The token that the service of AWS gives.
const TOKEN: &str = "AQAEAEXAMPLETOKEN==";
/// Longest request head, and body, that the services take.
const MAX_REQUEST: u64 = 16 * 1024;

/// Which cloud it is, and what it knows of the machine.
#[derive(Debug, Clone)]
pub enum Cloud {
    /// The document of `/metadata/instance`.
    Azure(Value),
    /// The leaves below `/latest/meta-data/`, and the instance identity document.
    Aws(BTreeMap<String, String>, Value),
    /// The document of `/computeMetadata/v1/?recursive=true`.
    Gcp(Value),
    /// The document of `/openstack/latest/meta_data.json`, and the leaves below `/latest/meta-data/`.
    Openstack(Value, BTreeMap<String, String>),
}

/// What it does instead of what it should, with each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Good,
    /// Takes the connection and never answers, until the mood changes.
    Silent,
    /// Answers with a status, a type and a body.
    Says(u16, &'static str, Vec<u8>),
    /// Refuses this many requests with 429 first.
    Busy(u32),
    /// Knows only this version of Azure's service.
    Knows(&'static str),
    /// Ends in the middle of the body.
    Cut,
    /// Leads elsewhere.
    Redirects(String),
}

#[derive(Debug)]
struct State {
    cloud: Cloud,
    mood: Mood,
    requests: Vec<String>,
    unexpected: Vec<String>,
    ended: bool,
}

/// The service, on a port of its own.
#[derive(Debug)]
pub struct FakeMetadata {
    url: String,
    shared: Arc<(Mutex<State>, Condvar)>,
}

/// A request, as far as the services look at it.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl FakeMetadata {
    /// Starts it.
    pub fn start(cloud: Cloud) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            cloud,
            mood: Mood::Good,
            requests: Vec::new(),
            unexpected: Vec::new(),
            ended: false,
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if served.0.lock().unwrap().ended {
                    return;
                }
                let served = Arc::clone(&served);
                thread::spawn(move || serve(stream.unwrap(), &served));
            }
        });
        Self { url, shared }
    }

    /// A service of Azure for a machine of this size.
    pub fn azure(vm_size: &str) -> Self {
        Self::start(Cloud::Azure(azure_document(vm_size)))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on.
    pub fn set_mood(&self, mood: Mood) {
        self.shared.0.lock().unwrap().mood = mood;
        self.shared.1.notify_all();
    }

    /// From now on it says this.
    pub fn set_cloud(&self, cloud: Cloud) {
        self.shared.0.lock().unwrap().cloud = cloud;
    }

    /// The requests so far: method and target.
    pub fn requests(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().requests.clone()
    }
}

impl Drop for FakeMetadata {
    fn drop(&mut self) {
        let unexpected = {
            let mut state = self.shared.0.lock().unwrap();
            state.ended = true;
            std::mem::take(&mut state.unexpected)
        };
        self.shared.1.notify_all();
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if !thread::panicking() {
            assert!(
                unexpected.is_empty(),
                "the metadata service was asked what it does not know: {unexpected:#?}"
            );
        }
    }
}

/// An address of this machine at which nobody listens.
pub fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// What Azure says of a machine, in the form of its documentation.
pub fn azure_document(vm_size: &str) -> Value {
    serde_json::json!({
        "compute": {
            "azEnvironment": "AzurePublicCloud",
            "location": "westeurope",
            "name": "ip-0A000004",
            "osType": "Linux",
            "resourceGroupName": "demo-größe",
            "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d",
            "tags": "ClusterId:demo;Name:scheduler",
            "tagsList": [{"name": "ClusterId", "value": "demo"}, {"name": "Name", "value": "scheduler"}],
            "version": "8.10.2024",
            "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
            "vmSize": vm_size,
        },
        "network": {"interface": [{
            "ipv4": {
                "ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": "20.1.2.3"}],
                "subnet": [{"address": "10.0.0.0", "prefix": "24"}],
            },
            "ipv6": {"ipAddress": []},
            "macAddress": "000D3A6E7F80",
        }]},
    })
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        let mut state = shared.0.lock().unwrap();
        state
            .requests
            .push(format!("{} {}", request.method, request.target));
        while state.mood == Mood::Silent && !state.ended {
            state = shared.1.wait(state).unwrap();
        }
        if state.ended {
            break;
        }
        // What is asked has to be right, also when the answer will not be.
        let (status, kind, body, flavor) = match answer(&state.cloud, &request) {
            Ok(answer) => answer,
            Err(why) => {
                let line = format!("{} {}: {why}", request.method, request.target);
                state.unexpected.push(line);
                (400, "text/plain", why.as_bytes().to_vec(), false)
            }
        };
        let mut extra = if flavor {
            "Metadata-Flavor: Google\r\n".to_owned()
        } else {
            String::new()
        };
        let mut cut = false;
        let (status, kind, body) = match &mut state.mood {
            Mood::Says(status, kind, body) => (*status, *kind, body.clone()),
            Mood::Busy(times) if *times > 0 => {
                *times -= 1;
                (
                    429,
                    "application/json",
                    b"{\"error\": \"Too many requests\"}".to_vec(),
                )
            }
            Mood::Knows(version) if !request.target.ends_with(*version) => {
                let versions = serde_json::json!({"error": "Bad request", "newest-versions": [version]});
                (400, "application/json", versions.to_string().into_bytes())
            }
            Mood::Redirects(to) => {
                extra = format!("Location: {to}\r\n");
                (302, "text/html", Vec::new())
            }
            mood => {
                cut = *mood == Mood::Cut;
                (status, kind, body)
            }
        };
        drop(state);
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{extra}\r\n",
            body.len()
        );
        let shown = if cut { body.len() / 2 } else { body.len() };
        let mut stream = &stream;
        // A client that has heard enough closes.
        let sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body[..shown]));
        if cut || sent.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = reader.take(MAX_REQUEST);
    let mut line = String::new();
    head.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Some(Request {
        method,
        target,
        headers,
    })
}

/// Status, type, body, and whether the answer says that it is Google's.
type Answer = (u16, &'static str, Vec<u8>, bool);

/// As the real service answers; an error where a client does what it must not.
fn answer(cloud: &Cloud, request: &Request) -> Result<Answer, &'static str> {
    let json = |value: &Value, flavor| (200, "application/json", value.to_string().into_bytes(), flavor);
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    if request.header("x-forwarded-for").is_some() {
        return Err("the request went through a proxy");
    }
    match cloud {
        Cloud::Azure(document) => {
            if request.header("metadata") != Some("true") {
                return Err("the header `Metadata: true` is missing");
            }
            if (request.method.as_str(), path) != ("GET", "/metadata/instance") {
                return Err("no such path");
            }
            let version = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("api-version="));
            let version = version.ok_or("`api-version` is missing")?;
            if version.len() != "2021-02-01".len() {
                return Err("`api-version` is no date");
            }
            Ok(json(document, false))
        }
        Cloud::Aws(leaves, identity) => {
            if path == "/latest/api/token" {
                let ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds");
                if request.method != "PUT" {
                    return Err("a token is had by PUT");
                }
                let ttl: u32 = ttl.and_then(|ttl| ttl.parse().ok()).ok_or("no time to live")?;
                if !(1..=21600).contains(&ttl) {
                    return Err("a time to live that is not allowed");
                }
                return Ok((200, "text/plain", TOKEN.into(), false));
            }
            if request.method != "GET" || request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
                return Err("the token is missing");
            }
            if path == "/latest/dynamic/instance-identity/document" {
                return Ok(json(identity, false));
            }
            let asked = path.strip_prefix("/latest/meta-data/").ok_or("no such path")?;
            if asked.contains("security-credentials") || asked.starts_with("identity-credentials") {
                return Err("credentials are nobody's business");
            }
            Ok(leaf(leaves, asked).unwrap_or((404, "text/html", b"<html>404</html>".to_vec(), false)))
        }
        Cloud::Gcp(document) => {
            if request.header("metadata-flavor") != Some("Google") {
                return Err("the header `Metadata-Flavor: Google` is missing");
            }
            if (request.method.as_str(), path, query) != ("GET", "/computeMetadata/v1/", "recursive=true") {
                return Err("no such path");
            }
            Ok(json(document, true))
        }
        Cloud::Openstack(document, leaves) => {
            if request.method != "GET" {
                return Err("only GET");
            }
            if path == "/openstack/latest/meta_data.json" {
                return Ok(json(document, false));
            }
            let asked = path.strip_prefix("/latest/meta-data/").ok_or("no such path")?;
            Ok(leaf(leaves, asked).unwrap_or((404, "text/html", b"<html>404</html>".to_vec(), false)))
        }
    }
}

/// A leaf, or the names of a folder, one a line, those of folders with `/` at the end.
fn leaf(leaves: &BTreeMap<String, String>, asked: &str) -> Option<Answer> {
    if let Some(value) = leaves.get(asked) {
        return Some((200, "text/plain", value.clone().into_bytes(), false));
    }
    let mut names: Vec<String> = Vec::new();
    for path in leaves.keys().filter_map(|path| path.strip_prefix(asked)) {
        let name = match path.split_once('/') {
            // Keys are listed with their names: `0=my-key` is the folder `0`.
            Some((number, _)) if asked == "public-keys/" => format!("{number}=my-key"),
            Some((folder, _)) => format!("{folder}/"),
            None => path.to_owned(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| (200, "text/plain", names.join("\n").into_bytes(), false))
}
