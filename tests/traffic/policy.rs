//! Which DestinationRule applies to a client, what it says for a port and subset, and which locality
//! setting counts: facts of Istio's own tests, and what follows from its source.

use mesh_lint::mesh::{AppliedRule, Client, In, Mesh};
use mesh_lint::traffic::policy::{Level, Missing, Part, Policy};
use mesh_lint::traffic::setting::Setting;

const HOST: &str = "s.a.svc.cluster.local";

/// A DestinationRule; `spec` is what stands between the braces.
fn rule(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

/// A workload whose pods have these labels.
fn workload(namespace: &str, name: &str, labels: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{template: {{metadata: {{labels: {{{labels}}}}}}}}}\n"
    )
}

fn mesh(texts: &[String]) -> Mesh {
    super::mesh(&[("east/all.yaml", &texts.concat())])
}

/// A client of a namespace; with the labels of a workload, or without known ones.
fn client<'m>(mesh: &'m Mesh, namespace: &'m str, workload: Option<&str>) -> Client<'m> {
    let found = workload.map(|name| mesh.workloads.iter().find(|w| w.name() == name).unwrap());
    let labels = found.map(|w| &w.template.metadata.labels);
    Client { cluster: mesh.clusters()[0].id, namespace, labels, locality: None }
}

fn applied<'m>(
    mesh: &'m Mesh,
    client: &Client<'m>,
    host: &str,
    host_namespace: &str,
) -> Option<AppliedRule<'m>> {
    mesh.applied_rule(client, host, Some(host_namespace), client.cluster)
}

fn subsets(rule: Option<&AppliedRule<'_>>) -> Vec<String> {
    rule.iter().flat_map(|r| r.subsets()).map(|s| s.name.value.clone()).collect()
}

