//! The graph in its three formats, whole and narrowed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

fn graph(args: &[&str]) -> (Option<i32>, String) {
    let args = [&["graph", "fixtures/broken"], args].concat();
    let done = program::run(env!("CARGO_MANIFEST_DIR"), &args);
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[test]
fn json_has_every_sort_of_node_and_edges_between_them() {
    let (code, text) = graph(&["--format", "json"]);
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let nodes = value["nodes"].as_array().unwrap();
    for kind in ["cluster", "network", "locality", "host", "subset", "workload"] {
        assert!(nodes.iter().any(|n| n["kind"] == kind), "{kind}");
    }
    for edge in value["edges"].as_array().unwrap() {
        let end = |name: &str| usize::try_from(edge[name].as_u64().unwrap()).unwrap();
        assert!(end("from") < nodes.len() && end("to") < nodes.len());
    }
}

#[test]
fn it_is_narrowed_to_a_host_and_a_cluster() {
    let (_, host) = graph(&["--host", "cart.shop"]);
    assert!(
        host.starts_with("flowchart LR\n") && host.contains("v1-east") && !host.contains("payment")
    );
    let (_, cluster) = graph(&["--only", "west"]);
    assert!(cluster.contains("us-west-2") && !cluster.contains("us-east-1"));
    let (_, dot) = graph(&["--format", "dot"]);
    assert!(dot.starts_with("digraph {"));
}

#[test]
fn what_is_not_there_cannot_be_shown() {
    assert_eq!(graph(&["--host", "nobody"]).0, Some(2));
    assert_eq!(graph(&["--only", "south"]).0, Some(2));
}
