//! Host names as Istio resolves them.

/// The full name of a host that an Istio object names: a name without a dot gets the object's
/// namespace, everything else is taken as it is. Source: `pkg/config/model.go`,
/// `ResolveShortnameToFQDN`.
pub fn fqdn(host: &str, namespace: &str) -> String {
    if host.contains('.') || host.contains('*') || host.is_empty() {
        host.to_ascii_lowercase()
    } else {
        format!("{}.{namespace}.svc.cluster.local", host.to_ascii_lowercase())
    }
}

/// The name people use for a host of the mesh: `cart.shop` for `cart.shop.svc.cluster.local`.
pub fn short(host: &str) -> &str {
    host.split_once(".svc.").map_or(host, |(short, _)| short)
}

/// A host of a Gateway's server without the namespace that it is for.
pub fn without_namespace(host: &str) -> &str {
    host.split_once('/').map_or(host, |(_, host)| host)
}

/// A host name, or one with a `*` in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPattern<'h>(pub &'h str);

impl HostPattern<'_> {
    /// Whether it stands for several hosts.
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether it stands for this host. Source: `pkg/config/host/name.go`, `Matches`.
    pub fn matches(self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(tail) => host.strip_prefix('*').unwrap_or(host).ends_with(tail),
            None => self.0 == host,
        }
    }

    /// How much it says: the exact name most, then the longer pattern.
    pub fn specificity(self) -> (bool, usize) {
        (!self.is_wildcard(), self.0.len())
    }
}
