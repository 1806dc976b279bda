//! Addresses of pods: the ranges that a cluster's pods get theirs from.

use core::net::IpAddr;

use super::{In, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::cidrs::IpPool;
use crate::source::{Span, Text};

/// What kind gives to pods where nothing is told. Source: kind, `pkg/apis/config/v1alpha4/default.go`.
const OF_KIND: &str = "10.244.0.0/16";
/// What eksctl gives to the network it makes where nothing is told. Source: eksctl, `vpc.cidr`.
const OF_EKSCTL: &str = "192.168.0.0/16";

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    is_v6: bool,
    /// Its first address, at the upper end of the number.
    first: u128,
    /// How many bits all its addresses share.
    bits: u32,
}

impl Cidr {
    /// `10.244.0.0/16`, `fd00:10:244::/56`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        let (is_v6, number, width) = match address.parse().ok()? {
            IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (true, v6.to_bits(), 128),
        };
        let mask = |bits: u32| u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        (bits <= width).then(|| Self { is_v6, first: number & mask(bits), bits })
    }

    /// Whether its addresses are of IPv6.
    pub fn is_v6(self) -> bool {
        self.is_v6
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let shift = 128 - self.bits.min(other.bits);
        let head = |cidr: Self| cidr.first.checked_shr(shift).unwrap_or(0);
        self.is_v6 == other.is_v6 && head(self) == head(other)
    }
}

/// A range that a cluster's pods get their addresses from.
#[derive(Clone, Debug)]
pub struct PodRange {
    /// The addresses.
    pub cidr: Cidr,
    /// As it is written, or what is taken where nothing is.
    pub text: String,
    /// What tells it, for a label: `a pool of Calico`.
    pub by: &'static str,
    /// Where.
    pub span: Span,
    /// Whether pods get these addresses whatever plugin the cluster's network has.
    pub is_sure: bool,
}

/// What tells a range that is an object of the cluster itself.
const BY_POOL: &str = "a pool of Calico";

impl PodRange {
    /// Whether an object of the cluster tells it, so that clusters which share its text share the range.
    /// What makes a cluster may be there for one of several, as far as a folder tells.
    pub fn is_of_cluster(&self) -> bool {
        self.by == BY_POOL
    }

    fn all(told: &Text, by: &'static str, is_sure: bool) -> impl Iterator<Item = Self> {
        let range = move |text: &str| {
            let cidr = Cidr::parse(text)?;
            Some(Self { cidr, text: text.trim().to_owned(), by, span: told.span, is_sure })
        };
        told.split(',').filter_map(range)
    }
}