fn names(rule: &AppliedRule<'_>) -> Vec<String> {
    rule.parts.iter().map(|part| part.name().to_owned()).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `subsets` with these names.
fn cut(subsets: &str) -> String {
    let all: Vec<String> = subsets.split(' ').map(|name| format!("{{name: '{name}'}}")).collect();
    format!("subsets: [{}]", all.join(", "))
}

#[test]
fn a_client_gets_the_rule_of_its_namespace_then_the_hosts_then_the_root_ones() {
    let bin = "host: httpbin.org";
    let api = "host: api.test.com, exportTo: [istio-system]";
    let mesh = mesh(&[
        rule("test1", "rule1", &format!("{bin}, exportTo: [., ns1], {}", cut("1 2"))),
        rule(
            "test2",
            "rule2",
            &format!("{bin}, exportTo: [test2, ns1, test1, newNS], {}", cut("3 4")),
        ),
        rule("test3", "rule3", &format!("{bin}, exportTo: [test1, test2, '*'], {}", cut("5 6"))),
        rule("test4", "rule4-local", &format!("{bin}, exportTo: [test4], {}", cut("15 16"))),
        rule("istio-system", "rule4", &format!("{bin}, {}", cut("7 8"))),
        rule("istio-system", "rule1", &format!("{bin}, exportTo: [.], {}", cut("9 10"))),
        rule("istio-system", "rule2", &format!("host: '*.org', exportTo: [.], {}", cut("11 12"))),
        rule(
            "istio-system",
            "rule3",
            &format!("host: '*.app.org', exportTo: [.], {}", cut("13 14")),
        ),
        rule("test5", "rule5", &format!("{api}, {}", cut("5-0 5-1"))),
        rule("test6", "rule6", &format!("{api}, {}", cut("6-0 6-1"))),
    ]);
    for (what, namespace, host_namespace, host, expected) in [
        ("own rule", "test1", "test1", "httpbin.org", "1 2"),
        ("own rule before the host's", "test1", "test2", "httpbin.org", "1 2"),
        ("own rule, exported by its namespace's name", "test2", "test1", "httpbin.org", "3 4"),
        ("exported to the client by name", "newNS", "test2", "httpbin.org", "3 4"),
        ("own rule, exported to all", "test3", "test1", "httpbin.org", "5 6"),
        ("private rule of the host, so the root's", "test5", "test4", "httpbin.org", "7 8"),
        ("exported by the host's namespace", "ns1", "test1", "httpbin.org", "1 2"),
        ("none where the host is, so the root's", "ns1", "random", "httpbin.org", "7 8"),
        ("neither here nor there", "random", "random", "httpbin.org", "7 8"),
        ("own rule for a host of nowhere", "test3", "random", "httpbin.org", "5 6"),
        ("private rule of the root for itself", "istio-system", "random", "httpbin.org", "9 10"),
        ("the same, host in the root", "istio-system", "istio-system", "httpbin.org", "9 10"),
        ("longest wildcard", "istio-system", "istio-system", "foo.app.org", "13 14"),
        ("exported to the root", "istio-system", "test5", "api.test.com", "5-0 5-1"),
        ("another owner", "istio-system", "test6", "api.test.com", "6-0 6-1"),
        ("an owner without a rule", "istio-system", "test7", "api.test.com", ""),
    ] {
        let client = client(&mesh, namespace, None);
        let rule = applied(&mesh, &client, host, host_namespace);
        assert_eq!(subsets(rule.as_ref()), words(expected), "{what}");
    }
}

#[test]
fn rules_that_are_equally_visible_are_merged() {
    let host = "host: httpbin.org";
    let mesh = mesh(&[
        rule("test", "rule1", &format!("{host}, {}", cut("1 2"))),
        rule("test", "rule2", &format!("{host}, {}", cut("3 4"))),
        rule("test", "rule3", &format!("{host}, exportTo: [istio-system], {}", cut("5 6"))),
    ]);
    for (namespace, expected) in
        [("test", "1 2 3 4"), ("elsewhere", "1 2 3 4"), ("istio-system", "5 6")]
    {
        let rule = applied(&mesh, &client(&mesh, namespace, None), "httpbin.org", "test");
        assert_eq!(subsets(rule.as_ref()), words(expected), "{namespace}");
        // The root namespace sees both, and the newer one counts.
        let by_age = rule.is_some_and(|r| r.is_order_dependent());
        assert_eq!(by_age, namespace == "istio-system", "{namespace}");
    }
    let all = mesh.merged_rules("httpbin.org", mesh.clusters()[0].id);
    let all: Vec<_> = all.iter().map(|rule| subsets(Some(rule))).collect();
    assert_eq!(all, [words("1 2 3 4"), words("5 6")]);
}

#[test]
fn a_general_rule_joins_those_with_a_selector_that_it_is_as_visible_as() {
    let select = |app: &str| {
        format!(
            "host: httpbin.org, exportTo: [test2, .], workloadSelector: {{matchLabels: {{app: {app}}}}}"
        )
    };
    let mesh = mesh(&[
        rule("test", "ns-rule1", &select("app1")),
        rule("test", "ns-rule2", &select("app2")),
        rule("test", "ns-rule3", &select("app2")),
        rule("test", "ns-rule4", "host: httpbin.org, exportTo: [., test2]"),
        workload("test", "one", "app: app1"),
        workload("test", "two", "app: app2"),
        workload("test", "three", "app: app3"),
        workload("test2", "outsider", "app: app1"),
    ]);
    for (namespace, workload, expected) in [
        ("test", "one", "ns-rule1 ns-rule4"),
        ("test", "two", "ns-rule2 ns-rule3 ns-rule4"),
        ("test", "three", "ns-rule4"),
        ("test2", "outsider", "ns-rule4"),
    ] {
        let client = client(&mesh, namespace, Some(workload));
        let rule = applied(&mesh, &client, "httpbin.org", "test").unwrap();
        assert_eq!(names(&rule), words(expected), "{workload}");
    }
    let unknown = client(&mesh, "test", None);
    let choice = mesh.choose_rule(&unknown, "httpbin.org", Some("test"), unknown.cluster);
    assert_eq!(choice.rule.as_ref().map(names), Some(words("ns-rule4")));
    let others: Vec<_> = choice.by_labels.iter().map(names).collect();
    assert_eq!(others, [words("ns-rule1 ns-rule4"), words("ns-rule2 ns-rule3 ns-rule4")]);
}

#[test]
fn the_most_specific_host_counts() {
    for (hosts, needle, expected) in [
        (["*.foo.com", "*.com"], "bar.foo.com", Some("*.foo.com")),
        (["*.foo.com", "*.com"], "foo.com", Some("*.com")),
        (["foo.com", "*.com"], "*.foo.com", Some("*.com")),
        (["*.foo.com", "foo.com"], "foo.com", Some("foo.com")),
        (["bar.com", "*.foo.com"], "*foo.com", None),
        (["*.bar.com", "foo.bar.com"], "foo.bar.com", Some("foo.bar.com")),
        (["foo.com", "bar.foo.com"], "*.foo.com", None),
        (["*", "*.com"], "foo.org", Some("*")),
        (["*.com", "*.foo.com"], "*.foo.com", Some("*.foo.com")),
    ] {
        let [a, b] = hosts.map(|host| format!("host: '{host}'"));
        let mesh = mesh(&[rule("a", "one", &a), rule("a", "two", &b)]);
        let found = applied(&mesh, &client(&mesh, "a", None), needle, "a");
        let found = found.map(|r| r.parts[0].host.clone().unwrap().value);
        assert_eq!(found.as_deref(), expected, "{needle} in {hosts:?}");
    }
}

/// The policy of the client's port, part by part as written.
fn told(mesh: &Mesh, policy: &Policy<'_>) -> String {
    fn part<T>(mesh: &Mesh, name: &str, part: Part<'_, T>) -> Option<String> {
        part.get().map(|value| format!("{name}: {}", mesh.raw(value.span)))
    }
    let all = [
        part(mesh, "loadBalancer", policy.load_balancer),
        part(mesh, "outlierDetection", policy.outlier_detection),
        part(mesh, "tls", policy.tls),
        part(mesh, "connectionPool", policy.connection_pool),
        part(mesh, "tunnel", policy.tunnel),
        part(mesh, "proxyProtocol", policy.proxy_protocol),
        part(mesh, "retryBudget", policy.retry_budget),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The rows of a table: cells parted by `|`. `FAILOVER`, `CP10` and the like stand for longer texts.
fn rows<const N: usize>(table: &str) -> Vec<[String; N]> {
    let words = [
        ("FAILOVER", "{failover: [{from: r1, to: r2}]}"),
        ("CP10", "connectionPool: {tcp: {maxConnections: 10}}"),
        ("CP11", "connectionPool: {tcp: {maxConnections: 11}}"),
        ("RR", "loadBalancer: {simple: ROUND_ROBIN}"),
        ("OD7", "outlierDetection: {consecutive5xxErrors: 7}"),
        ("OD8", "outlierDetection: {consecutive5xxErrors: 8}"),
        ("OD9", "outlierDetection: {consecutive5xxErrors: 9}"),
        ("locality ", "localityLbSetting: "),
        ("zoneAware ", "zoneAwareLbSetting: "),
    ];
    let lines = table.lines().filter(|line| line.contains('|'));
    let rows = lines.map(|line| {
        let cells = line.split('|').map(|cell| {
            words.iter().fold(cell.trim().to_owned(), |cell, (word, text)| cell.replace(word, text))
        });
        cells.collect::<Vec<_>>().try_into().unwrap()
    });
    rows.collect()
}

/// What is shown, the rule's policy, the subset's policy, the port, what counts.
const POLICIES: &str = "
nothing                      |                               |                           | 80 |
the rule's                   | CP10                          |                           | 80 | CP10
the subset's                 |                               | CP10                      | 80 | CP10
the subset adds              | tls: {mode: ISTIO_MUTUAL}     | CP10, tunnel: {targetPort: 1} | 80 | tls: {mode: ISTIO_MUTUAL}, CP10, tunnel: {targetPort: 1}
the subset replaces a part   | tls: {mode: ISTIO_MUTUAL}, CP10 | tls: {mode: SIMPLE}     | 80 | tls: {mode: SIMPLE}, CP10
the subset's port, no rule's |                               | RR, CP10, portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: LEAST_REQUEST}}] | 8080 | loadBalancer: {simple: LEAST_REQUEST}
the subset's port goes first | RR, OD7, portLevelSettings: [{port: {number: 8080}, OD8}] | RR, CP10, portLevelSettings: [{port: {number: 8080}, OD9}] | 8080 | OD9
another port is laid over    | RR, OD7, portLevelSettings: [{port: {number: 8080}, OD8}] | RR, CP10, portLevelSettings: [{port: {number: 8080}, OD9}] | 9090 | RR, OD7, CP10
the rule's port under a subset | RR, OD7, portLevelSettings: [{port: {number: 8080}, OD8}] | CP10 | 8080 | OD8, CP10
a retry budget stays         | CP10, retryBudget: {percent: 5} | CP11                    | 80 | CP11, retryBudget: {percent: 5}
a retry budget is replaced   | retryBudget: {percent: 3}     | retryBudget: {percent: 10} | 80 | retryBudget: {percent: 10}
";

