//! Checks of a DestinationRule, and of the policies that others share with it.

use super::Subject;
use super::duration::{self, MILLISECOND};
use super::fault::Faults;
use super::look::{Look, known_number, known_text};
use super::policies::{deprecated_word, selector};
use super::visibility;
use crate::yaml::{Scalar, Shape, Value};

/// Labels by which failover by region is done already.
const TOPOLOGY: &[&str] =
    &["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];
/// The largest table of Maglev.
const MAX_TABLE: i64 = 5_000_011;

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    visibility::check(subject, false, faults);
    if spec.field("workloadSelector").is_some() {
        selector(spec, "workloadSelector", "matchLabels", faults);
        visibility::only_own(subject, faults);
    }
    let subsets = spec.list("subsets").filter_map(|subset| subset.field("trafficPolicy"));
    for policy in spec.field("trafficPolicy").into_iter().chain(subsets) {
        traffic_policy(policy, subject.namespace, faults);
    }
}

/// What a policy may set.
const PARTS: &[&str] = &[
    "outlierDetection",
    "connectionPool",
    "loadBalancer",
    "tls",
    "portLevelSettings",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
];

/// Whether a block has no fields but known ones: of others it is said already that they are unknown.
fn has_only(block: Value<'_>, is_known: impl Fn(&str) -> bool) -> bool {
    block.entries().all(|(key, _)| key.text().is_none_or(|key| is_known(&key)))
}

fn traffic_policy(policy: Value<'_>, namespace: &str, faults: &mut Faults<'_>) {
    if policy.shape() != Shape::Mapping {
        return;
    }
    if PARTS.iter().all(|key| policy.set(key).is_none())
        && has_only(policy, |key| PARTS.contains(&key))
    {
        faults.invalid(policy, "sets nothing", "set a part of it, or leave it out");
    }
    if let (Some(tunnel), Some(protocol)) = (policy.field("tunnel"), policy.field("proxyProtocol"))
    {
        let help = "keep either `tunnel` or `proxyProtocol`";
        faults.invalid(protocol, "stands beside `tunnel`, which excludes it", help).also =
            Some((tunnel.span(), "this excludes it"));
    }
    settings(policy, namespace, faults);
    for port in policy.list("portLevelSettings").filter(|it| it.shape() == Shape::Mapping) {
        let parts = ["outlierDetection", "connectionPool", "loadBalancer", "tls"];
        let is_told = |key: &str| key == "port" || parts.contains(&key);
        if parts.into_iter().all(|key| port.field(key).is_none()) && has_only(port, is_told) {
            faults.invalid(port, "sets nothing", "set a part of it, or leave it out");
        }
        settings(port, namespace, faults);
    }
}

/// What a policy and the policy of a port share.
fn settings(policy: Value<'_>, namespace: &str, faults: &mut Faults<'_>) {
    if let Some(outlier) = policy.field("outlierDetection") {
        outlier_detection(outlier, faults);
    }
    if let Some(pool) = policy.field("connectionPool") {
        connection_pool(pool, faults);
    }
    if let Some(balancer) = policy.field("loadBalancer") {
        load_balancer(balancer, faults);
    }
    if let Some(tls) = policy.field("tls") {
        client_tls(tls, Some(namespace), faults);
    }
}

pub(super) fn outlier_detection(outlier: Value<'_>, faults: &mut Faults<'_>) {
    let local = outlier.field("consecutiveLocalOriginFailures");
    if let Some(value) = local.filter(|it| known_number(*it).is_some_and(|number| number > 0))
        && outlier
            .field("splitExternalLocalOriginErrors")
            .is_none_or(|it| it.scalar() == Some(Scalar::Bool(false)))
    {
        let help = "set `splitExternalLocalOriginErrors: true`";
        faults.invalid(value, "counts errors that are not told apart", help);
    }
}

