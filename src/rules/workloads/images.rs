//! Images of proxies: `auto` that nobody replaces, and pods that still run another image.

use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::kinds::control_plane::ProxyImage;
use crate::kinds::core::Namespace;
use crate::kinds::workloads::Container;
use crate::mesh::{
    DATAPLANE_MODE, INJECTION, In, Injector, Lookup, Mesh, PodShape, REVISION, list, value,
};
use crate::source::Text;

/// What the injector puts its image in place of.
const AUTO: &str = "auto";

fn proxies<'m>(pods: &PodShape<'m>) -> impl Iterator<Item = &'m Container> {
    pods.spec
        .containers
        .iter()
        .chain(&pods.spec.init_containers)
        .filter(|c| c.name == "istio-proxy")
}

pub(super) fn image_auto_without_injection(mesh: &Mesh, found: &mut Findings) {
    for pods in mesh.pod_shapes() {
        let image =
            |c: &'_ Container| c.name == "istio-proxy" && value(c.image.as_ref()) == Some(AUTO);
        let container = pods.spec.containers.iter().find(|c| image(c));
        let Some(image) = container.and_then(|c| c.image.as_ref()) else { continue };
        // A running pod that still says so was passed over, whatever its namespace says now.
        let is_running = pods.is_pod() && pods.spec.node_name.is_some();
        if !is_running && mesh.is_injected(&pods) != Some(false) {
            continue;
        }
        let finding = found.say(
            format!("{} runs the image `auto`, and nothing injects it", pods.called()),
            image.span,
            "only the injector replaces this: the image is pulled by that name, and not found",
        );
        if let Lookup::Found(namespace) = mesh.namespace(pods.cluster, pods.namespace) {
            finding.also(namespace.named_at(), "the injector passes over this namespace");
        }
        finding.help(
            "label the pods `sidecar.istio.io/inject: \"true\"`, or the namespace `istio-injection: enabled`",
        );
    }
}

pub(super) fn proxy_image_differs(mesh: &Mesh, found: &mut Findings) {
    for namespace in &mesh.namespaces {
        let Some(revision) = revision(namespace) else { continue };
        let called = |injector: &Injector<'_>| injector.revision == revision;
        let Some(injector) = mesh.injectors(namespace.cluster).find(called) else { continue };
        let Some(wanted) = injector.image.as_deref() else { continue };
        let mut others: BTreeMap<&str, &Text> = BTreeMap::new();
        for pods in mesh.pod_shapes_in(namespace.cluster, namespace.name()).filter(is_compared) {
            let variant = variant(mesh, &pods);
            let fits = |image: &Text| {
                let suffix = image.strip_prefix(wanted);
                suffix.is_some_and(|s| s.is_empty() || s.strip_prefix('-') == variant.as_deref())
            };
            let images = proxies(&pods).filter_map(|c| c.image.as_ref());
            if let Some(image) = images.filter(|image| image.as_str() != AUTO).find(|i| !fits(i)) {
                others.insert(pods.meta.name.as_str(), image);
            }
        }
        if others.is_empty() {
            continue;
        }
        let verb = if others.len() == 1 { "runs" } else { "run" };
        let names = list(others.keys().copied());
        let finding = found.say(
            format!(
                "{names} of `{}` {verb} another proxy than is injected there",
                namespace.name()
            ),
            namespace.named_at(),
            format!("new pods here get `{wanted}`"),
        );
        for image in others.values() {
            finding.also(image.span, "this pod still has its own");
        }
        finding.help(format!(
            "restart its workloads: `kubectl rollout restart deployment -n {}`",
            namespace.name()
        ));
    }
}

/// The revision whose injector takes a namespace; none where it is not labelled for one.
fn revision(namespace: &In<Namespace>) -> Option<&str> {
    let label = |key| value(namespace.meta.label(key)).filter(|text| !text.is_empty());
    match (label(REVISION), label(INJECTION)) {
        (Some(revision), _) => Some(revision),
        (None, Some("enabled")) => Some("default"),
        _ => None,
    }
    .filter(|_| label(DATAPLANE_MODE).is_none() || label(INJECTION).is_some())
}

/// Whether this is a pod, and not told its image.
fn is_compared(pods: &PodShape<'_>) -> bool {
    pods.is_pod() && pods.annotations.get("sidecar.istio.io/proxyImage").is_none()
}

/// The variant of the image that pods are told to run: by the mesh, then by the ProxyConfigs of the root
/// namespace, of their own namespace and of themselves, then by their annotation.
fn variant(mesh: &Mesh, pods: &PodShape<'_>) -> Option<String> {
    let told = |image: &ProxyImage| image.image_type.as_ref().map(|t| t.value.clone());
    let configs = &mesh.cluster(pods.cluster).facts.mesh_config;
    let mut variant = configs.iter().find_map(|c| told(&c.default_config.image));
    let root = mesh.root_namespace(pods.cluster);
    for level in 0..3 {
        let here = mesh.proxy_configs.of_cluster(pods.cluster).iter();
        let mut fits = here.filter(|config| match (level, &config.selector) {
            (0, _) => config.namespace == root,
            (1, None) => config.namespace == pods.namespace,
            (2, Some(selector)) => {
                config.namespace == pods.namespace && selector.matches(pods.labels)
            }
            _ => false,
        });
        if let Some(own) = fits.find_map(|config| told(&config.image)) {
            variant = Some(own);
        }
    }
    let own = pods.annotations.get("proxy.istio.io/config").and_then(image_type);
    own.or(variant).filter(|variant| variant != "default")
}

/// `image.imageType` of the text of a ProxyConfig.
fn image_type(config: &Text) -> Option<String> {
    let stream = crate::yaml::parse(&std::sync::Arc::from(config.as_str()), 0);
    let root = stream.documents.first()?.root();
    Some(root.at(&["image", "imageType"])?.text()?.into_owned())
}
