//! Stands in for istiod: gives Envoy the assignments it asks for (EDS over REST).

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde::Deserialize;
use serde_json::Value;

use crate::client::head;

/// Assignments by the name of the cluster.
pub type Assignments = Arc<BTreeMap<String, Value>>;

/// `DiscoveryRequest`.
#[derive(Deserialize)]
struct Request {
    resource_names: Vec<String>,
}

/// Serves in the background, and tells on which port. A connection ends when Envoy does.
pub fn serve(assignments: Assignments) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let assignments = assignments.clone();
            thread::spawn(move || answer(stream.unwrap(), &assignments));
        }
    });
    port
}

fn answer(stream: TcpStream, assignments: &BTreeMap<String, Value>) {
    let mut stream = BufReader::new(stream);
    while let Some((_, headers)) = head(&mut stream) {
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        let request: Request = serde_json::from_slice(&body).unwrap();
        let found: Vec<&Value> =
            request.resource_names.iter().map(|name| &assignments[name]).collect();
        let body = serde_json::json!({"version_info": "1", "resources": found}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.get_mut().write_all((head + &body).as_bytes()).is_err() {
            break;
        }
    }
}