pub(super) fn connection_pool(pool: Value<'_>, faults: &mut Faults<'_>) {
    if pool.shape() != Shape::Mapping {
        return;
    }
    let (http, tcp) = (pool.field("http"), pool.field("tcp"));
    if http.is_none() && tcp.is_none() && has_only(pool, |key| matches!(key, "http" | "tcp")) {
        faults.invalid(pool, "sets nothing", "add `http` or `tcp`, or leave it out");
    }
    if let Some(http) = http
        && http.is_true("useClientProtocol")
        && http.text_of("h2UpgradePolicy").is_some_and(|policy| policy == "UPGRADE")
    {
        let value = http.field("h2UpgradePolicy").unwrap_or(http);
        let help = "leave it out, or `useClientProtocol`";
        faults.invalid(value, "upgrades what is to keep the client's protocol", help);
    }
    // `0s` switches it off, so it is not held to be at least 1ms as others are.
    if let Some(idle) = tcp.and_then(|tcp| tcp.field("idleTimeout"))
        && let Some(time) = known_text(idle).and_then(|text| duration::nanoseconds(&text))
        && !(-MILLISECOND / 2..MILLISECOND / 2).contains(&time)
        && (time < MILLISECOND || time % MILLISECOND != 0)
    {
        let help = "write at least `1ms`, or `0s` for none";
        faults.invalid(idle, "is no whole number of milliseconds from 1 on", help);
    }
}

fn load_balancer(balancer: Value<'_>, faults: &mut Faults<'_>) {
    deprecated_word(
        balancer,
        "simple",
        "LEAST_CONN",
        "write `LEAST_REQUEST`, which is the same",
        faults,
    );
    if let Some(hash) = balancer.field("consistentHash") {
        consistent_hash(hash, faults);
    }
    let (locality, zones) =
        (balancer.field("localityLbSetting"), balancer.field("zoneAwareLbSetting"));
    if let (Some(locality), Some(zones)) = (locality, zones) {
        let help = "keep one of them";
        faults.invalid(zones, "stands beside `localityLbSetting`, which excludes it", help).also =
            Some((locality.span(), "this excludes it"));
    }
    if let Some(locality) = locality {
        locality_setting(locality, faults);
    }
    if let Some(zones) = zones {
        zone_setting(zones, faults);
    }
    let aggression = balancer.field("warmup").and_then(|it| it.field("aggression"));
    if let Some(value) = aggression.filter(|it| known_number(*it) == Some(0)) {
        faults.invalid(value, "is 0, with which nothing ever warms up", "write a number above 0");
    }
}

fn consistent_hash(hash: Value<'_>, faults: &mut Faults<'_>) {
    let ring = hash.field("minimumRingSize").filter(|it| known_number(*it) != Some(0));
    for key in ["ringHash", "maglev"] {
        if let (Some(ring), Some(value)) = (ring, hash.field(key)) {
            let help = "leave `minimumRingSize` out";
            faults
                .invalid(value, "stands beside `minimumRingSize`, which excludes it", help)
                .also = Some((ring.span(), "this excludes it"));
        }
    }
    let Some(maglev) = hash.field("maglev").filter(|it| it.shape() == Shape::Mapping) else {
        return;
    };
    let help = "write a prime number, such as 65537";
    match maglev.field("tableSize") {
        None => {
            faults.missing(maglev, "tableSize", help);
        }
        Some(value) => {
            let is_wrong = |size| size <= 0 || size >= MAX_TABLE || !is_prime(size);
            if known_number(value).is_some_and(is_wrong) {
                faults.invalid(value, format!("is not a prime below {MAX_TABLE}"), help);
            }
        }
    }
}

/// Istio counts 1 among them.
fn is_prime(number: i64) -> bool {
    (2..=number / 2).take_while(|n| n * n <= number).all(|n| number % n != 0)
}

