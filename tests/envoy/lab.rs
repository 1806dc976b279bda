//! A real Envoy on loopback: it is given assignments, sends requests, and its hosts tell who got them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mesh_lint::traffic::assignment::{Member, Target};
use tempfile::TempDir;

use crate::client::Client;
use crate::config;
use crate::control;
use crate::topology::{Destination, Shares, Topology};

/// So many requests are sent to each topology; four times as many where chance may be to blame.
const REQUESTS: u32 = 3_000;
/// Bursts until all is ejected that will be: each ejection may give another level its first request.
const WARMING: u32 = 8;
const BURST: u32 = 60;
/// Envoy tells its workers of ejections once per second.
const UPDATES: Duration = Duration::from_millis(1_200);
/// A bound for everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports that were free when the lab was set up.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Where requests enter.
    pub entry: u16,
    /// Where hosts answer 200.
    pub good: u16,
    /// Where hosts answer 500.
    pub bad: u16,
}

impl Ports {
    fn free() -> Self {
        let listen = |_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let [entry, good, bad] = [0; 3].map(listen).map(|l| l.local_addr().unwrap().port());
        Self { entry, good, bad }
    }
}

/// One address of a leg.
pub struct Host {
    pub address: Ipv4Addr,
    pub failing: bool,
    pub destination: Destination,
}

/// The hosts of each member, in the order of the assignment; a gateway is the same host each time.
pub type Hosts = BTreeMap<(usize, usize, usize), Vec<Host>>;

/// Gives each host of a topology an address of its own.
fn hosts(topology: &Topology<'_>, next: &mut u32) -> Hosts {
    let mut fresh = || {
        *next += 1;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + *next)
    };
    let mut hosts = Hosts::new();
    for (l, leg) in topology.legs.iter().enumerate() {
        let mut gateways = BTreeMap::new();
        for (g, group) in leg.groups.iter().enumerate() {
            for (m, &Member { target, count, .. }) in group.members.iter().enumerate() {
                let failing = leg.failing.contains(&(g, m));
                let own = leg.destination(l, g, m);
                let host = |address, destination| Host { address, failing, destination };
                let here = match target {
                    Target::Endpoint(_) => (0..count).map(|_| host(fresh(), own)).collect(),
                    Target::Gateway(_) => {
                        let (address, first) =
                            *gateways.entry(target).or_insert_with(|| (fresh(), own));
                        vec![host(address, first)]
                    }
                };
                hosts.insert((l, g, m), here);
            }
        }
    }
    hosts
}

/// Something to start Envoy with.
pub struct Lab {
    envoy: PathBuf,
}

/// A running Envoy, until it is dropped.
struct Running {
    process: Child,
    entry: u16,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let ended = self.process.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("envoy ended with {ended:?} and said {}", log.unwrap_or_default());
        }
    }
}

impl Lab {
    /// `None`, said aloud, where `tests/tools.sh` has not installed Envoy; in CI that is a failure.
    pub fn open() -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let envoy = target.join("tools/bin/envoy");
        let missing = if !envoy.exists() {
            "`envoy` is missing, tests/tools.sh installs it"
        } else if TcpListener::bind(("127.1.0.1", 0)).is_err() {
            "this machine has no addresses 127.x.y.z"
        } else {
            return Some(Self { envoy });
        };
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        None
    }

    /// Where a real Envoy sends the requests of each topology.
    pub fn measure(&self, topologies: &[Topology<'_>]) -> Vec<Shares> {
        let mut next = 0;
        let hosts: Vec<Hosts> = topologies.iter().map(|t| hosts(t, &mut next)).collect();
        let running = self.start(topologies, &hosts);
        let (warm, cold): (Vec<usize>, Vec<usize>) =
            (0..topologies.len()).partition(|i| topologies[*i].needs_warming());
        let measure = |client: &mut Client, i: usize| {
            let shares = count(client, i, &hosts[i], REQUESTS);
            if topologies[i].predict().agrees(&shares) {
                return (i, shares);
            }
            (i, count(client, i, &hosts[i], 4 * REQUESTS))
        };
        let all = |client: &mut Client, which: &[usize]| -> Vec<(usize, Shares)> {
            which.iter().map(|i| measure(client, *i)).collect()
        };
        let mut found = thread::scope(|scope| {
            let warmed = scope.spawn(|| {
                let mut client = running.client();
                for _ in 0..WARMING {
                    for i in &warm {
                        count(&mut client, *i, &hosts[*i], BURST);
                    }
                    thread::sleep(UPDATES);
                }
                all(&mut client, &warm)
            });
            let mut found = all(&mut running.client(), &cold);
            found.extend(warmed.join().unwrap());
            found
        });
        found.sort_by_key(|(i, _)| *i);
        found.into_iter().map(|(_, shares)| shares).collect()
    }

    fn start(&self, topologies: &[Topology<'_>], hosts: &[Hosts]) -> Running {
        let ports = Ports::free();
        let folder = tempfile::tempdir().unwrap();
        let mut assignments = BTreeMap::new();
        for (i, (topology, hosts)) in topologies.iter().zip(hosts).enumerate() {
            for (l, leg) in topology.legs.iter().enumerate() {
                let name = config::cluster_name(i, l);
                let assignment = config::assignment(&name, l, leg, hosts, ports);
                assignments.insert(name, assignment);
            }
        }
        let control = control::serve(assignments.into());
        let bootstrap = config::bootstrap(topologies, control, ports);
        fs::write(folder.path().join("envoy.json"), bootstrap.to_string()).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(&self.envoy)
            .args(["--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c"])
            .arg(folder.path().join("envoy.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Running { process, entry: ports.entry, folder };
        running.wait();
        running
    }
}

impl Running {
    /// Envoy lets requests in once it has read all assignments.
    fn wait(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(self.entry()).is_err() {
            let gone = self.process.try_wait().unwrap();
            if gone.is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
                panic!("envoy is not ready ({gone:?}): {log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn entry(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.entry).into()
    }

    fn client(&self) -> Client {
        Client::connect(self.entry(), PATIENCE)
    }
}

/// Where so many requests go.
fn count(client: &mut Client, topology: usize, hosts: &Hosts, requests: u32) -> Shares {
    let by_address: BTreeMap<String, &Host> =
        hosts.values().flatten().map(|host| (host.address.to_string(), host)).collect();
    let mut counts = BTreeMap::new();
    let path = config::path(topology);
    for _ in 0..requests {
        let answer = client.get(&path);
        let host = answer.host.as_ref().map(|address| by_address[address]);
        let wanted = host.map_or(503, |host| if host.failing { 500 } else { 200 });
        assert_eq!(answer.status, wanted, "from {:?}", answer.host);
        *counts.entry(host.map(|host| host.destination)).or_insert(0) += 1;
    }
    Shares::of_counts(&counts)
}