#[test]
fn the_policy_of_a_port_and_a_subset() {
    for [what, top, subset, port, expected] in rows(POLICIES) {
        let policy = |text: &str| match text {
            "" => String::new(),
            text => format!(", trafficPolicy: {{{text}}}"),
        };
        let spec = format!("host: s{}, subsets: [{{name: v1{}}}]", policy(&top), policy(&subset));
        let mesh = mesh(&[rule("a", "s", &spec)]);
        let found = applied(&mesh, &client(&mesh, "a", None), HOST, "a");
        let policy = Policy::of(found.as_ref(), Some("v1"), port.parse::<u32>().unwrap());
        assert_eq!(told(&mesh, &policy), expected, "{what}");
    }
}

/// The rule a client in `a` gets, and the policy of port 80.
fn outlier(spec: &str) -> (Mesh, Option<Level>, Option<Missing>) {
    let mesh = mesh(&[rule("a", "s", spec)]);
    let found = applied(&mesh, &client(&mesh, "a", None), HOST, "a");
    let part = Policy::of(found.as_ref(), Some("v1"), 80).outlier_detection;
    let (level, missing) = (part.level(), part.missing());
    (mesh, level, missing)
}

#[test]
fn what_is_missing_says_why() {
    assert!(matches!(outlier("host: other").2, Some(Missing::NoRule)));
    assert!(matches!(outlier("host: s").2, Some(Missing::NoPolicy)));
    let subset = "subsets: [{name: v1, trafficPolicy: {tls: {}}}]";
    let no = outlier(&format!("host: s, {subset}")).2;
    assert!(matches!(no, Some(Missing::NotSet { level: Level::Subset, .. })));
    let top = "outlierDetection: {consecutive5xxErrors: 7}";
    let port = "portLevelSettings: [{port: {number: 80}, tls: {}}]";
    let is = outlier(&format!("host: s, trafficPolicy: {{{top}}}, {subset}")).1;
    assert_eq!(is, Some(Level::Rule));
    for subset in ["subsets: [{name: v1}]", subset] {
        let spec = format!("host: s, trafficPolicy: {{{top}, {port}}}, {subset}");
        let (mesh, _, missing) = outlier(&spec);
        let Some(Missing::PortReplaces { port, level: Level::RulePort, hidden: Some(hidden) }) =
            missing
        else {
            panic!("{missing:?}")
        };
        assert_eq!(mesh.raw(port), "80");
        assert_eq!(mesh.raw(hidden), "{consecutive5xxErrors: 7}");
    }
    let subset = format!("subsets: [{{name: v1, trafficPolicy: {{{port}}}}}]");
    let no = outlier(&format!("host: s, trafficPolicy: {{{top}}}, {subset}")).2;
    let Some(Missing::PortReplaces { level: Level::SubsetPort, hidden: Some(_), .. }) = no else {
        panic!("{no:?}")
    };
}

