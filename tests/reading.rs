//! Reading: folders, files, what is skipped and what cannot be read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::source::{Reading, read};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n";

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn of(folder: &Path) -> Reading {
    read(&[folder.to_path_buf()]).unwrap()
}

/// Names below the folder, and what was skipped.
fn names(reading: &Reading, folder: &Path) -> (Vec<String>, Vec<(String, &'static str)>) {
    let prefix = format!("{}/", folder.display());
    let inside = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
    let read = reading.sources.files().map(|(_, f)| inside(&f.name)).collect();
    (read, reading.skipped.iter().map(|s| (inside(&s.file), s.reason)).collect())
}

#[test]
fn folders_are_walked_as_git_sees_them() {
    let folder = folder(&[
        (".gitignore", b"build/\n"),
        (".hidden/a.yaml", SERVICE.as_bytes()),
        ("b/two.yml", SERVICE.as_bytes()),
        ("a/one.yaml", SERVICE.as_bytes()),
        ("build/out.yaml", SERVICE.as_bytes()),
        ("README.md", b"# no manifest"),
        ("data.json", b"{}"),
    ]);
    let (read, skipped) = names(&of(folder.path()), folder.path());
    assert_eq!(read, ["a/one.yaml", "b/two.yml", "data.json"]);
    assert!(skipped.is_empty());
}

#[test]
fn what_is_no_text_is_skipped_and_told() {
    let folder = folder(&[("a.yaml", b"\x00\x01"), ("b.yaml", b"caf\xe9: 1\n"), ("c.yaml", b"")]);
    let reading = of(folder.path());
    let (read, skipped) = names(&reading, folder.path());
    assert_eq!(read, ["c.yaml"]);
    assert_eq!(skipped, [("a.yaml".to_owned(), "binary"), ("b.yaml".to_owned(), "not UTF-8")]);
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out_of_the_tree() {
    let outside = folder(&[("secret.yaml", SERVICE.as_bytes())]);
    let inside = folder(&[("a.yaml", SERVICE.as_bytes())]);
    let link =
        |to: &Path, name: &str| std::os::unix::fs::symlink(to, inside.path().join(name)).unwrap();
    link(&outside.path().join("secret.yaml"), "link.yaml");
    link(outside.path(), "elsewhere");
    let (read, skipped) = names(&of(inside.path()), inside.path());
    assert_eq!(read, ["a.yaml"]);
    assert_eq!(skipped, [("link.yaml".to_owned(), "link")]);
}

#[test]
fn a_file_given_twice_is_read_once() {
    let folder = folder(&[("a.yaml", SERVICE.as_bytes())]);
    let paths = [folder.path().to_path_buf(), folder.path().join("a.yaml")];
    assert_eq!(read(&paths).unwrap().sources.files().len(), 1);
}

#[test]
fn a_path_that_is_not_there_is_a_failure() {
    let reading = read(&[PathBuf::from("no/such/folder")]).unwrap();
    assert_eq!(reading.failures.len(), 1);
    assert!(reading.failures[0].message.contains("No such file"), "{:?}", reading.failures);
}

#[test]
fn everything_that_is_no_manifest_is_counted_under_its_reason() {
    let chart = b"apiVersion: v2\nname: cart\nversion: 1.0.0\n";
    let template = b"apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n";
    let crd = b"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n";
    let folder = folder(&[
        ("Chart.yaml", chart),
        ("templates/service.yaml", template),
        ("values.yaml", b"image: cart\nreplicas: 2\n"),
        ("crd.yaml", crd),
        ("empty.yaml", b"# nothing\n---\n"),
        ("package.json", b"{\"name\": \"x\"}"),
        ("broken.json", b"{\"name\": "),
        ("cart.yaml", SERVICE.as_bytes()),
    ]);
    let reading = of(folder.path());
    let report = lint::lint(&reading.sources, &Config::default());
    let reason = |name: &str| {
        let skipped = report.skipped.iter().find(|s| s.file.ends_with(name));
        skipped.map(|s| s.reason)
    };
    assert_eq!(reason("templates/service.yaml"), Some("template"));
    assert_eq!(reason("values.yaml"), Some("not Kubernetes"));
    assert_eq!(reason("crd.yaml"), Some("kind that no rule reads"));
    assert_eq!(reason("empty.yaml"), Some("empty"));
    assert_eq!(reason("package.json"), Some("not Kubernetes"));
    assert_eq!(reason("broken.json"), Some("not Kubernetes"));
    assert_eq!(reason("cart.yaml"), None);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!((report.files, report.resources), (1, 1));
}

#[test]
fn braces_within_quotes_make_a_file_a_template_only_where_helm_alone_can_fill_them_in() {
    let service = |name: &str, rest: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n{rest}")
    };
    let secret = "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: west}\n\
                  spec:\n  target:\n    template:\n      data:\n        west: \"{{ .kubeconfig }}\"\n";
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: cart}\n\
                   spec: {values: {host: '{{ .Release.Name }}.shop'}}\n";
    let chart = service("'{{ .Values.name }}'", "spec: {type: ClusterIP}\n");
    let files = [
        ("west/secret.yaml", service("cart", secret)),
        ("west/release.yaml", release.to_owned()),
        (
            "west/alert.yaml",
            service("pay", "# as {{ .Values.x }}\nspec: {ports: [{name: '{{ $x }}'}]}\n"),
        ),
        ("west/chart.yaml", chart.clone()),
        ("west/plain.yaml", service("a-{{ .x }}-b", "")),
        ("west/mixed.yaml", service("'{{ .x }}'", "spec:\n  {{- toYaml .x | nindent 2 }}\n")),
        (
            "west/if.yaml",
            service("cart", "{{- if eq \"a\" .x }}\nspec: {type: ClusterIP}\n{{ end }}\n"),
        ),
        ("west/templates/all.yaml", service("'{{ .name }}'", "")),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_bytes()));
    let folder = folder(&files);
    let reading = of(folder.path());
    let report = lint::lint(&reading.sources, &Config::default());
    let templates: Vec<_> = report.skipped.iter().filter(|s| s.reason == "template").collect();
    let is_template = |name: &str| templates.iter().any(|s| s.file.ends_with(name));
    for name in ["chart.yaml", "plain.yaml", "mixed.yaml", "if.yaml", "all.yaml"] {
        assert!(is_template(name), "{name}");
    }
    assert_eq!(templates.len(), 5, "{:#?}", report.skipped);
}

