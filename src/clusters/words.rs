//! What names of folders and files say: clusters, environments, what all share, parts of Istio.

/// Folders whose children are clusters.
pub(super) fn holds_clusters(folder: &str) -> bool {
    matches!(folder, "clusters" | "cluster")
}

/// Folders whose children are often clusters: something else has to say so too.
pub(super) fn may_hold_clusters(folder: &str) -> bool {
    let words = [
        "regions",
        "sites",
        "fleet",
        "gitops",
        "overlays",
        "envs",
        "environments",
        "overlay",
        "certs",
    ];
    words.contains(&folder)
}

/// Folders that all clusters share.
pub(super) fn is_shared(folder: &str) -> bool {
    let words =
        ["base", "bases", "common", "shared", "all", "global", "components", "templates", "lib"];
    words.contains(&folder.trim_start_matches(['_', '.']))
}

/// Folders that are never a cluster: what all share, parts of an installation, versions of one thing.
pub(super) fn is_no_cluster(folder: &str) -> bool {
    let others = [
        "component",
        "charts",
        "chart",
        "crds",
        "crd",
        "default",
        "defaults",
        "root",
        "config",
        "manifests",
        "resources",
        "apps",
        "app",
        "infrastructure",
        "infra",
        "platform",
        "addons",
        "flux-system",
        "argocd",
        "namespaces",
        "scripts",
        "policies",
        "mesh",
        "istio-system",
    ];
    let parts = [
        "istio",
        "istiod",
        "pilot",
        "cni",
        "ztunnel",
        "gateway",
        "ingress",
        "egress",
        "ingressgateway",
        "egressgateway",
        "eastwest",
        "eastwestgateway",
        "operator",
        "control-plane",
        "controlplane",
    ];
    let versions =
        ["canary", "stable", "blue", "green", "old", "new", "before", "after", "current", "next"];
    let folder = folder.trim_start_matches(['_', '.']);
    let short = folder.strip_prefix("istio-").unwrap_or(folder);
    let singular = short.strip_suffix('s').unwrap_or(short);
    let is_version = |name: &str| {
        let rest = name.trim_start_matches("rev").trim_start_matches(['v', '-', '_']);
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_'))
    };
    is_shared(folder)
        || others.contains(&folder)
        || [folder, short, singular].iter().any(|f| parts.contains(f) || versions.contains(f))
        || is_version(folder)
        || is_version(short)
}

/// The environment a name speaks of: `prod` of `prod`, `prod-east` and `clusters-prod2`.
pub(super) fn environment(name: &str) -> Option<&'static str> {
    const WORDS: &[(&str, &[&str])] = &[
        ("dev", &["dev", "devel", "develop", "development"]),
        ("test", &["test", "testing", "tst"]),
        ("qa", &["qa"]),
        ("uat", &["uat"]),
        ("int", &["integration", "int"]),
        ("preview", &["preview", "sandbox", "demo", "local"]),
        ("staging", &["staging", "stage", "stg"]),
        ("preprod", &["preprod", "preproduction"]),
        ("nonprod", &["nonprod", "nonproduction"]),
        ("perf", &["perf", "performance", "load"]),
        ("prod", &["prod", "production", "prd", "live"]),
    ];
    let name = name.to_ascii_lowercase();
    let whole = name.replace(['-', '_', '.'], "");
    let word = |part: &str| {
        let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
        WORDS.iter().find(|(_, all)| all.contains(&part)).map(|(word, _)| *word)
    };
    word(&whole).or_else(|| {
        let joined = name.replace("pre-prod", "preprod").replace("non-prod", "nonprod");
        joined.split(['-', '_', '.']).find_map(word)
    })
}

/// Whether a name looks like that of a cluster: `cluster1`, `east`, `us-east-1`, `eu-cluster`, `remote`.
pub(super) fn tells_a_cluster(name: &str) -> bool {
    let by_words = || name.split(['-', '_', '.']).any(tells);
    is_region(name) || !is_both_ways(name) && !is_zone(name) && by_words()
}

/// `us-east-1a`, `europe-west1-b`: a part of a region.
fn is_zone(name: &str) -> bool {
    let region = name.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(name);
    region.len() < name.len() && is_region(region.trim_end_matches('-'))
}

/// The gateway between networks is no cluster.
fn is_both_ways(name: &str) -> bool {
    name.contains("east-west") || name.contains("east_west")
}

fn tells(word: &str) -> bool {
    let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = bare.len() < word.len();
    let directions = ["east", "west", "north", "south", "central"];
    let is_direction = directions.iter().any(|d| {
        let rest = bare.strip_prefix(d).or_else(|| bare.strip_suffix(d));
        // `southcentral`, `eastus`, `westeurope`, but not `westminster` or `eastwestgateway`.
        rest.is_some_and(|r| r.is_empty() || directions.contains(&r) || REGIONS.contains(&r))
    });
    is_direction && bare != "eastwest"
        || matches!(bare, "cluster" | "primary" | "remote")
        || numbered
            && matches!(bare, "dc" | "site" | "region" | "c" | "k" | "kind" | "mesh" | "k8s")
}

