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

impl Mesh {
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