/// Where traffic goes by locality.
pub(super) fn locality_setting(setting: Value<'_>, faults: &mut Faults<'_>) {
    let failover = setting.set("failover");
    if let (Some(distribute), Some(failover)) = (setting.set("distribute"), failover) {
        let help = "keep either `distribute` or `failover`";
        faults.invalid(failover, "stands beside `distribute`, which excludes it", help).also =
            Some((distribute.span(), "this excludes it"));
    }
    if failover.is_some() {
        topology_priorities(setting, "together with `failover`", faults);
    }
    let sources: Vec<Value<'_>> =
        setting.list("distribute").filter_map(|it| it.field("from")).collect();
    localities(&sources, Order::Kept, faults);
    for distribute in setting.list("distribute").filter(|it| it.shape() == Shape::Mapping) {
        for key in ["from", "to"].into_iter().filter(|key| distribute.field(key).is_none()) {
            let help = "say where from (`region/zone/*`), and where to with which shares";
            faults.missing(distribute, key, help);
        }
        let targets: Vec<Value<'_>> = distribute.map("to").map(|(key, _)| key).collect();
        localities(&targets, Order::Random, faults);
        shares(distribute, faults);
    }
    failovers(setting, faults);
}

pub(super) fn zone_setting(setting: Value<'_>, faults: &mut Faults<'_>) {
    topology_priorities(setting, "here, where zones are looked at anyway", faults);
    failovers(setting, faults);
}

fn topology_priorities(setting: Value<'_>, why: &str, faults: &mut Faults<'_>) {
    for value in setting.list("failoverPriority") {
        if let Some(label) = known_text(value).filter(|it| TOPOLOGY.contains(&&**it)) {
            let what = format!("is `{label}`, which cannot be used {why}");
            faults.invalid(value, what, "leave it out");
        }
    }
}

/// Shares of one locality's traffic add up to 100.
fn shares(distribute: Value<'_>, faults: &mut Faults<'_>) {
    let mut sum = Some(0);
    for (_, value) in distribute.map("to") {
        let is_share = |weight: &i64| (1..=100).contains(weight);
        let weight = known_number(value);
        // What 32 bits do not hold is told already.
        if weight.is_some_and(|weight| !is_share(&weight) && u32::try_from(weight).is_ok()) {
            let help = "write 1 to 100, or leave it out";
            faults.invalid(value, "is not a share from 1 to 100", help);
        }
        // Of what is no share the sum is wrong for that reason already.
        sum = sum.zip(weight.filter(is_share)).map(|(sum, weight): (i64, i64)| sum + weight);
    }
    if let (Some(to), Some(sum)) = (distribute.field("to"), sum)
        && sum != 100
    {
        let fault =
            faults.invalid(to, format!("adds up to {sum}"), "make the shares add up to 100");
        fault.also = distribute.field("from").map(|from| (from.span(), "for clients from here"));
    }
}

fn failovers(setting: Value<'_>, faults: &mut Faults<'_>) {
    for failover in setting.list("failover") {
        let (from, to) = (failover.word_or("from", ""), failover.word_or("to", ""));
        if let (Some(from), Some(to)) = (&from, &to)
            && from == to
        {
            faults.invalid(
                failover,
                format!("goes from `{from}` to itself"),
                "name another region",
            );
        }
        for key in ["from", "to"] {
            let Some(value) = failover.field(key) else { continue };
            if known_text(value).is_some_and(|text| text.contains(['/', '*'])) {
                faults.invalid(value, "is not a region", "name a region, without zone and `*`");
            }
        }
    }
}

/// In which order Istio looks at localities.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As they are written.
    Kept,
    /// Another one each time.
    Random,
}

