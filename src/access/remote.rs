//! Remote secrets as they stand in the clusters that read them, plain or still to be made.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::{Cluster, ClusterId, DEFAULT_NAME, Role};
use crate::kinds::core::{OpaqueSecret, Secret};
use crate::kinds::kubeconfig::{
    CLUSTER_ANNOTATION, CONFIG_SECRET, Content, Held, REMOTE_LABEL, REMOTE_PREFIX,
};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{In, Mesh};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// All remote secrets of the input, ordered by cluster and then by place.
#[derive(Debug)]
pub struct Access<'m> {
    mesh: &'m Mesh,
    remotes: Vec<Remote<'m>>,
    /// Clusters by mesh and name.
    named: BTreeMap<(usize, &'m str), Vec<ClusterId>>,
    /// Clusters by mesh of which nobody tells the name.
    unnamed: BTreeMap<usize, Vec<ClusterId>>,
    /// Pairs of clusters of which the first has a secret for the second, whatever may be wrong with it.
    pairs: BTreeSet<(ClusterId, ClusterId)>,
    /// Clusters that have a key, by the key.
    holders: BTreeMap<&'m str, BTreeSet<ClusterId>>,
}

/// What makes a Secret of what stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// It is the Secret itself.
    Nobody,
    /// A SealedSecret is decrypted.
    Sealed,
    /// An ExternalSecret or the like fetches it.
    External,
}

/// A Secret for the API server of another cluster.
#[derive(Clone, Debug)]
pub struct Remote<'m> {
    /// The cluster in which it stands, whose istiod reads it.
    pub holder: ClusterId,
    /// Its namespace there.
    pub namespace: &'m str,
    /// Whether that is told, and not just taken for granted.
    pub has_namespace: bool,
    /// What it is called, and so on: of what makes it, where it is made.
    pub meta: &'m Meta,
    /// Where it is called so.
    pub at: Span,
    /// What makes it.
    pub maker: Maker,
    /// The label by which istiod finds it.
    pub label: Label<'m>,
    /// Where it leads, by what `istioctl` notes.
    pub annotation: Option<&'m Text>,
    /// Its keys.
    pub entries: Vec<Entry<'m>>,
}

/// A key of a remote secret.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'m> {
    /// The key.
    pub key: &'m Text,
    /// What stands under it; `None` where that is made in the cluster.
    pub held: Option<&'m Held>,
}

/// The label by which istiod finds remote secrets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Label<'m> {
    /// It is as it should be.
    Right,
    /// It has another value than `true`.
    Wrong(&'m Text),
    /// There is none.
    Absent,
    /// It may come from elsewhere.
    Unseen,
}

/// The cluster that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'m> {
    /// The one that has the secret.
    Itself,
    /// Another one of the input.
    Cluster(ClusterId),
    /// None of the input.
    Elsewhere(&'m str),
    /// Nobody can tell: the name is still to be filled in, or the input does not tell what its clusters
    /// are called.
    Unseen,
}

impl<'m> Access<'m> {
    /// Looks for all remote secrets.
    pub fn of(mesh: &'m Mesh) -> Self {
        let plain = mesh.secrets.iter().filter_map(Remote::plain);
        let made = mesh.opaque_secrets.iter().filter_map(Remote::made);
        let mut remotes: Vec<Remote<'_>> = plain.chain(made).collect();
        remotes.sort_by_key(|r| (r.holder, r.meta.span));
        let mut access = Self {
            mesh,
            remotes,
            named: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            pairs: BTreeSet::new(),
            holders: BTreeMap::new(),
        };
        for cluster in mesh.clusters() {
            for name in names(cluster) {
                access.named.entry((cluster.mesh, name)).or_default().push(cluster.id);
            }
            if !mesh.knows_name(cluster) {
                access.unnamed.entry(cluster.mesh).or_default().push(cluster.id);
            }
        }
        for remote in &access.remotes {
            for entry in &remote.entries {
                access.holders.entry(entry.key.as_str()).or_default().insert(remote.holder);
            }
        }
        access.pairs = access.remotes.iter().flat_map(|r| access.pairs_of(r)).collect();
        access
    }

    fn pairs_of(&self, remote: &Remote<'m>) -> Vec<(ClusterId, ClusterId)> {
        let keys = remote.entries.iter().map(|e| e.key).chain(remote.annotation);
        let to = keys.filter_map(|key| match self.target(remote, key.as_str()) {
            Target::Cluster(to) => Some((remote.holder, to)),
            Target::Itself | Target::Elsewhere(_) | Target::Unseen => None,
        });
        to.collect()
    }

