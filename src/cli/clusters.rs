//! `mesh-lint clusters`: the clusters as understood, and where each fact stands.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::args::Clusters;
use super::show;
use super::{CLEAN, Failed, NOTHING, input};
use crate::clusters::{Cluster, Fact, Kinds, Role};
use crate::lint::{self, Model};
use crate::source::{Sources, Span};

/// Prints what is known of each cluster.
pub(super) fn run(args: &Clusters, out: &mut dyn Write) -> Result<u8, Failed> {
    let mut read = input::read(&args.reading)?;
    read.config.now = args.now.unwrap_or_else(super::time::now);
    if let Some(name) = &args.lose {
        return super::lose::run(name, &read.sources, &read.config, args.writing.is_json(), out);
    }
    if args.reach {
        return super::reach::run(&read.sources, &read.config, args.writing.is_json(), out);
    }
    let model = lint::build(&read.sources, &read.config);
    let shown = Shown { model: &model, sources: &read.sources };
    if args.writing.is_json() {
        show::json(&shown.json(), out)?;
    } else {
        show::text(|table| shown.table(args.files, table), out)?;
    }
    Ok(if model.placed.is_empty() { NOTHING } else { CLEAN })
}

struct Shown<'s> {
    model: &'s Model,
    sources: &'s Sources,
}