const REGIONS: &[&str] =
    &["us", "eu", "europe", "asia", "uk", "india", "japan", "australia", "canada", "america"];

/// `us-east-1`, `europe-west1`; not a zone as `us-east-1a` or `europe-west1-b`.
fn is_region(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((first, rest)) = name.split_once('-') else { return false };
    let area =
        REGIONS.contains(&first) || matches!(first, "ap" | "sa" | "ca" | "af" | "me" | "il" | "cn");
    let place = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    area && place.len() < rest.len()
        && place.trim_end_matches('-').chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The word of a file's name that tells a cluster, and the name with `*` in its place:
/// `values-cluster1` is `cluster1` of `values-*`.
pub(super) fn token(stem: &str) -> Option<(String, &str)> {
    let pattern = |start: usize, end: usize| format!("{}*{}", &stem[..start], &stem[end..]);
    let mut start = 0;
    let mut found: Option<(usize, usize)> = None;
    for word in stem.split(['-', '_', '.']) {
        let end = start + word.len();
        if tells(word) {
            found = match found {
                // `cluster-east`, `us-east` and `primary-1` are one word; `east-to-west` tells nothing.
                Some((from, to)) if to + 1 == start => Some((from, end)),
                Some(_) => return None,
                None => Some((start, end)),
            };
        }
        start = end + 1;
    }
    let (mut from, mut to) = found?;
    let word = &stem[from..to];
    if is_both_ways(word) {
        return None;
    }
    if word == "cluster" || word == "region" {
        // `cluster-a`, `cluster_2`: the next word belongs to it; `region-one`.
        let rest = stem.get(to + 1..)?;
        let next = rest.split(['-', '_', '.']).next().filter(|n| n.len() <= 8 && !n.is_empty())?;
        to += 1 + next.len();
    } else if from > 0 {
        // `us-east1`, `eu-west-1`.
        let before = stem[..from - 1].rsplit(['-', '_', '.']).next().unwrap_or_default();
        if REGIONS.contains(&before) {
            from -= before.len() + 1;
        }
        let next = stem
            .get(to + 1..)
            .unwrap_or_default()
            .split(['-', '_', '.'])
            .next()
            .unwrap_or_default();
        if (1..=2).contains(&next.len()) && next.bytes().all(|b| b.is_ascii_digit()) {
            to += 1 + next.len();
        }
    }
    Some((pattern(from, to), &stem[from..to]))
}

/// A name without what only separates its words, in small letters.
pub fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// A name without what is no part of it: `east` of `cluster-east`, `east-cluster` and `East`.
pub(super) fn core(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let is_word = |rest: &&str| !rest.is_empty() && !rest.chars().all(|c| c.is_ascii_digit());
    let short =
        name.strip_prefix("cluster-").or_else(|| name.strip_suffix("-cluster")).filter(is_word);
    short.unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{core, environment, is_no_cluster, tells_a_cluster, token};

    #[test]
    fn names_of_clusters_are_told_from_others() {
        for name in [
            "east",
            "cluster1",
            "cluster-east",
            "us-east-1",
            "europe-west1",
            "southcentral",
            "eu-cluster",
            "remote",
        ] {
            assert!(tells_a_cluster(name), "{name}");
        }
        for name in
            ["cart", "eastwestgateway", "us-east-1a", "westminster", "v2", "istio", "clusterrole"]
        {
            assert!(!tells_a_cluster(name), "{name}");
        }
    }

    #[test]
    fn environments() {
        for (name, word) in [
            ("prod-east", "prod"),
            ("production", "prod"),
            ("pre-prod", "preprod"),
            ("dev2", "dev"),
        ] {
            assert_eq!(environment(name), Some(word));
        }
        assert_eq!(environment("product-catalog"), None);
    }

    #[test]
    fn tokens_of_files() {
        assert_eq!(token("values-cluster1"), Some(("values-*".to_owned(), "cluster1")));
        assert_eq!(token("cluster-east"), Some(("*".to_owned(), "cluster-east")));
        assert_eq!(token("cluster-a"), Some(("*".to_owned(), "cluster-a")));
        assert_eq!(token("istio-us-east-1"), Some(("istio-*".to_owned(), "us-east-1")));
        assert_eq!(token("east-west-gateway"), None);
        assert_eq!(token("gateway"), None);
    }

    #[test]
    fn what_is_no_cluster() {
        for name in ["base", "_base", "istio-ingress", "gateways", "v1.20", "1-20-3", "rev-1-20"] {
            assert!(is_no_cluster(name), "{name}");
        }
        assert!(!is_no_cluster("east") && !is_no_cluster("cluster2"));
        assert_eq!(core("cluster-east"), "east");
        assert_eq!(core("cluster-2"), "cluster-2");
    }
}