    /// Whether clusters of a cluster's mesh share a name, or have the one that every cluster has which
    /// nobody names: then that is what is to be mended, and no key can be right.
    pub fn has_unsure_names(&self, of: ClusterId) -> bool {
        let mesh = self.mesh.cluster(of).mesh;
        let mut names = self.named.range((mesh, "")..).take_while(|((m, _), _)| *m == mesh);
        names.any(|((_, name), clusters)| clusters.len() > 1 || *name == DEFAULT_NAME)
    }

    /// Whether a cluster has a secret for another, whatever may be wrong with it.
    pub fn leads_to(&self, from: ClusterId, to: ClusterId) -> bool {
        self.pairs.contains(&(from, to))
    }

    /// Whether another cluster than this one has a secret with that key.
    pub fn is_key_of_others(&self, key: &str, holder: ClusterId) -> bool {
        self.holders.get(key).is_some_and(|all| all.iter().any(|id| *id != holder))
    }

    /// Clusters of the mesh that a cluster has no secret for.
    pub fn unread(&self, from: ClusterId) -> Vec<&'m Cluster> {
        let is_member = |c: &&Cluster| c.role().is_some() || c.config.is_some();
        let others = self.mesh.peers(from).filter(|c| c.id != from).filter(is_member);
        others.filter(|c| !self.leads_to(from, c.id)).collect()
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// All remote secrets.
    pub fn remotes(&self) -> &[Remote<'m>] {
        &self.remotes
    }

    /// Those of one cluster.
    pub fn of_cluster(&self, holder: ClusterId) -> &[Remote<'m>] {
        let start = self.remotes.partition_point(|r| r.holder < holder);
        let end = self.remotes.partition_point(|r| r.holder <= holder);
        &self.remotes[start..end]
    }

    /// Each text once, with all clusters that have it.
    pub fn texts(&self) -> Vec<(&Remote<'m>, Vec<ClusterId>)> {
        let mut found: Vec<(&Remote<'m>, Vec<ClusterId>)> = Vec::new();
        let mut sorted: Vec<&Remote<'m>> = self.remotes.iter().collect();
        sorted.sort_by_key(|r| (r.meta.span, &r.meta.layers, r.holder));
        for remote in sorted {
            match found.last_mut() {
                Some((last, holders)) if last.meta.is_same_text(remote.meta) => {
                    holders.push(remote.holder);
                }
                _ => found.push((remote, vec![remote.holder])),
            }
        }
        found
    }

    /// The namespaces in which a cluster's istiod runs.
    pub fn namespaces(&self, holder: ClusterId) -> Vec<&'m str> {
        let facts = &self.mesh.cluster(holder).facts;
        let told: Vec<&str> = facts.system_namespace.iter().map(|f| f.value.as_str()).collect();
        if told.is_empty() { vec![facts.system_namespace()] } else { told }
    }

    /// Whether a secret stands in a namespace that the cluster's istiod does not watch.
    pub fn is_misplaced(&self, remote: &Remote<'_>) -> bool {
        remote.has_namespace
            && !is_placeholder(remote.namespace)
            && !self.namespaces(remote.holder).contains(&remote.namespace)
    }

    /// Whether istiod may read a secret: nothing about its label and namespace speaks against it.
    pub fn is_read(&self, remote: &Remote<'_>) -> bool {
        matches!(remote.label, Label::Right | Label::Unseen) && !self.is_misplaced(remote)
    }

    /// The cluster that a key of a secret names.
    pub fn target(&self, remote: &Remote<'m>, key: &'m str) -> Target<'m> {
        let holder = self.mesh.cluster(remote.holder);
        if is_placeholder(key) {
            return Target::Unseen;
        }
        let named = self.named.get(&(holder.mesh, key)).map_or(&[][..], Vec::as_slice);
        if let Some(found) = named.iter().find(|id| **id != holder.id) {
            return Target::Cluster(*found);
        }
        if !named.is_empty() && self.mesh.knows_name(holder) {
            return Target::Itself;
        }
        let unnamed = self.unnamed.get(&holder.mesh).map_or(&[][..], Vec::as_slice);
        if unnamed.iter().any(|id| *id != holder.id) {
            return Target::Unseen;
        }
        Target::Elsewhere(key)
    }

    /// The ways to prove oneself that a cluster's istiod is told to allow; `None` where nothing of its
    /// environment is in the input.
    pub fn allowed(&self, holder: ClusterId) -> Option<Vec<&'m str>> {
        let cluster = self.mesh.cluster(holder);
        let told = cluster.facts.istiod_env("PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS");
        match told {
            Some(told) if is_placeholder(told) => None,
            Some(told) => Some(told.split(',').map(str::trim).collect()),
            None => (cluster.role() == Some(Role::Primary) && !cluster.facts.role.is_empty())
                .then(Vec::new),
        }
    }
}

