//! All that is worked out of a mesh's certificates, once for all who ask.

use std::collections::HashMap;
use std::fmt;

use super::found::{cas, further_roots, root_map};
use super::{Certificate, Found, Matrix, Origin, Rotation, Standing, Time};
use crate::clusters::{Cluster, ClusterId, Role, is_on};
use crate::mesh::{Lookup, Mesh};
use crate::source::Text;

/// A mesh and the CAs of its clusters.
pub struct Trust<'m> {
    /// The mesh.
    pub mesh: &'m Mesh,
    cas: Vec<Found>,
    signers: Vec<Signer>,
    /// By cluster: the roots that its proxies accept.
    accepted: Vec<Vec<Certificate>>,
}

/// What signs the workloads of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    /// A CA plugged into istiod: its Secret `cacerts` is in the input.
    Plugged,
    /// A CA plugged into istiod: something makes its Secret `cacerts` in the cluster.
    MadeElsewhere,
    /// The root that istiod makes for itself.
    SelfSigned,
    /// istio-csr, and so cert-manager.
    IstioCsr,
    /// A signer of the Kubernetes API.
    KubernetesSigner,
    /// SPIRE, for some workloads at least.
    Spire,
    /// A CA at another address.
    Elsewhere,
    /// The control plane of another cluster.
    Remote(ClusterId),
    /// Nothing tells.
    Unknown,
}

impl Signer {
    /// Whether another than istiod signs, so that what istiod is given is not what signs.
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::IstioCsr | Self::KubernetesSigner | Self::Spire | Self::Elsewhere)
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugged => "a CA plugged into istiod",
            Self::MadeElsewhere => "a CA plugged into istiod, its Secret made in the cluster",
            Self::SelfSigned => "the root that istiod makes for itself",
            Self::IstioCsr => "istio-csr",
            Self::KubernetesSigner => "a signer of the Kubernetes API",
            Self::Spire => "SPIRE",
            Self::Elsewhere => "a CA at another address",
            Self::Remote(_) => "the control plane of another cluster",
            Self::Unknown => "nothing tells",
        })
    }
}

/// What is known of a cluster's trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain<'m> {
    /// It is written down.
    Told(&'m Text),
    /// A MeshConfig is there that tells none: `cluster.local`, unless another text adds one.
    Default,
    /// No MeshConfig is there.
    Unknown,
}

/// The trust domain of a mesh that tells none.
pub const DEFAULT_DOMAIN: &str = "cluster.local";

impl<'m> Domain<'m> {
    /// Its name, where it is known.
    pub fn name(self) -> Option<&'m str> {
        match self {
            Self::Told(text) => Some(text.as_str()),
            Self::Default => Some(DEFAULT_DOMAIN),
            Self::Unknown => None,
        }
    }
}

impl<'m> Trust<'m> {
    /// Reads all certificates.
    pub fn of(mesh: &'m Mesh) -> Self {
        let mut cas = cas(mesh);
        let mut known = HashMap::new();
        cas.iter_mut().for_each(|found| found.ca.share(&mut known));
        let signers: Vec<Signer> = mesh
            .clusters()
            .iter()
            .map(|c| signer(mesh, c, cas.iter().find(|f| f.cluster == c.id)))
            .collect();
        cas.retain_mut(|found| {
            let signer = signers[found.cluster.index()];
            if signer.is_foreign() && found.ca.origin != Origin::RootConfigMap {
                // What istiod was given is idle; what proxies are given is not.
                let Some((ca, assumed)) = root_map(mesh, found.cluster) else { return false };
                (found.ca, found.assumed) = (ca, assumed);
                found.ca.share(&mut known);
            }
            signer != Signer::Spire
        });
        let mut trust = Self { mesh, cas, signers, accepted: Vec::new() };
        let accepted = |c: &Cluster| {
            let mut roots = trust.roots_of(c.id);
            roots.iter_mut().for_each(|root| root.share(&mut known));
            roots
        };
        trust.accepted = mesh.clusters().iter().map(accepted).collect();
        trust
    }