#[test]
fn what_cannot_be_read_is_not_missing() {
    let text = rule("a", "s", "host: s, trafficPolicy: {outlierDetection: '${DETECTION}'}");
    let mesh = mesh(&[text]);
    let found = applied(&mesh, &client(&mesh, "a", None), HOST, "a");
    assert!(Policy::of(found.as_ref(), None, 80).is_unread);
}

#[test]
fn the_meshs_default_policy_fills_in_for_clusters_and_not_for_endpoints() {
    let config = mesh_config("defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}");
    let port = "portLevelSettings: [{port: {number: 80}, tls: {}}]";
    let own = "outlierDetection: {consecutive5xxErrors: 7}";
    for (what, policy, expected) in [
        ("no rule", None, Some(Level::Mesh)),
        ("a rule that says nothing of it", Some(String::new()), Some(Level::Mesh)),
        ("an entry for the port", Some(format!("{own}, {port}")), Some(Level::Mesh)),
        ("a rule of its own", Some(own.to_owned()), Some(Level::Rule)),
    ] {
        let host = if policy.is_some() { "s" } else { "other" };
        let spec = format!("host: {host}, trafficPolicy: {{{}}}", policy.unwrap_or_default());
        let mesh = mesh(&[rule("a", "s", &spec), config.clone()]);
        let client = client(&mesh, "a", None);
        let found = applied(&mesh, &client, HOST, "a");
        let cluster = Policy::of_cluster(&mesh, client.cluster, found.as_ref(), None, 80);
        assert_eq!(cluster.outlier_detection.level(), expected, "{what}");
        let endpoints = Policy::of(found.as_ref(), None, 80).outlier_detection.level();
        assert_eq!(endpoints, expected.filter(|l| *l == Level::Rule), "{what}");
    }
}

