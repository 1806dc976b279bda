//! Annotations of Istio: are they known, in their place, and what they look like?

use crate::api::fault_of_annotation;
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::annotations::{self, Annotation, is_of_istio, is_written_by_istio};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{INJECT, Lookup, Mesh, NETWORK_LABEL, PodShape, list};
use crate::source::Text;
use crate::yaml::Entries;

/// Names that are read as labels, and by nobody as annotations.
pub(super) const LABELS: &[&str] = &[
    "gateway.istio.io/managed",
    "istio.io/dataplane-mode",
    "istio.io/global",
    "istio.io/ingress-use-waypoint",
    "istio.io/tag",
    "istio.io/use-waypoint",
    "istio.io/use-waypoint-namespace",
    "istio.io/waypoint-for",
    "networking.istio.io/enable-autoallocate-ip",
    "networking.istio.io/gatewayPort",
    "security.istio.io/tlsMode",
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "service.istio.io/workload-name",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
    "topology.istio.io/subzone",
];

/// What carries annotations: a resource, or the template of a workload's pods.
struct Holder<'m> {
    /// The kind Istio takes it for.
    kind: &'m str,
    annotations: &'m Entries<Text>,
    labels: &'m Entries<Text>,
    /// The pods, where it is one or makes them.
    pods: Option<PodShape<'m>>,
}

impl<'m> Holder<'m> {
    fn of(meta: &'m Meta) -> Self {
        let (annotations, labels) = (&meta.annotations, &meta.labels);
        Self { kind: meta.kind.as_str(), annotations, labels, pods: None }
    }

    /// Its annotations that are Istio's to judge.
    fn of_istio(&self) -> impl Iterator<Item = (&'m Text, &'m Text)> {
        let all = self.annotations.iter().map(|(name, value)| (name, value));
        all.filter(|(name, _)| {
            is_of_istio(name) && !is_written_by_istio(name) && !is_placeholder(name)
        })
    }
}

/// Namespaces, Services, pods, and what makes pods, itself and by its template.
fn holders(mesh: &Mesh) -> impl Iterator<Item = Holder<'_>> {
    let namespaces = mesh.namespaces.iter().map(|it| Holder::of(&it.meta));
    let services = mesh.services.iter().map(|it| Holder::of(&it.meta));
    // What istiod makes for a Gateway has the annotations of that.
    let by_people = |pods: &PodShape<'_>| {
        pods.meta.label("gateway.istio.io/managed").is_none() && !mesh.has_maker(pods)
    };
    let makers = mesh.pod_shapes().filter(move |pods| !pods.is_pod() && by_people(pods));
    let makers = makers.map(|pods| Holder::of(pods.meta));
    let pods = mesh.pod_shapes().filter(move |pods| by_people(pods)).map(|pods| Holder {
        kind: "Pod",
        annotations: pods.annotations,
        labels: pods.labels,
        pods: Some(pods),
    });
    namespaces.chain(services).chain(makers).chain(pods)
}

/// Annotations that Istio knows, with what it knows of them.
fn known(mesh: &Mesh) -> impl Iterator<Item = (Holder<'_>, &Text, &Text, &'static Annotation)> {
    holders(mesh).flat_map(|holder| {
        let told: Vec<_> = holder.of_istio().collect();
        let told = told
            .into_iter()
            .filter_map(|(name, value)| Some((name, value, annotations::called(name)?)));
        let told: Vec<_> = told.collect();
        let (kind, annotations, labels, pods) =
            (holder.kind, holder.annotations, holder.labels, holder.pods);
        told.into_iter().map(move |(name, value, known)| {
            (Holder { kind, annotations, labels, pods }, name, value, known)
        })
    })
}

pub(super) fn unknown_annotation(mesh: &Mesh, found: &mut Findings) {
    // Of a network that is told nowhere else, the rule on networks speaks.
    let unlabelled = mesh.clusters().iter().filter_map(|c| mesh.unlabelled_for_network(c));
    let told: Vec<_> = unlabelled.map(|(namespace, _)| namespace.meta.span).collect();
    for holder in holders(mesh) {
        for (name, _) in holder.of_istio().filter(|(name, _)| annotations::called(name).is_none()) {
            if name.as_str() == NETWORK_LABEL && told.iter().any(|span| span.contains(name.span)) {
                continue;
            }
            if LABELS.contains(&name.as_str()) {
                found
                    .say(
                        format!("`{name}` is a label, and stands here as an annotation"),
                        name.span,
                        "read as a label alone: this has no effect",
                    )
                    .help("move it from `annotations` to `labels`");
                continue;
            }
            let nearest = match Lookup::<()>::absent(name, annotations::names()) {
                Lookup::Absent { nearest } => nearest.filter(|near| is_like(near, name)),
                _ => None,
            };
            let label = match &nearest {
                Some(near) => format!("no such annotation: did you mean `{near}`?"),
                None => "no such annotation: it has no effect".to_owned(),
            };
            found
                .say(format!("Istio has no annotation `{name}`"), name.span, label)
                .help("correct the name, or leave it out")
                .fix(
                    nearest.map(|near| {
                        Fix::unsafe_replace(format!("write `{near}`"), name.span, near)
                    }),
                );
        }
    }
}