/// A list in which no locality takes in another. Of `*` Istio notices only what comes after it.
fn localities(all: &[Value<'_>], order: Order, faults: &mut Faults<'_>) {
    let mut seen: Vec<(String, Value<'_>)> = Vec::new();
    for &value in all {
        let Some(text) = value.text().filter(|it| !crate::kinds::is_placeholder(it)) else {
            continue;
        };
        let star = text.find('*');
        let parts: Vec<&str> = text.splitn(3, '/').collect();
        if star.is_some_and(|at| at + 1 != text.len()) {
            faults.invalid(value, "has a `*` before its end", "write `*` last, as in `region/*`");
            continue;
        }
        if parts.iter().any(|part| part.is_empty()) {
            let help = "write `region/zone/subzone`, or leave parts out from the end";
            faults.invalid(value, "is not a locality", help);
            continue;
        }
        let is_last = order == Order::Kept && text == "*";
        if let Some((other, there)) =
            seen.iter().find(|(other, _)| takes_in(other, &text) || takes_in(&text, other))
            && !(is_last && other != "*")
        {
            let what = format!("overlaps with `{other}`");
            let fault = faults.invalid(value, what, "leave one of them out");
            fault.also = Some((there.span(), "with this"));
            fault.is_mild = order == Order::Random && (text == "*") != (other == "*");
        }
        seen.push((text.into_owned(), value));
    }
}

/// Whether a region covers its zones, a zone its subzones, and `*` all that begins so.
fn takes_in(wide: &str, narrow: &str) -> bool {
    let wide: Vec<&str> = wide.trim_end_matches("/*").split('/').collect();
    let narrow: Vec<&str> = narrow.trim_end_matches("/*").split('/').collect();
    wide == ["*"] || (wide.len() <= narrow.len() && wide.iter().zip(&narrow).all(|(a, b)| a == b))
}

/// TLS towards a host.
pub(super) fn client_tls(tls: Value<'_>, namespace: Option<&str>, faults: &mut Faults<'_>) {
    let Some(mode) = tls.word_or("mode", "DISABLE") else { return };
    let mode = &*mode;
    credential_name(tls, namespace, faults);
    if tls.is_true("insecureSkipVerify") {
        let contrary: &[&str] = match mode {
            "SIMPLE" => &["caCertificates", "credentialName", "subjectAltNames"],
            "MUTUAL" => &["caCertificates", "subjectAltNames"],
            _ => &[],
        };
        for value in
            contrary.iter().filter(|key| tls.surely_has(key)).filter_map(|key| tls.field(key))
        {
            let help = "leave it out, or `insecureSkipVerify`";
            faults.invalid(value, "is set although nothing is verified", help);
        }
    }
    if !matches!(mode, "SIMPLE" | "MUTUAL") {
        return;
    }
    if tls.has("credentialName") {
        for key in ["clientCertificate", "caCertificates", "privateKey", "caCrl"] {
            if let Some(value) = tls.field(key).filter(|_| tls.surely_has(key)) {
                let help = format!("keep either `credentialName` or `{key}`");
                faults.invalid(value, "stands beside `credentialName`, which excludes it", help);
            }
        }
    } else if mode == "MUTUAL" {
        for key in ["clientCertificate", "privateKey"].into_iter().filter(|key| !tls.has(key)) {
            let help = format!(
                "add `{key}`, or `credentialName`: with `MUTUAL` clients show a certificate"
            );
            faults.missing(tls, key, help);
        }
    }
}

/// A `configmap://` names its namespace, and that is the own one.
fn credential_name(tls: Value<'_>, namespace: Option<&str>, faults: &mut Faults<'_>) {
    let Some(value) = tls.field("credentialName") else { return };
    let Some(text) = known_text(value) else { return };
    let Some(path) = text.strip_prefix("configmap://") else { return };
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
        let help = "write `configmap://namespace/name`";
        faults.invalid(value, "does not name a ConfigMap and its namespace", help);
    } else if namespace.is_some_and(|own| own != parts[0]) {
        let help = "name a ConfigMap of the own namespace";
        faults.invalid(value, "is a ConfigMap of another namespace", help);
    }
}