fn mesh_config(text: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\n\
         data:\n  mesh: |\n    {text}\n"
    )
}

fn service(annotations: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\n\
         metadata: {{name: s, namespace: a, annotations: {{{annotations}}}}}\nspec: {{{spec}}}\n"
    )
}

fn summary(setting: Setting<'_>) -> String {
    let by = |mesh: bool| if mesh { "mesh" } else { "rule" };
    let text = match setting {
        Setting::Off { by: b, .. } => format!("off, {}", by(b.is_mesh())),
        Setting::ZoneAwareOff { by: b, .. } => format!("zone-aware off, {}", by(b.is_mesh())),
        Setting::Locality { by: b, .. } => format!("locality, {}", by(b.is_mesh())),
        Setting::ZoneAware { by: b, .. } => format!("zone-aware, {}", by(b.is_mesh())),
        Setting::TrafficDistribution { prefers, .. } => {
            let keys = prefers.keys().iter().map(|k| k.rsplit('/').next().unwrap());
            keys.collect::<Vec<_>>().join(" ")
        }
        Setting::Default => "default".to_owned(),
        Setting::Unknown(_) => "unknown".to_owned(),
    };
    let is_forced =
        matches!(setting, Setting::ZoneAware { .. } | Setting::TrafficDistribution { .. });
    if is_forced { format!("{text}, forced") } else { text }
}

/// The setting for port 80 of `s` in `a`.
fn effective(mesh: &Mesh) -> Setting<'_> {
    let client = client(mesh, "a", None);
    let found = applied(mesh, &client, HOST, "a");
    let policy = Policy::of(found.as_ref(), None, 80);
    let service: Option<&In<_>> = mesh.services.first();
    Setting::of(mesh, client.cluster, &policy, service)
}