#[test]
fn braces_of_a_controller_make_no_template_of_the_file_they_stand_in() {
    let list = |items: &str| format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    let rule = "- apiVersion: monitoring.coreos.com/v1\n  kind: PrometheusRule\n  metadata: {name: a}\n  spec:\n    \
                groups:\n    - rules:\n      - annotations:\n          text: pod {{ $labels.pod }} is {{ .Value }}\n";
    let identity = "- apiVersion: spire.spiffe.io/v1alpha1\n  kind: ClusterSPIFFEID\n  metadata: {name: a}\n  spec:\n    \
                    spiffeIDTemplate: spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}\n";
    let service = "- apiVersion: v1\n  kind: Service\n  metadata: {name: cart}\n";
    let chart = rule.replace("pod {{ $labels.pod }}", "of {{ .Release.Name }}");
    let files = [
        ("east.yaml", list(&[rule, identity, service].concat())),
        ("chart.yaml", list(&[&chart, service].concat())),
        ("chart-2.yaml", list(&[rule, &service.replace("cart", "a-{{ .x }}")].concat())),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_bytes()));
    let folder = folder(&files);
    let report = lint::lint(&of(folder.path()).sources, &Config::default());
    let skipped: Vec<_> = report.skipped.iter().map(|s| (s.file.as_str(), s.reason)).collect();
    let is_template = |name: &str| {
        skipped.iter().any(|(file, reason)| file.ends_with(name) && *reason == "template")
    };
    assert!(is_template("/chart.yaml") && is_template("chart-2.yaml"), "{skipped:?}");
    assert_eq!((skipped.len(), report.resources), (2, 3), "{skipped:?}");
}

#[test]
fn lists_are_opened_and_a_broken_document_loses_only_itself() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  \
                - {apiVersion: v1, kind: Service, metadata: {name: a}}\n\
                - {apiVersion: v1, kind: Service, metadata: {name: b}}\n";
    let broken =
        format!("{SERVICE}---\napiVersion: v1\nkind: Service\n metadata: {{\n---\n{SERVICE}")
            .replacen("name: cart", "name: pay", 1);
    let folder = folder(&[("list.yaml", list.as_bytes()), ("broken.yaml", broken.as_bytes())]);
    let reading = of(folder.path());
    let report = lint::lint(&reading.sources, &Config::default());
    assert_eq!(report.resources, 4);
    let rules: Vec<_> = report.findings.iter().map(|f| f.rule).collect();
    assert_eq!(rules, ["yaml/syntax"]);
}

#[test]
fn lists_of_aliases_of_lists_do_not_multiply() {
    let mut list = "apiVersion: v1\nkind: List\nitems:\n\
                    - &l0 {apiVersion: v1, kind: Service, metadata: {name: s, namespace: n}}\n"
        .to_owned();
    for level in 1..=9 {
        let items = vec![format!("*l{}", level - 1); 10].join(", ");
        list.push_str(&format!("- &l{level} {{apiVersion: v1, kind: List, items: [{items}]}}\n"));
    }
    let folder = folder(&[("list.yaml", list.as_bytes())]);
    let reading = of(folder.path());
    assert_eq!(lint::lint(&reading.sources, &Config::default()).resources, 1);
}

#[test]
fn a_config_map_that_holds_a_template_is_none() {
    let map =
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector}\ndata:\n  \
                config: |\n    {{- if .Values.global }}\n    image: {{ .Values.global.hub }}\n    \
                {{- end }}\n  values: '{}'\n";
    let chart =
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  \
                  text: |\n    nothing\n";
    let folder = folder(&[("injector.yaml", map), ("chart.yaml", chart)]);
    let reading = of(folder.path());
    let report = lint::lint(&reading.sources, &Config::default());
    assert_eq!(report.resources, 1);
    assert_eq!(report.skipped.len(), 1);
    assert!(report.skipped[0].file.ends_with("chart.yaml"), "{:?}", report.skipped);
}

#[test]
fn a_value_of_the_wrong_type_is_not_told_where_it_may_be_secret() {
    let map =
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
                data:\n  mesh: |\n    defaultConfig:\n      proxyMetadata: {TOKEN: 12345}\n";
    let folder = folder(&[("istio.yaml", map)]);
    let reading = of(folder.path());
    let report = lint::lint(&reading.sources, &Config::default());
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0].finding;
    let words = finding.labels.iter().map(|label| &label.text).chain([&finding.message]);
    assert!(words.into_iter().all(|text| !text.contains("12345")), "{finding:?}");
}
