//! Services that containers are told to call by the full name, in their environment.

use std::sync::LazyLock;

use regex::Regex;

use crate::clusters::ClusterId;
use crate::mesh::{Client, Host, Mesh};
use crate::source::Span;

/// The full name of a Service as part of a URL, of an address or of a list of these. Names of single pods,
/// which have a part more, are left out.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    let name = "([a-z0-9-]+)";
    let pattern = format!(
        r"(?:^|[^A-Za-z0-9.-]){name}\.{name}\.svc(?:\.cluster\.local)?\.?(?:$|[^A-Za-z0-9.-])"
    );
    Regex::new(&pattern).expect("a fixed pattern")
});

/// A name that a container looks up in the DNS of its cluster.
pub(super) struct Told<'m> {
    pub cluster: ClusterId,
    pub host: Host<'m>,
    pub at: Span,
}

/// The hosts that variables of containers name, without those whose proxies answer DNS.
pub(super) fn told(mesh: &Mesh) -> impl Iterator<Item = Told<'_>> {
    let workloads = mesh.workloads.iter().filter(|w| !mesh.is_assumed(&w.meta));
    workloads.flat_map(move |workload| {
        let containers = workload.template.spec.containers.iter();
        let values = containers.flat_map(|c| &c.env).filter_map(|e| e.value.as_ref());
        let named = values.flat_map(move |value| {
            NAME.captures_iter(value).filter_map(move |found| {
                let host = mesh.host(&format!("{}.{}.svc.cluster.local", &found[1], &found[2]))?;
                Some(Told { cluster: workload.cluster, host, at: value.span })
            })
        });
        let client = Client::of(workload.cluster, &workload.namespace);
        named.filter(move |_| !mesh.answers_dns(&client))
    })
}
