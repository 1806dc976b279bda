//! Who sends a request: pods that get the same configuration and the same endpoints.

use std::borrow::Cow;

use super::{
    CLUSTER_LABEL, Locality, Mesh, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL, value,
};
use crate::clusters::ClusterId;
use crate::source::Text;
use crate::yaml::Entries;

/// Who sends a request: pods that istiod and Envoy treat alike.
#[derive(Clone, Copy, Debug)]
pub struct Client<'m> {
    /// The cluster it runs in.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: &'m str,
    /// Labels of its pods, without those that Istio adds; `None` where any may be meant.
    pub labels: Option<&'m Entries<Text>>,
    /// Where it runs; `None` where that is not known or does not matter.
    pub locality: Option<&'m Locality>,
}

impl<'m> Client<'m> {
    /// Any workload of a namespace.
    pub fn of(cluster: ClusterId, namespace: &'m str) -> Self {
        Self { cluster, namespace, labels: None, locality: None }
    }
}

/// What is known of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelValue<'m> {
    /// It has this value.
    Is(Cow<'m, str>),
    /// It is not there.
    Unset,
    /// Nobody can tell.
    Unknown,
}

impl LabelValue<'_> {
    /// Whether it is a value; `None` where nobody can tell.
    pub fn equals(&self, wanted: &str) -> Option<bool> {
        match self {
            Self::Is(value) => Some(value == wanted),
            Self::Unset => Some(false),
            Self::Unknown => None,
        }
    }
}

/// What makes a sidecar answer DNS.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";

impl Mesh {
    /// Whether some proxy of a client group is known to answer DNS, so that names resolve which another
    /// cluster defines: by the mesh's configuration, by the annotation of a pod, or as part of ambient,
    /// where ztunnel does. Sources: `pkg/dns/client`, `cni/pkg/repair`.
    pub fn answers_dns(&self, client: &Client<'_>) -> bool {
        let facts = &self.cluster(client.cluster).facts;
        let by_mesh = facts
            .mesh_config
            .iter()
            .any(|c| value(c.default_config.proxy_metadata.get(DNS_CAPTURE)) == Some("true"));
        let ambient = |label: Option<&Text>| value(label).is_some_and(|mode| mode == "ambient");
        let by_namespace = self
            .namespace(client.cluster, client.namespace)
            .found()
            .is_some_and(|ns| ambient(ns.meta.label("istio.io/dataplane-mode")));
        by_mesh
            || facts.ambient
            || by_namespace
            || self.workloads.of_namespace(client.cluster, client.namespace).any(|w| {
                let template = &w.template.metadata;
                let config = value(template.annotations.get("proxy.istio.io/config"));
                let env = w.template.spec.containers.iter().flat_map(|c| &c.env);
                config.is_some_and(captures_dns)
                    || ambient(template.labels.get("istio.io/dataplane-mode"))
                    || env
                        .filter(|e| e.name == DNS_CAPTURE)
                        .any(|e| value(e.value.as_ref()) == Some("true"))
            })
    }

    /// Whether something of the input is applied to a namespace of a cluster, so that it exists there.
    pub fn lives_in(&self, cluster: ClusterId, namespace: &str) -> bool {
        self.has_seen(cluster, "Service", namespace)
            || self.workloads.of_namespace(cluster, namespace).next().is_some()
            || self.istio_objects.of_namespace(cluster, namespace).next().is_some()
    }

    /// A label of a client's pods, with those that Istio adds by the place they run in.
    ///
    /// Source: `serviceregistry/util/label`, `AugmentLabels`: what the place tells goes first, except
    /// for the network, where the pod's own label does.
    pub fn label_of<'m>(&'m self, client: &Client<'m>, key: &str) -> LabelValue<'m> {
        let own = || match client.labels {
            Some(labels) => value(labels.get(key))
                .map_or(LabelValue::Unset, |value| LabelValue::Is(Cow::Borrowed(value))),
            None => LabelValue::Unknown,
        };
        let place = |part: fn(&Locality) -> &String| match client.locality {
            None => LabelValue::Unknown,
            Some(locality) if part(locality).is_empty() => own(),
            Some(locality) => LabelValue::Is(Cow::Borrowed(part(locality).as_str())),
        };
        let cluster = self.cluster(client.cluster);
        match key {
            CLUSTER_LABEL => {
                let name = cluster.istio_name().map_or(cluster.name.as_str(), |name| name.as_str());
                LabelValue::Is(Cow::Borrowed(name))
            }
            NETWORK_LABEL => match (own(), cluster.network()) {
                (LabelValue::Is(own), _) => LabelValue::Is(own),
                (_, Some(network)) => LabelValue::Is(Cow::Borrowed(network.as_str())),
                (LabelValue::Unset, None) => LabelValue::Unset,
                (LabelValue::Unknown, None) => LabelValue::Unknown,
            },
            REGION_LABEL => place(|l| &l.region),
            ZONE_LABEL => place(|l| &l.zone),
            SUBZONE_LABEL => place(|l| &l.subzone),
            "kubernetes.io/hostname" => LabelValue::Unknown,
            _ => own(),
        }
    }
}

/// Whether a ProxyConfig, written in YAML or JSON, makes a sidecar answer DNS.
fn captures_dns(config: &str) -> bool {
    config.split_once(DNS_CAPTURE).is_some_and(|(_, told)| {
        told.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).starts_with("true")
    })
}