/// What is shown, MeshConfig, the rule's load balancer, the Service's `trafficDistribution`, what counts.
const SETTINGS: &str = "
nothing but what is built in    |                          |                          |                | default
the mesh's                      | locality {}              |                          |                | locality, mesh
the rule's                      |                          | locality {}              |                | locality, rule
the rule's, said to be on       |                          | locality {enabled: true} |                | locality, rule
rule before mesh                | locality {}              | locality FAILOVER        |                | locality, rule
Service before mesh             | locality {}              |                          | PreferSameZone | network region zone, forced
Service, to the node            | locality {}              |                          | PreferSameNode | network region zone subzone hostname, forced
off in the mesh                 | locality {enabled: false} |                         |                | off, mesh
off in the rule                 | locality {enabled: true} | locality {enabled: false} |               | off, rule
off in the mesh, on in the rule | locality {enabled: false} | locality {enabled: true} |               | locality, rule
zone-aware, in the mesh         | zoneAware {}             |                          |                | zone-aware, mesh, forced
zone-aware, in the rule         |                          | zoneAware FAILOVER       |                | zone-aware, rule, forced
zone-aware, rule before mesh    | zoneAware {}             | zoneAware FAILOVER       |                | zone-aware, rule, forced
zone-aware before the mesh's    | locality FAILOVER        | zoneAware {}             |                | zone-aware, rule, forced
the rule's before zone-aware    | zoneAware {}             | locality FAILOVER        |                | locality, rule
both in the mesh                | locality {}, zoneAware FAILOVER |                   |                | zone-aware, mesh, forced
zone-aware off in the mesh      | zoneAware {enabled: false} |                        |                | zone-aware off, mesh
which hides the mesh's other    | locality {enabled: true}, zoneAware {enabled: false} | |               | zone-aware off, mesh
zone-aware off in the rule      | locality {enabled: true} | zoneAware {enabled: false} |              | zone-aware off, rule
zone-aware on again             | zoneAware {enabled: false} | zoneAware {enabled: true} |             | zone-aware, rule, forced
Service before zone-aware       | zoneAware {}             |                          | PreferSameZone | network region zone, forced
zone-aware before Service       |                          | zoneAware {}             | PreferSameZone | zone-aware, rule, forced
rule before Service             |                          | locality FAILOVER        | PreferSameZone | locality, rule
";

#[test]
fn the_first_locality_setting_counts_whole() {
    for [what, of_mesh, of_rule, prefers, expected] in rows(SETTINGS) {
        let field = if prefers.is_empty() { "" } else { "trafficDistribution: " };
        let mesh = mesh(&[
            mesh_config(&format!("{{{of_mesh}}}")),
            rule("a", "s", &format!("host: s, trafficPolicy: {{loadBalancer: {{{of_rule}}}}}")),
            service("", &format!("{field}{prefers}")),
        ]);
        assert_eq!(summary(effective(&mesh)), expected, "{what}");
    }
}

/// What a Service and its Namespace prefer, with an istiod of this version, or one that is not told.
fn preferred(field: &str, annotation: &str, namespace: &str, version: &str) -> String {
    let key = "networking.istio.io/traffic-distribution";
    let annotated = |value: &str| match value {
        "" => String::new(),
        value => format!("{key}: '{value}'"),
    };
    let field = match field {
        "" => String::new(),
        field => format!("trafficDistribution: '{field}'"),
    };
    let mut texts = vec![
        service(&annotated(annotation), &field),
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: a, annotations: {{{}}}}}\n",
            annotated(namespace)
        ),
    ];
    if !version.is_empty() {
        texts.push(format!(
            "---\napiVersion: apps/v1\nkind: Deployment\n\
             metadata: {{name: istiod, namespace: istio-system, labels: {{app: istiod}}}}\n\
             spec: {{template: {{spec: {{containers: [{{name: discovery, image: 'pilot:{version}'}}]}}}}}}\n"
        ));
    }
    summary(effective(&mesh(&texts)))
}