    /// The point in time for expiry.
    pub fn now(&self) -> Time {
        Time(self.mesh.now())
    }

    /// The CA of each cluster of which something is in the input, ordered by cluster. Remote clusters may
    /// have one that nothing uses.
    pub fn cas(&self) -> &[Found] {
        &self.cas
    }

    /// The CAs of control planes, each text once though several clusters share it.
    pub fn unique(&self) -> Vec<&Found> {
        let mut once: Vec<&Found> = Vec::new();
        for found in self.cas.iter().filter(|f| !self.is_idle(f)) {
            if !once.iter().any(|other| other.ca.span == found.ca.span) {
                once.push(found);
            }
        }
        once
    }

    /// Whether nothing uses it: a CA in a cluster whose proxies are served by another's control plane.
    pub fn is_idle(&self, found: &Found) -> bool {
        matches!(self.signer(found.cluster), Signer::Remote(_))
            && found.ca.origin != Origin::RootConfigMap
    }

    /// What signs the workloads of a cluster.
    pub fn signer(&self, cluster: ClusterId) -> Signer {
        self.signers[cluster.index()]
    }

    /// The CA that signs the workloads of a cluster: its own, or that of its control plane.
    pub fn ca_of(&self, cluster: ClusterId) -> Option<&Found> {
        let own = |id: ClusterId| self.cas.iter().find(|f| f.cluster == id);
        match self.signer(cluster) {
            Signer::Remote(primary) => {
                own(primary).or_else(|| own(cluster).filter(|found| !self.is_idle(found)))
            }
            _ => own(cluster),
        }
    }

    /// The cluster that gives a cluster its MeshConfig.
    fn control_plane(&self, cluster: ClusterId) -> &'m Cluster {
        match self.signer(cluster) {
            Signer::Remote(primary) => self.mesh.cluster(primary),
            _ => self.mesh.cluster(cluster),
        }
    }

    /// Whether one control plane signs the workloads of both, and hands both its roots.
    pub fn share_control_plane(&self, a: ClusterId, b: ClusterId) -> bool {
        self.control_plane(a).id == self.control_plane(b).id
            && ![a, b].iter().any(|id| self.signer(*id) == Signer::Spire && a != b)
    }

    /// Whether proxies get the roots of `caCertificates`: istiod has to hand them out, and the proxies to
    /// ask for them.
    pub fn hands_out(&self, cluster: ClusterId) -> bool {
        let facts = &self.control_plane(cluster).facts;
        facts.multiple_roots && facts.mesh_config.iter().any(asks_for_roots)
    }

    /// The roots that the proxies of a cluster accept, as far as they are seen.
    pub fn accepted(&self, cluster: ClusterId) -> &[Certificate] {
        &self.accepted[cluster.index()]
    }

    fn roots_of(&self, cluster: ClusterId) -> Vec<Certificate> {
        let mut roots = self.ca_of(cluster).map(|f| f.ca.roots.clone()).unwrap_or_default();
        if !roots.is_empty() && self.hands_out(cluster) {
            roots.extend(further_roots(self.mesh, self.control_plane(cluster).id));
        }
        roots
    }

    /// The trust domain of a cluster's workloads.
    pub fn domain(&self, cluster: ClusterId) -> Domain<'m> {
        let facts = &self.control_plane(cluster).facts;
        match facts.trust_domain.first() {
            Some(fact) => Domain::Told(&fact.value),
            None if facts.mesh_config.is_empty() => Domain::Unknown,
            // A pipeline fills it in.
            None if facts.mesh_config.iter().any(|c| c.trust_domain.is_some()) => Domain::Unknown,
            None => Domain::Default,
        }
    }

    /// Further trust domains that the proxies of a cluster take for their own.
    pub fn aliases(&self, cluster: ClusterId) -> Vec<&'m Text> {
        let facts = &self.control_plane(cluster).facts;
        facts.mesh_config.iter().flat_map(|c| &c.trust_domain_aliases).collect()
    }

    /// What some clusters present and accept; `None` where nothing of it is seen.
    pub fn standings(&self, clusters: &[ClusterId]) -> Vec<Option<Standing<'_>>> {
        let of = |&id: &ClusterId| {
            self.ca_of(id).map(|f| Standing { ca: &f.ca, accepts: self.accepted(id).to_vec() })
        };
        clusters.iter().map(of).collect()
    }

    /// Who of some clusters accepts whom.
    pub fn matrix(&self, clusters: &[ClusterId]) -> Matrix {
        Matrix::of(&self.standings(clusters))
    }

    /// The rotation from one root to another that some clusters are in.
    pub fn rotation(&self, clusters: &[ClusterId]) -> Option<Rotation> {
        Rotation::of(&self.standings(clusters), self.now())
    }
}

