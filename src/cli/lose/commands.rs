//! The commands that take a lost cluster out of the others.

use crate::access::Maker;
use crate::outage::{Plane, Sight, Way};

/// A command, and what more is to be known of it.
pub(super) struct Command {
    /// What is typed.
    pub(super) text: String,
    /// The same with the cluster's name left out, for those that differ in it alone.
    pub(super) pattern: String,
    /// What holds it up, or brings it back.
    pub(super) note: Option<&'static str>,
}

/// The ways by which a control plane reads the lost cluster.
pub(super) fn ways<'o, 'm>(plane: &'o Plane<'m>) -> &'o [Way<'m>] {
    match &plane.sight {
        Sight::By(ways) => ways,
        Sight::Not | Sight::Unseen => &[],
    }
}

/// What takes a secret away from the control plane that reads it; `secret` is what nobody has seen.
pub(super) fn command(cluster: &str, way: &Way<'_>) -> Command {
    let with = |context: &str| {
        let namespace = quoted(way.remote.namespace);
        format!("kubectl --context {context} -n {namespace} {}", deed(way))
    };
    Command { text: with(&quoted(cluster)), pattern: with("\"$c\""), note: note(way) }
}

/// Where no secret is in the input: what `istioctl create-remote-secret` calls it.
pub(super) fn usual(cluster: &str, namespace: &str, lost: &str) -> Command {
    let with = |context: &str| {
        let (namespace, secret) =
            (quoted(namespace), quoted(&format!("istio-remote-secret-{lost}")));
        format!(
            "kubectl --context {context} -n {namespace} delete --ignore-not-found secret/{secret}"
        )
    };
    let note = "the name is the usual one: see which Secret has the label istio/multiCluster=true";
    Command { text: with(&quoted(cluster)), pattern: with("\"$c\""), note: Some(note) }
}

fn deed(way: &Way<'_>) -> String {
    let remote = &way.remote;
    let (name, kind) = (quoted(remote.name()), remote.meta.kind.to_ascii_lowercase());
    let key = way.key.filter(|_| way.is_shared).map(|key| key.as_str());
    match (remote.maker, key) {
        (Maker::Nobody, None) => format!("delete secret/{name}"),
        (Maker::Nobody, Some(key)) => {
            format!("patch secret/{name} --type=json -p {}", drop("data", key))
        }
        (Maker::Sealed, Some(key)) => {
            format!("patch sealedsecret/{name} --type=json -p {}", drop("spec/encryptedData", key))
        }
        (Maker::Sealed | Maker::External, _) => {
            format!("delete --ignore-not-found {kind}/{name} secret/{name}")
        }
    }
}

fn drop(path: &str, key: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    quoted(&format!(r#"[{{"op":"remove","path":"/{path}/{key}"}}]"#))
}

fn note(way: &Way<'_>) -> Option<&'static str> {
    (way.is_shared && way.remote.maker == Maker::External)
        .then_some("it has keys of other clusters too: those are gone with it")
}

/// A word as a shell takes it, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('-') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{drop, quoted};

    #[test]
    fn a_shell_takes_names_as_they_are() {
        assert_eq!(quoted("west"), "west");
        assert_eq!(quoted("a; rm -rf /"), "'a; rm -rf /'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("--all"), "'--all'");
        assert_eq!(drop("data", "west"), r#"'[{"op":"remove","path":"/data/west"}]'"#);
    }
}