#[test]
fn a_services_traffic_distribution() {
    let zone = "network region zone, forced";
    let subzone = "network region zone subzone, forced";
    let node = "network region zone subzone hostname, forced";
    for (what, field, annotation, namespace, version, expected) in [
        ("the field first", "PreferClose", "PreferSameNode", "Any", "", zone),
        ("then its annotation", "", "PreferSameNode", "PreferClose", "", node),
        ("then the namespace's", "", "", "PreferClose", "", zone),
        ("to the node, for a namespace", "", "", "PreferSameNode", "", node),
        ("nothing", "", "", "", "", "default"),
        ("annotations in any case", "", "", "preferclose", "", zone),
        ("the field in one case only", "preferclose", "", "", "", "default"),
        ("an unknown field hides nothing", "Nearby", "PreferClose", "", "", zone),
        ("an unknown annotation hides the namespace's", "", "Nearby", "PreferClose", "", "default"),
        ("a field to be filled in", "${DISTRIBUTION}", "", "", "", "unknown"),
        ("an istiod that knows no namespaces", "", "", "PreferClose", "1.28.1", "default"),
        ("one that knows them", "", "", "PreferClose", "1.29.0", zone),
        ("one that counts subzones", "PreferClose", "", "", "1.26.2", subzone),
        ("one that knows close alone", "PreferSameNode", "", "", "1.26.2", "default"),
        ("one that knows nothing of it", "PreferClose", "", "", "1.24.0", "default"),
    ] {
        assert_eq!(preferred(field, annotation, namespace, version), expected, "{what}");
    }
}

/// Names of the rules behind what a client gets, and whether age decides.
fn chosen(texts: &[String], namespace: &str, workload: Option<&str>) -> (Vec<String>, bool) {
    let mesh = mesh(texts);
    let client = client(&mesh, namespace, workload);
    let choice = mesh.choose_rule(&client, HOST, Some("a"), client.cluster);
    (choice.rule.as_ref().map(names).unwrap_or_default(), choice.order_decides)
}

#[test]
fn a_rule_with_a_selector_replaces_the_general_one() {
    let selector = "host: s, workloadSelector: {matchLabels: {app: x}}, trafficPolicy: {tls: {}}";
    for (what, exports, workload, expected) in [
        ("nothing is inherited", "", "x", "selector"),
        ("other workloads", "", "y", "general"),
        ("both private, so joined", ", exportTo: [.]", "x", "selector general"),
        ("and nothing left for others", ", exportTo: [.]", "y", ""),
        ("private and more, so joined and kept", ", exportTo: [., b]", "y", "general"),
    ] {
        let texts = [
            rule("a", "general", &format!("host: s{exports}, {}", cut("v1"))),
            rule("a", "selector", selector),
            workload_of("x"),
            workload_of("y"),
        ];
        let (found, _) = chosen(&texts, "a", Some(workload));
        assert_eq!(found, words(expected), "{what}");
    }
}

fn workload_of(app: &str) -> String {
    workload("a", app, &format!("app: {app}"))
}

#[test]
fn general_rules_of_one_namespace() {
    let policy = "trafficPolicy: {tls: {}}";
    let old = |exports: &str| rule("a", "a-old", &format!("host: s{exports}, {policy}"));
    let new = |exports: &str| rule("a", "b-new", &format!("host: s{exports}, {policy}"));
    let both = |a: &str, b: &str| [old(a), new(b)];

    let equal = mesh(&both("", ""));
    let found = applied(&equal, &client(&equal, "a", None), HOST, "a").unwrap();
    assert_eq!(found.traffic_policy().unwrap().0.name(), "a-old", "of one visibility: the old one");
    assert!(found.is_order_dependent());

    let (found, by_age) = chosen(&both("", ", exportTo: [., b]"), "a", None);
    assert_eq!((found, by_age), (words("b-new"), true), "of two: the new one");
    let (found, by_age) = chosen(&both(", exportTo: [., c]", ", exportTo: [., c, b]"), "b", None);
    assert_eq!((found, by_age), (vec![], true), "joined under the narrower visibility");
    let (found, by_age) = chosen(&both(", exportTo: [c]", ", exportTo: [b]"), "b", None);
    assert_eq!((found, by_age), (words("b-new"), false), "one for each: age does not matter");

    let subsets = [
        rule("a", "one", &format!("host: s, {}", cut("v1"))),
        rule("a", "two", &format!("host: s, {}, {policy}", cut("v2"))),
    ];
    assert_eq!(chosen(&subsets, "a", None), (words("one two"), false), "nothing in common");
}