impl Shown<'_> {
    fn table(&self, files: bool, out: &mut dyn Write) -> io::Result<()> {
        let mesh = &self.model.mesh;
        let several = mesh.meshes().len() > 1;
        for (cluster, counted) in mesh.clusters().iter().zip(self.model.summary()) {
            writeln!(out, "{} ({})", cluster.name, cluster.origin)?;
            let mut row = |name: &str, value: &str| writeln!(out, "  {name:<12} {value}");
            row("input", &format!("{} resources in {} files", counted.resources, counted.files))?;
            if several {
                let peers: Vec<&str> = mesh.peers(cluster.id).map(|c| c.name.as_str()).collect();
                row("mesh of", &peers.join(", "))?;
            }
            for (name, facts) in facts(cluster) {
                for fact in facts {
                    let told = format!(
                        "{} ({}, {})",
                        fact.value,
                        self.place(fact.value.span),
                        fact.origin
                    );
                    row(name, &told)?;
                }
            }
            if let Some((role, span)) = role(cluster) {
                row("role", &format!("{role} ({})", self.place(span)))?;
            }
            if let Some(host) = cluster.hosted_in {
                row("hosted in", mesh.cluster_name(host))?;
            }
            let guests: Vec<&str> = mesh.hosted_by(cluster.id).map(|c| c.name.as_str()).collect();
            if !guests.is_empty() {
                row("hosts", &format!("control plane of {}", guests.join(", ")))?;
            }
            let zones: Vec<String> =
                mesh.places(cluster.id).iter().map(|p| p.locality.to_string()).collect();
            row(
                "localities",
                &if zones.is_empty() { "unknown".to_owned() } else { zones.join(", ") },
            )?;
            row("complete", &self.complete(cluster))?;
            for (what, places) in self.supplies(cluster) {
                row("may have", &format!("{what} ({})", places.join(", ")))?;
            }
            for told in cluster.contradictions() {
                let values: Vec<String> = told
                    .facts
                    .iter()
                    .map(|f| format!("{} ({})", f.value, self.place(f.value.span)))
                    .collect();
                row("CONTRADICTS", &format!("{}: {}", told.what, values.join(" and ")))?;
            }
            writeln!(out)?;
        }
        self.files(files, out)
    }

    /// Where something stands, for people.
    fn place(&self, span: Span) -> String {
        self.sources.line_of(span).unwrap_or_else(|| "configuration".to_owned())
    }

    /// Of which kinds others of a namespace would have been seen.
    fn complete(&self, cluster: &Cluster) -> String {
        if cluster.is_complete() {
            return "everything, by the configuration".to_owned();
        }
        let kinds = self.model.mesh.seen_kinds(cluster.id);
        let kinds: Vec<String> = kinds
            .into_iter()
            .map(|(kind, namespaces)| {
                let names: Vec<&str> = namespaces.into_iter().filter(|n| !n.is_empty()).collect();
                match names.len() {
                    0 => kind.to_owned(),
                    1..=4 => format!("{kind} in {}", names.join("+")),
                    n => format!("{kind} in {n} namespaces"),
                }
            })
            .collect();
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join("; ") }
    }

    /// What brings objects that are not in the input, so that nothing of the kind is known to be missing.
    fn supplies(&self, cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let all = self.model.mesh.supplies(cluster.id).iter().filter(|_| !cluster.is_complete());
        for supply in all {
            let namespace = supply.namespace.as_deref();
            let place = namespace.map_or("in any namespace".to_owned(), |ns| format!("in {ns}"));
            let what = match &supply.kinds {
                Kinds::Any => "anything".to_owned(),
                Kinds::Only(kinds) => {
                    let first: Vec<&str> = kinds.iter().take(2).map(String::as_str).collect();
                    let more = match kinds.len().saturating_sub(2) {
                        0 => String::new(),
                        n => format!(" and {n} other kinds"),
                    };
                    format!("{}{more}", first.join(", "))
                }
            };
            let what = format!("{what} {place}, by {}", supply.what);
            found.entry(what).or_default().push(self.place(supply.at));
        }
        found
    }

    fn files(&self, all: bool, out: &mut dyn Write) -> io::Result<()> {
        let placed = &self.model.placed;
        let shared = placed.iter().filter(|p| p.clusters.len() > 1).count();
        let homeless = placed.iter().filter(|p| p.clusters.is_empty()).count();
        writeln!(out, "{} files: {shared} of several clusters, {homeless} of none", placed.len())?;
        for path in &self.model.missing {
            writeln!(
                out,
                "{}: `{path}` cannot be followed within the input",
                self.place(path.span)
            )?;
        }
        if !all {
            return Ok(());
        }
        for file in placed {
            let name = &self.sources.file(file.file).name;
            let clusters: Vec<&str> =
                file.clusters.iter().map(|c| self.model.mesh.cluster_name(*c)).collect();
            let clusters = if clusters.is_empty() { "-".to_owned() } else { clusters.join(", ") };
            writeln!(out, "{name}: {clusters} ({})", file.origin)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mesh = &self.model.mesh;
        let clusters = mesh.clusters().iter().zip(self.model.summary());
        let clusters: Vec<Value> = clusters
            .map(|(cluster, counted)| {
                let all: Vec<Value> = facts(cluster)
                    .into_iter()
                    .flat_map(|(what, facts)| facts.iter().map(move |fact| (what, fact)))
                    .map(|(what, fact)| self.fact(what, fact))
                    .collect();
                let contradictions: Vec<&str> =
                    cluster.contradictions().iter().map(|c| c.what).collect();
                let places = mesh.places(cluster.id).iter();
                json!({
                    "name": cluster.name,
                    "origin": cluster.origin.to_string(),
                    "mesh": cluster.mesh,
                    "role": cluster.role().map(|r| r.to_string()),
                    "hostedIn": cluster.hosted_in.map(|id| mesh.cluster_name(id)),
                    "files": counted.files,
                    "resources": counted.resources,
                    "facts": all,
                    "localities": places.map(|p| p.locality.to_string()).collect::<Vec<_>>(),
                    "complete": cluster.is_complete(),
                    "seen": mesh.seen_kinds(cluster.id),
                    "supplies": self.supplies(cluster),
                    "contradictions": contradictions,
                })
            })
            .collect();
        let files: Vec<Value> = self
            .model
            .placed
            .iter()
            .map(|p| {
                let names: Vec<&str> = p.clusters.iter().map(|c| mesh.cluster_name(*c)).collect();
                json!({"file": self.sources.file(p.file).name, "clusters": names, "origin": p.origin.to_string()})
            })
            .collect();
        json!({"version": 1, "clusters": clusters, "files": files})
    }

    fn fact(&self, what: &str, fact: &Fact) -> Value {
        let place = self.sources.place(fact.value.span.start);
        let file = self.sources.file_at(fact.value.span.start).map(|(_, f)| f.name.as_str());
        json!({
            "what": what,
            "value": fact.value.value,
            "origin": fact.origin.to_string(),
            "file": file,
            "line": place.map(|p| p.line),
        })
    }
}

/// What is told of a cluster, under the names that people know.
fn facts(cluster: &Cluster) -> Vec<(&'static str, &[Fact])> {
    let facts = &cluster.facts;
    vec![
        ("name", &facts.name),
        ("network", &facts.network),
        ("mesh ID", &facts.mesh_id),
        ("trust domain", &facts.trust_domain),
        ("version", &facts.version),
        ("revision", &facts.revision),
        ("served by", &facts.served_by),
        ("CA", &facts.foreign_ca),
    ]
}

/// The role that counts, and what tells it.
fn role(cluster: &Cluster) -> Option<(Role, Span)> {
    let role = cluster.role()?;
    let told = cluster.facts.role.iter().find(|(r, _)| *r == role);
    Some((role, told.map_or(Span::default(), |(_, span)| *span)))
}