impl Mesh {
    /// The ranges that a cluster's pods get their addresses from; empty where nobody tells. What is nearest
    /// to the pods goes first: Calico's pools, then the nodes, then what made the cluster.
    pub fn pod_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let sources = [
            Self::pool_ranges,
            Self::node_ranges,
            Self::kubeadm_ranges,
            Self::kind_ranges,
            Self::eksctl_ranges,
        ];
        let found = sources.into_iter().map(|source| source(self, cluster));
        found.into_iter().find(|ranges| !ranges.is_empty()).unwrap_or_default()
    }

    fn pool_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let own = self.ip_pools.of_cluster(cluster).iter();
        let own = own.filter(|p| !self.is_assumed(&p.meta)).map(|p| &p.resource.spec);
        let made = self.calico_installations.of_cluster(cluster).iter();
        let made =
            made.filter(|i| !self.is_assumed(&i.meta)).flat_map(|i| &i.calico_network.ip_pools);
        let used = |pool: &&IpPool| {
            let nowhere = pool.node_selector.as_ref().is_some_and(|s| s.trim() == "!all()");
            !nowhere && pool.disabled.as_ref().is_none_or(|disabled| !disabled.value)
        };
        let told = own.chain(made).filter(used).filter_map(|pool| pool.cidr.as_ref());
        told.flat_map(|cidr| PodRange::all(cidr, BY_POOL, true)).collect()
    }

    fn node_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let here = self.nodes.of_cluster(cluster).iter();
        let told = here.filter_map(|n| n.resource.spec.spec.pod_cidr.as_ref());
        told.flat_map(|cidr| PodRange::all(cidr, "a node", true)).collect()
    }

    fn kubeadm_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let kubeadm = only(self.kubeadm.of_cluster(cluster).iter());
        let kubeadm = kubeadm.and_then(|k| k.networking.pod_subnet.as_ref());
        let kubeadm = kubeadm.into_iter().flat_map(|told| PodRange::all(told, "kubeadm", false));
        // One that makes clusters is in a cluster itself.
        let of = |name: &str| self.cluster(cluster).is_called(name);
        let api = only(self.api_clusters.iter().filter(|c| of(c.name())));
        let api = api.into_iter().flat_map(|c| &c.cluster_network.pods.cidr_blocks);
        let api = api.flat_map(|told| PodRange::all(told, "Cluster API", false));
        kubeadm.chain(api).collect()
    }

    fn kind_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let here = || self.kind_clusters.of_cluster(cluster).iter();
        let called = |k: &&In<_>| self.cluster(cluster).is_called(kind_name(k));
        let Some(kind) = only(here()).or_else(|| only(here().filter(called))) else {
            return Vec::new();
        };
        let networking = &kind.networking;
        let is_sure = networking.disable_default_cni.as_ref().is_none_or(|off| !off.value);
        if let Some(told) = &networking.pod_subnet {
            return PodRange::all(told, "kind", is_sure).collect();
        }
        let v4 = networking.ip_family.as_ref().is_none_or(|family| family.as_str() == "ipv4");
        let cidr = Cidr::parse(OF_KIND).filter(|_| v4 && is_sure);
        let (text, by) = (OF_KIND.to_owned(), "kind, as nothing else is told");
        let range = |cidr| PodRange { cidr, text, by, span: kind.meta.kind.span, is_sure };
        cidr.map(range).into_iter().collect()
    }

    fn eksctl_ranges(&self, cluster: ClusterId) -> Vec<PodRange> {
        let here = || self.eksctl_clusters.of_cluster(cluster).iter();
        let Some(config) = only(here()).filter(|c| c.vpc.id.is_none()) else { return Vec::new() };
        if let Some(told) = &config.vpc.cidr {
            return PodRange::all(told, "eksctl", false).collect();
        }
        // A network that is there already may be told by its subnets alone.
        let own = config.meta.unread.iter().all(|path| !path.starts_with("vpc"));
        let cidr = Cidr::parse(OF_EKSCTL).filter(|_| own && !config.vpc.has_subnets());
        let (text, by) = (OF_EKSCTL.to_owned(), "eksctl, as nothing else is told");
        let range = |cidr| PodRange { cidr, text, by, span: config.meta.kind.span, is_sure: false };
        cidr.map(range).into_iter().collect()
    }
}

fn kind_name(kind: &In<crate::kinds::machines::KindCluster>) -> &str {
    kind.resource.spec.name.as_ref().map_or("kind", |name| name.as_str())
}

fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn ranges_that_share_an_address() {
        let overlap = |a: &str, b: &str| {
            Cidr::parse(a).zip(Cidr::parse(b)).map(|(a, b)| (a.overlaps(b), b.overlaps(a)))
        };
        assert_eq!(overlap("10.244.0.0/16", "10.244.3.0/24"), Some((true, true)));
        assert_eq!(overlap("10.244.0.0/16", "10.245.0.0/16"), Some((false, false)));
        assert_eq!(overlap("10.244.1.7/16", "10.244.0.0/16"), Some((true, true)));
        assert_eq!(overlap("0.0.0.0/0", "192.168.0.0/16"), Some((true, true)));
        assert_eq!(overlap("::/0", "10.0.0.0/8"), Some((false, false)));
        assert_eq!(overlap("fd00:10:244::/56", "fd00:10:244:1::/64"), Some((true, true)));
        assert_eq!(overlap("10.0.0.0/32", "10.0.0.1/32"), Some((false, false)));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "${POD_CIDR}", "a/8", "10.0.0.0/-1"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
