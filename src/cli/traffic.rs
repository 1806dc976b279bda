//! `mesh-lint traffic`: where requests go, why, and where they go after a loss.

mod answer;
mod matrix;
mod mermaid;
mod path;
mod requests;

use std::io::Write;

use super::args::{Traffic as Args, TrafficFormat};
use super::{CLEAN, Failed, NOTHING, input};
use crate::clusters::{Cluster, ClusterId};
use crate::lint;
use crate::mesh::{Client, Host, Locality, Mesh, list, short};
use crate::source::Sources;
use crate::traffic::Traffic;
use crate::traffic::loss::Lost;
use crate::traffic::route::Request;

/// Computes and prints.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failed> {
    let read = input::read(&args.reading)?;
    let mut mesh = lint::build(&read.sources, &read.config).mesh;
    if mesh.hosts().next().is_none() {
        return Ok(NOTHING);
    }
    if let Some(version) = &args.istio_version {
        mesh.take_version(version);
    }
    let traffic = Traffic::of(&mesh);
    let asked = Asked { traffic: &traffic, sources: &read.sources, args };
    if args.matrix || args.requests.is_some() {
        matrix::print(&asked, out)?;
    } else {
        let (host, port) = asked.host(args.to.as_deref().unwrap_or_default())?;
        let answers = answer::answers(&asked, host, port)?;
        match args.format {
            TrafficFormat::Human => path::human(&asked, host.short(), port, &answers, out)?,
            TrafficFormat::Json => path::json(&asked, host.name, port, &answers, out)?,
            TrafficFormat::Mermaid => mermaid::print(&asked, host.short(), port, &answers, out)?,
        }
    }
    Ok(CLEAN)
}

/// What is asked of a mesh.
struct Asked<'a, 'm> {
    traffic: &'a Traffic<'m>,
    sources: &'a Sources,
    args: &'a Args,
}

impl<'m> Asked<'_, 'm> {
    fn mesh(&self) -> &'m Mesh {
        self.traffic.mesh()
    }

    /// The host that `--to` names, and the port, where that is told or the host has just one.
    fn host(&self, to: &str) -> Result<(Host<'m>, u32), Failed> {
        let (name, port) = match to.rsplit_once(':') {
            Some((name, port)) => {
                let wrong = || Failed(format!("`{port}` is not a port"));
                (name, Some(port.parse().map_err(|_| wrong())?))
            }
            None => (to, None),
        };
        let host = host_called(self.mesh(), name)?;
        let ports = host.ports();
        match (port, &ports[..]) {
            (Some(port), _) => Ok((host, port)),
            (None, [only]) => Ok((host, *only)),
            (None, all) => {
                let all: Vec<String> =
                    all.iter().map(|p| format!("{}:{p}", host.short())).collect();
                let all = list(all.iter().map(String::as_str));
                Err(Failed(format!("`{name}` has several ports, say which: {all}")))
            }
        }
    }

    /// The clusters and localities that `--from` names; all without it.
    fn senders(&self) -> Result<Vec<(ClusterId, Vec<Locality>)>, Failed> {
        let mesh = self.mesh();
        let Some(from) = &self.args.from else {
            let all = mesh.clusters().iter().map(|c| (c.id, self.localities(c.id)));
            return Ok(all.collect());
        };
        let (cluster, rest) = sender(mesh, from)?;
        let name = &cluster.name;
        let known = self.localities(cluster.id);
        if rest.is_empty() {
            return Ok(vec![(cluster.id, known)]);
        }
        let called = |l: &&Locality| {
            let text = l.without_subzone().to_string();
            l.region == rest || l.zone == rest || text == rest || l.to_string() == rest
        };
        let named: Vec<Locality> = known.iter().filter(called).cloned().collect();
        if named.is_empty() && known.iter().all(Locality::is_empty) {
            return Ok(vec![(cluster.id, vec![Locality::parse(rest)])]);
        }
        if named.is_empty() {
            let zones: Vec<String> = known.iter().map(ToString::to_string).collect();
            let zones = list(zones.iter().map(String::as_str));
            return Err(Failed(format!(
                "no client of `{name}` is in `{rest}`: they are in {zones}"
            )));
        }
        Ok(vec![(cluster.id, named)])
    }

    /// Localities of clients; one that is empty where none is known.
    fn localities(&self, cluster: ClusterId) -> Vec<Locality> {
        let known = self.traffic.client_localities(cluster);
        if known.is_empty() { vec![Locality::default()] } else { known.to_vec() }
    }

    /// The client that `--as` names; without it one of the host's namespace, of which no more is known.
    fn client(&self, cluster: ClusterId, host: Host<'m>) -> Result<Client<'m>, Failed> {
        let mesh = self.mesh();
        let Some(told) = &self.args.client else {
            let namespace =
                host.namespace().or_else(|| host.entries().map(|e| &*e.namespace).next());
            let namespace = namespace.unwrap_or("default");
            return Ok(Client::of(cluster, namespace));
        };
        let (namespace, workload) = match told.split_once('/') {
            Some((namespace, workload)) => (namespace, Some(workload)),
            None => (told.as_str(), None),
        };
        let name = mesh.cluster_name(cluster);
        let Some(client) = mesh.client_in(cluster, namespace) else {
            return Err(Failed(format!("no workload of namespace `{namespace}` is in `{name}`")));
        };
        let Some(workload) = workload else { return Ok(client) };
        let near = || mesh.workloads.of_namespace(cluster, client.namespace);
        match near().find(|w| w.name() == workload) {
            Some(found) => {
                let labels = Some(&self.traffic.placements().template(found).metadata.labels);
                Ok(Client { labels, ..client })
            }
            None => {
                let all = list(near().map(crate::mesh::In::name));
                Err(Failed(format!(
                    "`{name}` has no workload `{told}`: in `{namespace}` are {all}"
                )))
            }
        }
    }

    fn request(&self) -> Request {
        let Args { path, header, method, .. } = self.args;
        let headers = header.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        Request {
            path: path.clone(),
            method: method.clone(),
            headers: (!header.is_empty()).then(|| headers.collect()),
            ..Request::default()
        }
    }

    fn losses(&self) -> Result<Vec<Lost>, Failed> {
        let lost = self.args.lose.iter().map(|text| Lost::parse(self.mesh(), text));
        lost.collect::<Result<_, _>>().map_err(Failed)
    }
}

