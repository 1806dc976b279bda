//! `mesh-lint graph`: the mesh for eyes and programs.

use std::io::Write;

use super::args::{Graph as Args, GraphFormat};
use super::{CLEAN, Failed, NOTHING, input};
use crate::lint;
use crate::mesh::{Graph, short};

/// Prints the graph, narrowed to a host or a cluster.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failed> {
    let read = input::read(&args.reading)?;
    let mesh = lint::build(&read.sources, &read.config).mesh;
    let mut graph = mesh.graph();
    if let Some(cluster) = &args.only {
        let names = || mesh.clusters().iter().map(|c| c.name.as_str());
        if !names().any(|name| name == cluster) {
            return Err(Failed::unknown("cluster", cluster, names()));
        }
        graph = graph.narrowed_to_cluster(cluster);
    }
    if let Some(host) = &args.host {
        graph = graph.narrowed_to_host(host);
        if !graph.things().any(|(_, t)| t.kind() == "host") {
            let names = mesh.hosts().map(|host| short(host.name));
            return Err(Failed::unknown("host", host, names));
        }
    }
    let text = match args.format {
        GraphFormat::Mermaid => mermaid(&graph),
        GraphFormat::Dot => graph.dot(),
        GraphFormat::Json => json(&graph)?,
    };
    out.write_all(text.as_bytes())?;
    Ok(if graph.things().next().is_some() { CLEAN } else { NOTHING })
}

/// Mermaid, with shapes by kind. Names are quoted, so that no manifest can break out of them.
fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    for (i, thing) in graph.things() {
        let (open, close) = match thing.kind() {
            "cluster" => ("[[", "]]"),
            "network" => ("{{", "}}"),
            "locality" => ("[/", "/]"),
            "host" => ("([", "])"),
            "subset" => ("(", ")"),
            _ => ("[", "]"),
        };
        let name: String = thing.to_string().chars().map(escaped).collect();
        text.push_str(&format!("  n{i}{open}\"{name}\"{close}\n"));
    }
    for (from, relation, to) in graph.relations() {
        text.push_str(&format!("  n{from} -->|{relation}| n{to}\n"));
    }
    text
}

pub(super) fn escaped(c: char) -> String {
    match c {
        '"' => "#quot;".to_owned(),
        '<' => "#lt;".to_owned(),
        '>' => "#gt;".to_owned(),
        '#' => "#35;".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    }
}

fn json(graph: &Graph) -> Result<String, Failed> {
    let nodes: Vec<_> = graph.things().map(|(_, thing)| thing).collect();
    let edges: Vec<_> = graph
        .relations()
        .map(|(from, relation, to)| serde_json::json!({"from": from, "relation": relation, "to": to}))
        .collect();
    let whole = serde_json::json!({"version": 1, "nodes": nodes, "edges": edges});
    let text = serde_json::to_string_pretty(&whole).map_err(|e| Failed(e.to_string()))?;
    Ok(text + "\n")
}