/// The names of a cluster: what its control plane tells goes before the name of a folder.
fn names(cluster: &Cluster) -> BTreeSet<&str> {
    match cluster.istio_name() {
        Some(told) if !is_placeholder(told) => {
            cluster.facts.name.iter().map(|fact| fact.value.as_str()).collect()
        }
        _ => BTreeSet::from([cluster.name.as_str()]),
    }
}

impl<'m> Remote<'m> {
    fn plain(secret: &'m In<Secret>) -> Option<Self> {
        let meta = &secret.meta;
        let held = &secret.kubeconfigs;
        let annotation = meta.annotation(CLUSTER_ANNOTATION);
        let is_unread = meta.unread.iter().any(|path| path.contains(REMOTE_LABEL));
        let label = Label::of(&meta.labels, is_unread);
        let is_meant = label != Label::Absent
            || meta.name.starts_with(REMOTE_PREFIX)
            || annotation.is_some()
            || held.iter().any(Held::is_for_reader);
        // An external control plane's own Secret has no label.
        let is_config = meta.name.as_str() == CONFIG_SECRET && label == Label::Absent;
        (is_meant && !is_config).then(|| Self {
            holder: secret.cluster,
            namespace: &secret.namespace,
            has_namespace: secret.has_namespace(),
            meta,
            at: secret.named_at(),
            maker: Maker::Nobody,
            label,
            annotation,
            entries: held.iter().map(|h| Entry { key: &h.key, held: Some(h) }).collect(),
        })
    }

    fn made(made: &'m In<OpaqueSecret>) -> Option<Self> {
        let meta = &made.meta;
        let maker = match meta.kind.as_str() {
            "SealedSecret" => Maker::Sealed,
            "Certificate" => return None,
            _ => Maker::External,
        };
        let name = made.target.name.as_ref().unwrap_or(&meta.name);
        let annotation = made.cluster_annotation();
        let told = Label::of(&meta.labels, false);
        // `templateFrom` may be for labels too.
        let is_plain = !made.target.template.is_told();
        let is_open = is_plain || !made.target.template.template_from.is_empty();
        let label = match Label::of(made.made_with().0, false) {
            Label::Absent if maker == Maker::External && is_open => Label::Unseen,
            label => label,
        };
        let is_meant = name.starts_with(REMOTE_PREFIX)
            || annotation.is_some()
            || told == Label::Right
            || matches!(label, Label::Right | Label::Wrong(_));
        is_meant.then(|| Self {
            holder: made.cluster,
            namespace: &made.namespace,
            has_namespace: made.has_namespace(),
            meta,
            at: made.named_at(),
            maker,
            label,
            annotation,
            entries: made.keys().map(|key| Entry { key, held: None }).collect(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &'m str {
        self.meta.name.as_str()
    }

    /// The entries whose text is in the input.
    pub fn held(&self) -> impl Iterator<Item = &'m Held> {
        self.entries.iter().filter_map(|entry| entry.held)
    }

    /// Whether it may have keys that are not in the input.
    pub fn may_have_more(&self) -> bool {
        self.maker == Maker::External && self.entries.is_empty()
    }
}

impl<'m> Label<'m> {
    fn of(labels: &'m Entries<Text>, is_unread: bool) -> Self {
        match labels.get(REMOTE_LABEL) {
            Some(told) if told.as_str() == "true" => Self::Right,
            Some(told) if is_placeholder(told) => Self::Unseen,
            Some(told) => Self::Wrong(told),
            None if is_unread => Self::Unseen,
            None => Self::Absent,
        }
    }
}

impl Held {
    /// Whether it is a kubeconfig of the account that Istio's charts make for this.
    fn is_for_reader(&self) -> bool {
        let Content::Kubeconfig(config) = &self.content else { return false };
        config.users.iter().any(|user| {
            let claims = user.it.token.as_ref().and_then(|token| token.claims.as_ref());
            let subject = claims.and_then(|c| c.sub.as_deref()).unwrap_or_default();
            subject.ends_with(":istio-reader-service-account")
        })
    }
}
