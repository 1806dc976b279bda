//! The mesh from what the files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Duplicate, Faulty, Mesh, Order, PemFile, service};
use crate::clusters::{Fleet, Member, Origin};
use crate::config::{Config, Options};
use crate::kinds::file::{Manifests, is_pem};
use crate::kinds::{Meta, Object, View, is_placeholder};
use crate::source::{Sources, Span};
use crate::yaml::Mismatch;

/// What a mesh is built from.
pub struct Input<'i> {
    /// All texts.
    pub sources: &'i Sources,
    /// What each holds.
    pub files: Vec<Manifests>,
    /// Which cluster has what.
    pub fleet: Fleet,
    /// What the APIs of Istio and Kubernetes refuse, and what they pass over.
    pub faults: Vec<Faulty>,
    /// What the run is told.
    pub config: &'i Config,
    /// Options by the whole name of their rule.
    pub options: BTreeMap<String, Options>,
}

impl Mesh {
    /// Builds the model and its indexes.
    pub fn build(input: Input<'_>) -> Self {
        let Input { sources, files, fleet, faults, config, options } = input;
        let mut mesh = Self {
            clusters: fleet.clusters,
            one_servers: fleet.one_servers,
            astray: fleet.astray,
            configured: !config.clusters.is_empty(),
            options,
            now: config.now,
            texts: sources.files().map(|(_, f)| (f.base, Arc::clone(&f.text))).collect(),
            ..Self::default()
        };
        mesh.supplies = vec![Vec::new(); mesh.clusters.len()];
        for (cluster, supply) in fleet.supplies {
            mesh.supplies[cluster.index()].push(supply);
        }
        mesh.take_problems(files, sources);
        mesh.problems.faults = faults;
        let guessed =
            fleet.placed.iter().filter(|p| p.origin == Origin::Shared && p.clusters.len() > 1);
        mesh.assumed = guessed.map(|p| p.file).chain(fleet.patched.iter().copied()).collect();
        let mut members = fleet.members;
        members.sort_by_key(|m| (m.cluster, m.object.meta.span));
        mesh.alternatives = alternatives(&members);
        mesh.problems.duplicates = duplicates(&members);
        for member in members {
            mesh.note_seen(&member);
            mesh.objects.take(member);
        }
        mesh.index_hosts();
        // Others of what follows may ask for these, which ask for resources alone.
        mesh.remote_names = mesh.find_remote_names();
        mesh.tells_waypoints = mesh.clusters.iter().map(|c| mesh.says_waypoints(c)).collect();
        mesh.gateway_selectors = mesh.find_gateway_selectors();
        mesh.injector_maps = mesh.find_injector_maps();
        mesh.gateway_services = mesh.find_gateway_services();
        mesh.policies = mesh.index_policies(Order::Names);
        for scaler in mesh.find_scalers() {
            let name = scaler.target().map(|(kind, name)| format!("{kind}/{name}"));
            let key = (scaler.cluster, scaler.namespace.clone(), name.unwrap_or_default());
            mesh.scalers.entry(key).or_default().push(scaler);
        }
        mesh.backends = mesh.objects.services.iter().map(|s| mesh.find_backends(s)).collect();
        mesh.readers = mesh.find_readers();
        mesh.places = mesh.clusters.iter().map(|c| mesh.find_places(c.id)).collect();
        mesh.claimed = mesh.find_claimed();
        mesh.whereabouts = mesh.find_whereabouts();
        mesh
    }

    fn take_problems(&mut self, files: Vec<Manifests>, sources: &Sources) {
        for file in files {
            self.problems.syntax.extend(file.errors);
            self.problems.duplicate_keys.extend(file.duplicates);
            self.key_texts.extend(Some(file.keys).filter(|keys| !keys.is_empty()));
            let wrong = file.objects.iter().flat_map(|o| {
                let own = o.mismatches.iter().filter(|m| is_refused(o, m));
                own.map(|m| without_value(&o.meta, m))
            });
            let wrong = wrong.filter(|m| {
                let text = sources.slice(m.span);
                // The API server takes null for nothing in most places, so it is left alone.
                !is_placeholder(text) && !matches!(text, "" | "null" | "~")
            });
            self.problems.mismatches.extend(wrong);
            let source = sources.file(file.file);
            if is_pem(&source.name) {
                let holds = self.clusters.iter().filter(|c| c.files.contains(&file.file));
                self.pem_files.push(PemFile {
                    file: file.file,
                    name: source.name.clone(),
                    text: source.text.clone(),
                    base: source.base,
                    clusters: holds.map(|c| c.id).collect(),
                });
            }
        }
    }