#[test]
fn nothing_is_inherited_from_level_to_level() {
    let own = rule("a", "own", &format!("host: s, {}", cut("v1")));
    let wild = rule("b", "wild", "host: '*.local'");
    let (found, _) = chosen(&[own, wild], "b", None);
    assert_eq!(found, words("wild"), "a wildcard of the client before the owner's exact rule");

    let texts = |exports: &str| {
        [
            rule("a", "own", &format!("host: s{exports}")),
            rule("a", "wild", "host: '*.a.svc.cluster.local'"),
            rule("istio-system", "root", "host: '*.local'"),
        ]
    };
    let (found, _) = chosen(&texts(", exportTo: [c]"), "b", None);
    assert_eq!(found, words("root"), "an exact rule for others hides the wildcard beside it");
    let (found, _) = chosen(&texts(", exportTo: [.]"), "b", None);
    assert_eq!(found, words("wild"), "a private one hides nothing");
    let (found, _) = chosen(&[rule("a", "dotted", "host: s.a")], "a", None);
    assert_eq!(found, words(""), "a name with a dot is taken as it is");
}

#[test]
fn rules_without_export_to_stay_where_the_mesh_says_so() {
    let private = mesh_config("defaultDestinationRuleExportTo: ['.']");
    let texts = [rule("a", "own", "host: s"), private];
    assert_eq!(chosen(&texts, "b", None).0, words(""));
    assert_eq!(chosen(&texts, "a", None).0, words("own"));
    let elsewhere = mesh_config("rootNamespace: config");
    let texts = [rule("config", "root", "host: '*.local'"), elsewhere];
    assert_eq!(chosen(&texts, "b", None).0, words("root"));
}

#[test]
fn each_control_plane_has_its_own_rules() {
    let shared = rule("a", "shared", &format!("host: s, {}", cut("v1")));
    let own = rule("b", "own", "host: '*.a.svc.cluster.local'");
    let mesh =
        super::mesh(&[("east/a.yaml", &shared), ("west/a.yaml", &shared), ("west/b.yaml", &own)]);
    for (cluster, expected) in mesh.clusters().iter().zip(["shared", "own"]) {
        let client = Client { cluster: cluster.id, ..client(&mesh, "b", None) };
        let rule = applied(&mesh, &client, HOST, "a");
        assert_eq!(rule.as_ref().map(names), Some(words(expected)), "{}", cluster.name);
    }
}

#[test]
fn round_robin_alone_leaves_locality_to_the_mesh() {
    let policy = "loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {}";
    let mesh = mesh(&[rule("a", "s", &format!("host: s, trafficPolicy: {{{policy}}}"))]);
    assert_eq!(summary(effective(&mesh)), "default");
    let found = applied(&mesh, &client(&mesh, "a", None), HOST, "a");
    assert!(Policy::of(found.as_ref(), None, 80).outlier_detection.get().is_some());
}

#[test]
fn an_entry_for_a_port_takes_away_outlier_detection_and_locality() {
    let policy = "outlierDetection: {}, \
        loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r2}]}}, \
        portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]";
    let mesh = mesh(&[rule("a", "s", &format!("host: s, trafficPolicy: {{{policy}}}"))]);
    let found = applied(&mesh, &client(&mesh, "a", None), HOST, "a");
    let policy = Policy::of(found.as_ref(), None, 80);
    assert_eq!(told(&mesh, &policy), "tls: {mode: SIMPLE}");
    assert_eq!(summary(effective(&mesh)), "default");
}