/// Whether two names differ by little: the same domain, or nearly the same word.
fn is_like(near: &str, name: &str) -> bool {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let domain = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let close = near.len().abs_diff(name.len()) < 3;
    close && (last(near) == last(name) || domain(near) == domain(name))
}

pub(super) fn misplaced_annotation(mesh: &Mesh, found: &mut Findings) {
    for (holder, name, _, known) in known(mesh).filter(|(h, .., known)| !known.is_read_on(h.kind)) {
        let kinds = list(known.kinds.iter().copied());
        let makes_pods = !matches!(holder.kind, "Pod" | "Namespace" | "Service");
        let help = match known.kinds.as_slice() {
            ["Pod"] if makes_pods => {
                "move it to the pods' template: `metadata.annotations` under `spec.template`"
                    .to_owned()
            }
            ["Pod"] => "write it on the pods' template".to_owned(),
            _ => format!("move it to the resource it is meant for: {kinds}"),
        };
        found
            .say(
                format!("`{name}` is read only on {kinds}, and stands on a {}", holder.kind),
                name.span,
                "nobody reads it here: it has no effect",
            )
            .help(help);
    }
}

pub(super) fn invalid_annotation(mesh: &Mesh, found: &mut Findings) {
    for (holder, name, value, known) in known(mesh) {
        let format = known.format.filter(|_| known.is_read_on(holder.kind));
        let fault = format.and_then(|format| fault_of_annotation(format, value));
        let Some(fault) = fault else { continue };
        let is_injected = holder.pods.as_ref().and_then(|pods| mesh.is_injected(pods));
        let finding = found.say(
            format!("the value of `{name}` cannot be used: {fault}"),
            value.span,
            "the injector refuses the pod, so that no new one starts",
        );
        if is_injected != Some(true) {
            finding.milder(Severity::Warning, ", which counts where the pod gets a sidecar");
        }
        finding.help(format!("correct the value, or leave `{name}` out"));
    }
}

pub(super) fn deprecated_annotation(mesh: &Mesh, found: &mut Findings) {
    for (holder, name, _, _) in known(mesh).filter(|(.., known)| known.is_deprecated) {
        let is_switch = name.as_str() == INJECT;
        if is_switch && holder.labels.get(INJECT).is_some() {
            continue;
        }
        let help = match name.as_str() {
            INJECT => "write it as a label of the pods: labels are what the webhook selects by",
            "sidecar.istio.io/extraStatTags" => {
                "use the Telemetry API: `metrics.overrides.tagOverrides`"
            }
            "sidecar.istio.io/statsCompression" => "leave it out",
            "sidecar.istio.io/discoveryAddress" => {
                "use `discoveryAddress` in `proxy.istio.io/config`"
            }
            name if name.starts_with("sidecar.istio.io/statsInclusion") => {
                "use `proxyStatsMatcher` in `proxy.istio.io/config`"
            }
            "traffic.sidecar.istio.io/kubevirtInterfaces" => {
                "use `istio.io/reroute-virtual-interfaces`"
            }
            _ => "leave it out",
        };
        found
            .say(
                format!("the annotation `{name}` is deprecated"),
                name.span,
                if is_switch {
                    "the label of this name goes before it"
                } else {
                    "a later Istio may not read it"
                },
            )
            .help(help);
    }
}

/// What istio-cni writes on pods by itself.
const BY_CNI: &[&str] = &[
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/includeInboundPorts",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
];

pub(super) fn alpha_annotation(mesh: &Mesh, found: &mut Findings) {
    for (holder, name, _, _) in known(mesh).filter(|(.., known)| known.status == "alpha") {
        let pod = holder.pods.filter(PodShape::is_pod);
        let by_cni = pod.is_some_and(|pod| {
            BY_CNI.contains(&name.as_str())
                && !pod.spec.init_containers.iter().any(|c| c.name == "istio-init")
        });
        if !by_cni {
            found
                .say(
                    format!("the annotation `{name}` is alpha"),
                    name.span,
                    "Istio may change or drop it without notice",
                )
                .help("look at the notes of each release before you upgrade");
        }
    }
}