/// Whether proxies are told to take roots from istiod (`PROXY_CONFIG_XDS_AGENT`).
pub fn asks_for_roots(config: &crate::kinds::control_plane::MeshConfig) -> bool {
    let told = config.default_config.proxy_metadata.get("PROXY_CONFIG_XDS_AGENT");
    told.is_some_and(|told| is_on(told))
}

fn signer(mesh: &Mesh, cluster: &Cluster, found: Option<&Found>) -> Signer {
    let facts = &cluster.facts;
    if !facts.spire.is_empty() {
        return Signer::Spire;
    }
    if cluster.role() == Some(Role::Remote) {
        return match mesh.config_cluster(cluster.id) {
            Lookup::Found(primary) if primary != cluster.id => Signer::Remote(primary),
            _ => Signer::Unknown,
        };
    }
    // An address that proxies find istiod at too is istiod's.
    let told = facts.foreign_ca.iter().map(|fact| &fact.value);
    let told =
        told.filter(|told| facts.discovery_addresses().all(|istiod| istiod.value != told.value));
    let elsewhere = told.filter_map(|told| foreign(told)).min();
    let csr = || {
        let mut own = mesh.workloads.of_cluster(cluster.id).iter();
        !facts.istio_csr.is_empty() || own.any(|w| w.name().contains("istio-csr"))
    };
    let namespace = facts.system_namespace();
    match found.map(|f| (f.ca.origin, &f.ca)) {
        _ if elsewhere == Some(Signer::Elsewhere) && csr() => Signer::IstioCsr,
        _ if elsewhere.is_some() => elsewhere.unwrap_or(Signer::Elsewhere),
        _ if csr() => Signer::IstioCsr,
        Some((Origin::Cacerts, ca)) if ca.made_by_istiod().is_none() => Signer::Plugged,
        // istiod leaves its own root where it is when a CA is plugged in.
        Some((Origin::IstioCaSecret, _)) if mesh.makes_secret(cluster.id, namespace, "cacerts") => {
            Signer::MadeElsewhere
        }
        Some((Origin::Cacerts | Origin::IstioCaSecret, _)) => Signer::SelfSigned,
        Some((_, ca)) if ca.made_by_istiod().is_some() => Signer::SelfSigned,
        _ if mesh.makes_secret(cluster.id, namespace, "cacerts") => Signer::MadeElsewhere,
        _ => Signer::Unknown,
    }
}

/// What a setting says of who signs, where that is not istiod: the CA's address, or the value of
/// `EXTERNAL_CA`, `ENABLE_CA_SERVER` or `PILOT_CERT_PROVIDER`.
fn foreign(told: &str) -> Option<Signer> {
    match told {
        "true" | "istiod" | "kubernetes" | "custom" | "none" => None,
        _ if told.contains("istio-csr") => Some(Signer::IstioCsr),
        _ if told.starts_with("k8s.io/") || told == "ISTIOD_RA_KUBERNETES_API" => {
            Some(Signer::KubernetesSigner)
        }
        _ if told.starts_with("istiod") => None,
        _ => Some(Signer::Elsewhere),
    }
}