/// The cluster and the rest of `CLUSTER`, `CLUSTER/REGION` or `CLUSTER/REGION/ZONE`; names of clusters may
/// have slashes too.
fn sender<'m, 't>(mesh: &'m Mesh, from: &'t str) -> Result<(&'m Cluster, &'t str), Failed> {
    let whole = [(from, "")].into_iter();
    let parts =
        from.rmatch_indices('/').map(|(at, slash)| (&from[..at], &from[at + slash.len()..]));
    for (name, rest) in whole.chain(parts) {
        match mesh.clusters_called(name)[..] {
            [cluster] => return Ok((cluster, rest)),
            [] => {}
            ref several => {
                let names = list(several.iter().map(|c| c.name.as_str()));
                return Err(Failed(format!("`{name}` may be {names}: say which")));
            }
        }
    }
    let name = from.split('/').next().unwrap_or_default();
    Err(Failed::unknown("cluster", name, mesh.clusters().iter().map(|c| c.name.as_str())))
}

/// The host of a name as people write it: full, `cart.shop`, or `cart` where there is just one.
fn host_called<'m>(mesh: &'m Mesh, name: &str) -> Result<Host<'m>, Failed> {
    let name = name.to_ascii_lowercase();
    if let Some(host) = mesh.host(&name) {
        return Ok(host);
    }
    let is_called = |host: &Host<'_>| {
        host.short() == name || host.short().split('.').next() == Some(name.as_str())
    };
    let exact = mesh.hosts().find(|host| host.short() == name);
    let found: Vec<Host<'_>> = mesh.hosts().filter(is_called).collect();
    match (exact, &found[..]) {
        (Some(host), _) => Ok(host),
        (None, [host]) => Ok(*host),
        (None, []) => Err(Failed::unknown("host", &name, mesh.hosts().map(|h| short(h.name)))),
        (None, several) => {
            let all = list(several.iter().map(|host| host.short()));
            Err(Failed(format!("`{name}` means several hosts: {all}")))
        }
    }
}

/// A locality for people.
fn zone_name(locality: &Locality) -> String {
    if locality.is_empty() { "no known zone".to_owned() } else { locality.to_string() }
}