    /// Notes that objects of a kind are in the input: evidence that others would be there too.
    fn note_seen(&mut self, member: &Member) {
        let kinds = [
            "Namespace",
            "Node",
            "Service",
            "Deployment",
            "StatefulSet",
            "DaemonSet",
            "Secret",
            "ConfigMap",
            "DestinationRule",
            "VirtualService",
            "HorizontalPodAutoscaler",
            "ScaledObject",
            "PodDisruptionBudget",
            "ServiceEntry",
            "Gateway",
            "Pod",
            "Rollout",
            "ReferenceGrant",
        ];
        let kind = member.object.meta.kind.as_str();
        if let Some(kind) = kinds.into_iter().find(|k| *k == kind) {
            self.seen.insert((member.cluster, kind, member.namespace.clone()));
        }
    }

    fn index_hosts(&mut self) {
        self.objects.index();
        for (i, namespace) in self.objects.namespaces.iter().enumerate() {
            let key = (namespace.cluster, namespace.name().to_owned());
            self.namespaces_called.entry(key).or_insert(i);
        }
        for (i, s) in self.objects.services.iter().enumerate() {
            let key = (s.cluster, s.namespace.clone(), s.name().to_owned());
            self.service_index.entry(key).or_default().push(i);
            let host: &mut service::HostIndex =
                self.hosts.entry(super::fqdn(s.name(), &s.namespace)).or_default();
            host.services.push(i);
        }
        for (i, entry) in self.objects.service_entries.iter().enumerate() {
            for host in &entry.hosts {
                let name = host.to_ascii_lowercase();
                self.hosts.entry(name).or_default().entries.push(i);
            }
        }
    }
}

/// Texts of objects of which a cluster has more than one text.
fn alternatives(members: &[Member]) -> BTreeSet<Span> {
    let mut texts: BTreeMap<_, Vec<&Meta>> = BTreeMap::new();
    for member in members {
        let meta = &member.object.meta;
        let identity =
            (member.cluster, meta.group(), meta.kind.as_str(), &member.namespace, &meta.name.value);
        let known = texts.entry(identity).or_default();
        if !meta.name.is_empty() && !known.iter().any(|other| other.is_same_text(meta)) {
            known.push(meta);
        }
    }
    let several = texts.into_values().filter(|texts| texts.len() > 1);
    several.flatten().map(|meta| meta.span).collect()
}

/// Resources that stand twice in one file, in the same cluster and namespace: the second is applied over
/// the first.
fn duplicates(members: &[Member]) -> Vec<Duplicate> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for member in members {
        let meta = &member.object.meta;
        // What is a prefix for names that the cluster makes (`generateName`) ends in a hyphen.
        let nameless =
            meta.name.is_empty() || meta.name.ends_with('-') || is_placeholder(&meta.name);
        if nameless || matches!(member.object.view, View::Kustomization(_)) {
            continue;
        }
        let name =
            (meta.file, meta.group(), meta.kind.as_str(), &member.namespace, meta.name.as_str());
        let there = *first.entry((member.cluster, name)).or_insert(meta.name.span);
        if there != meta.name.span {
            let (kind, name) = (meta.kind.value.clone(), meta.name.value.clone());
            found.push(Duplicate { kind, name, first: there, again: meta.name.span });
        }
    }
    found
}

/// Whether a value of the wrong type is for the API server, and is told here: what Istio's API wants is
/// looked at in `api`. What installs and delivers is read with the eyes of Istio's charts, and may be meant
/// for others.
fn is_refused(object: &Object, wrong: &Mismatch) -> bool {
    let group = object.meta.group();
    if wrong.path.starts_with("metadata.") {
        return !is_file_of_a_tool(group);
    }
    if wrong.path.starts_with("data.mesh") {
        return false;
    }
    // Argo's Rollouts and the kinds of the Gateway API have schemas as strict as Kubernetes' own types.
    let is_api = matches!(
        group,
        "" | "apps"
            | "autoscaling"
            | "batch"
            | "policy"
            | "discovery.k8s.io"
            | "gateway.networking.k8s.io"
            | "admissionregistration.k8s.io"
    );
    is_api || object.meta.kind.as_str() == "Rollout"
}

/// Whether what looks like a resource never comes to an API server.
fn is_file_of_a_tool(group: &str) -> bool {
    let groups = ["kustomize.config.k8s.io", "eksctl.io", "kind.x-k8s.io", "k3d.io"];
    groups.contains(&group) || group.starts_with("skaffold")
}

/// What is wrong with a field; of a Secret nothing is told of what is there.
fn without_value(meta: &Meta, wrong: &Mismatch) -> Mismatch {
    let message = match meta.kind.as_str() {
        "Secret" => wrong.message.split(", found").next().unwrap_or_default().to_owned(),
        _ => wrong.message.clone(),
    };
    Mismatch { message, ..wrong.clone() }
}
