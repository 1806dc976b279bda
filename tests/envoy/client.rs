//! As much HTTP/1.1 as a lab needs.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What is of interest in an answer.
pub struct Answer {
    pub status: u16,
    /// The host that gave it; Envoy itself gives none.
    pub host: Option<String>,
}

/// The header in which a host says who it is.
pub const HOST: &str = "x-host";

/// A client that keeps its connection.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Gives up on an answer that takes longer than `patience`.
    pub fn connect(to: SocketAddr, patience: Duration) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn get(&mut self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (first, mut headers) = head(&mut self.0).unwrap();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        self.0.read_exact(&mut vec![0; length]).unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, host: headers.remove(HOST) }
    }
}

/// The first line of a message, and its headers; `None` where there is no further message.
pub fn head(from: &mut impl BufRead) -> Option<(String, HashMap<String, String>)> {
    let mut lines = from.lines().map_while(Result::ok);
    let first = lines.next()?;
    let rest = lines.take_while(|line| !line.is_empty());
    let header = |line: String| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()));
    Some((first, rest.filter_map(header).collect()))
}
