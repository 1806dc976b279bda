//! Who takes Istio's mTLS, without which nothing crosses networks: by sidecar, PeerAuthentication and
//! DestinationRule.

use crate::clusters::ClusterId;
use crate::kinds::networking::{PortPolicy, TrafficPolicy};
use crate::kinds::security::{PeerAuthentication, PeerTls};
use crate::mesh::{AppliedRule, In, Mesh, value};
use crate::source::Text;
use crate::yaml::Entries;

/// The label by which istiod knows pods that speak Istio's mTLS. Injection puts it on.
pub const MODE_LABEL: &str = "security.istio.io/tlsMode";
/// The label of a pod or namespace that puts it into ambient.
const DATAPLANE_LABEL: &str = "istio.io/dataplane-mode";

/// Whether endpoints take Istio's mTLS, without which nothing crosses networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mtls {
    /// Their sidecar speaks it, and no policy forbids it.
    #[default]
    Taken,
    /// Their sidecar speaks it. A PeerAuthentication says `DISABLE`, so only clients whose
    /// DestinationRule says `ISTIO_MUTUAL` use it.
    Disabled,
    /// They have no sidecar, or are reached by HBONE.
    Unable,
}

impl Mtls {
    /// Whether a client uses it, given what its DestinationRule says, if anything.
    ///
    /// Source: `xds/endpoints/mtls_checker.go` and `endpoint_builder.go`, `buildEnvoyLbEndpoint`.
    pub fn is_used(self, told: Option<bool>) -> bool {
        self != Self::Unable && told.unwrap_or(self == Self::Taken)
    }
}

/// Whether pods of a namespace get a sidecar, as far as manifests tell: what a pod says goes before
/// what its namespace says.
pub fn has_sidecar(
    mesh: &Mesh,
    (cluster, namespace): (ClusterId, &str),
    labels: &Entries<Text>,
    annotations: &Entries<Text>,
) -> bool {
    let inject = "sidecar.istio.io/inject";
    let told = value(labels.get(inject).or_else(|| annotations.get(inject)));
    let namespace = mesh.namespace(cluster, namespace).found();
    let modes =
        [labels.get(DATAPLANE_LABEL), namespace.and_then(|ns| ns.meta.label(DATAPLANE_LABEL))];
    let ambient = modes.into_iter().any(|mode| value(mode) == Some("ambient"));
    let injected = told.map_or(!ambient, |told| told != "false");
    injected && value(labels.get(MODE_LABEL)).is_none_or(|mode| mode == "istio")
}

/// Whether a rule tells clients to use Istio's mTLS, as istiod asks it before it sends them to the
/// gateways of other networks: the subset's policy first, then the rule's, and in each an entry for the
/// port before the rest, if that entry has `tls` at all. `tls` without `mode` means `DISABLE`. Before
/// Istio 1.31 a subset inherits nothing here, although its cluster in Envoy does.
///
/// Source: `pilot/pkg/xds/endpoints/mtls_checker.go`, `tlsModeForDestinationRule`.
pub fn tells_mtls(
    rule: &AppliedRule<'_>,
    subset: Option<&str>,
    port: u32,
    subsets_inherit: bool,
) -> Option<bool> {
    let is_for_port = |entry: &&PortPolicy| {
        let number = entry.port.as_ref().and_then(|p| p.number.as_ref());
        number.is_some_and(|number| number.value == port)
    };
    let told = |policy: &TrafficPolicy| {
        let mut of_port = policy.port_level_settings.iter().filter(is_for_port);
        let tls = of_port.find_map(|entry| entry.tls.as_ref()).or(policy.tls.as_ref())?;
        Some(value(tls.mode.as_ref()) == Some("ISTIO_MUTUAL"))
    };
    let own = subset.and_then(|name| told(rule.subset(name)?.subset.traffic_policy.as_ref()?));
    let of_rule = || told(rule.traffic_policy().filter(|_| subset.is_none() || subsets_inherit)?.1);
    own.or_else(of_rule)
}

/// The PeerAuthentications of a control plane that pods of a namespace go by, as one looks for them: those
/// for the workload, the namespace's, the mesh's. Of several for the same, istiod takes the oldest.
///
/// Source: `pilot/pkg/security/authn`, `ComposePeerAuthentication`.
#[derive(Debug)]
pub struct PeerPolicies<'m>([Vec<&'m In<PeerAuthentication>>; 3]);

impl<'m> PeerPolicies<'m> {
    /// Those for pods with these labels.
    pub fn of<'l>(
        mesh: &'m Mesh,
        control_plane: ClusterId,
        namespace: &str,
        label: impl Fn(&str) -> Option<&'l str>,
    ) -> Self {
        let root = mesh.root_namespace(control_plane);
        let all = || mesh.peer_authentications.of_cluster(control_plane).iter();
        let selects = |policy: &PeerAuthentication| {
            let selector = policy.selector.as_ref().filter(|s| !s.is_empty())?;
            let same = |(key, want): &(Text, Text)| label(key.as_str()) == Some(want.as_str());
            Some(selector.match_labels.iter().all(same))
        };
        let own = all().filter(|p| p.namespace == namespace && namespace != root);
        let own = own.filter(|p| selects(p) == Some(true)).collect();
        let whole = |ns: &str| -> Vec<_> {
            all().filter(|p| p.namespace == ns && selects(p).is_none()).collect()
        };
        let of_mesh = if namespace == root { Vec::new() } else { whole(root) };
        Self([own, whole(namespace), of_mesh])
    }

    /// Whether there is one at most for each, and all are known as they stand.
    pub fn is_certain(&self, mesh: &Mesh) -> bool {
        let known = |p: &&In<PeerAuthentication>| !mesh.is_assumed(&p.meta);
        self.0.iter().all(|level| level.len() <= 1 && level.iter().all(known))
    }

    /// Whether one of them tells ports apart.
    pub fn has_ports(&self) -> bool {
        self.0[0].iter().any(|policy| policy.port_level_mtls.iter().next().is_some())
    }

    /// What counts for a port of the pods: `DISABLE`, `PERMISSIVE` or `STRICT`. Ports count in those for
    /// the workload alone, of which there are none in the root namespace.
    pub fn mode(&self, port: Option<u16>) -> Option<&'m Text> {
        let [own, namespace, of_mesh] = &self.0;
        let of_port = |policy: &&'m In<PeerAuthentication>| {
            told(policy.port_level_mtls.get(&port?.to_string())?)
        };
        let of_all = |policy: &&'m In<PeerAuthentication>| told(policy.mtls.as_ref()?);
        let own = own.iter().map(|policy| of_port(policy).or_else(|| of_all(policy)));
        let others = namespace.iter().chain(of_mesh).map(of_all);
        own.chain(others).flatten().next()
    }
}

/// Whether pods take mTLS on a port of theirs, by the PeerAuthentications of a control plane.
///
/// Source: `pilot/pkg/xds/endpoints/mtls_checker.go`.
pub fn takes_mtls<'l>(
    mesh: &Mesh,
    control_plane: ClusterId,
    namespace: &str,
    label: impl Fn(&str) -> Option<&'l str>,
    port: Option<u16>,
) -> bool {
    let mode = PeerPolicies::of(mesh, control_plane, namespace, label).mode(port);
    mode.is_none_or(|mode| mode.as_str() != "DISABLE")
}

/// What a policy says, if anything.
fn told(tls: &PeerTls) -> Option<&Text> {
    let known = |mode: &&Text| ["DISABLE", "PERMISSIVE", "STRICT"].contains(&mode.as_str());
    tls.mode.as_ref().filter(known)
}
