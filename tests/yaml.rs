//! YAML as kubectl reads it, with true places, whatever the text.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_lint::source::{Span, Spanned, Text};
use mesh_lint::yaml::{self, Document, Entries, IntOrString, Scalar, Shape, Stream, Style, Value};
use proptest::prelude::*;
use serde::Deserialize;

/// Where the texts of these tests begin, so that no span is right by accident.
const BASE: u32 = 1000;

fn stream(text: &str) -> Stream {
    yaml::parse(&Arc::from(text), BASE)
}

fn document(text: &str) -> Document {
    let mut stream = stream(text);
    assert_eq!(stream.errors, [], "in {text:?}");
    assert_eq!(stream.documents.len(), 1, "in {text:?}");
    stream.documents.remove(0)
}

fn slice(text: &str, span: Span) -> &str {
    text.get((span.start - BASE) as usize..(span.end - BASE) as usize)
        .unwrap_or_else(|| panic!("{span:?} is no span of {text:?}"))
}

/// Every value below a value, keys included, itself first. Aliases are not followed.
fn walk<'t>(value: Value<'t>, found: &mut Vec<Value<'t>>) {
    found.push(value);
    for (key, value) in value.entries() {
        found.push(key);
        walk(value, found);
    }
    value.items().for_each(|item| walk(item, found));
}

fn all(document: &Document) -> Vec<Value<'_>> {
    let mut found = Vec::new();
    walk(document.root(), &mut found);
    found
}

#[test]
fn scalars_are_what_kubectl_takes_them_for() {
    use Scalar::{Bool, Float, Int, Null, Str, UInt};
    for (text, expected) in [
        ("", Null),
        ("~", Null),
        ("Null", Null),
        ("nULL", Str("nULL".into())),
        ("yes", Bool(true)),
        ("y", Bool(true)),
        ("On", Bool(true)),
        ("no", Bool(false)),
        ("OFF", Bool(false)),
        ("oN", Str("oN".into())),
        ("'yes'", Str("yes".into())),
        ("!!str yes", Str("yes".into())),
        ("!!bool 'yes'", Bool(true)),
        ("! yes", Str("yes".into())),
        ("!custom 3", Str("3".into())),
        ("!!binary aGVsbG8=", Str("hello".into())),
        ("!!float 3", Float(3.0)),
        ("\"8080\"", Str("8080".into())),
        ("8080", Int(8080)),
        ("0755", Int(0o755)),
        ("0o755", Int(0o755)),
        ("0x1F", Int(31)),
        ("-0b11", Int(-3)),
        ("08", Float(8.0)),
        ("1_000", Int(1000)),
        ("+12", Int(12)),
        ("0x+1", Str("0x+1".into())),
        ("-9223372036854775808", Int(i64::MIN)),
        ("18446744073709551615", UInt(u64::MAX)),
        ("18446744073709551616", Float(18_446_744_073_709_551_616.0)),
        ("1e3", Float(1000.0)),
        (".5", Float(0.5)),
        ("1.", Float(1.0)),
        ("-.inf", Float(f64::NEG_INFINITY)),
        ("64e4723769", Str("64e4723769".into())),
        ("1.2.3", Str("1.2.3".into())),
        ("12:30:45", Str("12:30:45".into())),
        ("2026-11-24", Str("2026-11-24".into())),
        ("inf", Str("inf".into())),
        ("-", Str("-".into())),
        ("<<", Str("<<".into())),
    ] {
        let yaml = if text == "-" { "k: '-'".to_owned() } else { format!("k: {text}") };
        let document = document(&yaml);
        assert_eq!(document.root().get("k").unwrap().scalar(), Some(expected), "{text}");
    }
}

#[test]
fn spans_are_exact_over_bom_crlf_and_wide_characters() {
    let text = "\u{feff}名前: \"値\\n\"\r\nlist:\r\n- 'é'\r\n- {a: x, b: [1 , 2]}\r\ntext: |-\r\n  漢字\r\n  b\r\n\r\nnone:\r\nlast: z # 終\r\n";
    let document = document(text);
    let at = |key: &str| slice(text, document.root().get(key).unwrap().span());
    assert_eq!(at("名前"), "\"値\\n\"");
    assert_eq!(at("list"), "- 'é'\r\n- {a: x, b: [1 , 2]}");
    assert_eq!(at("text"), "|-\r\n  漢字\r\n  b");
    assert_eq!(at("none"), "");
    assert_eq!(at("last"), "z");
    let (_, none) = document.root().entries().nth(3).unwrap();
    assert!(text[..(none.span().start - BASE) as usize].ends_with("none:"));
    assert_eq!(slice(text, document.root().span()), text[3..].split(" #").next().unwrap());
    assert_eq!(document.root().get("text").unwrap().as_str().unwrap(), "漢字\nb");
    assert_eq!(slice(text, stream(text).comments[0]), "# 終");
}

#[test]
fn a_colon_before_a_comma_or_a_bracket_belongs_to_a_string() {
    let document = document("a: [1.2.3.4, 001:db8::, x:]\nb: [c: 1, d: , {e: }]\n");
    let texts = |key: &str| -> Vec<String> {
        let items = document.root().get(key).unwrap().items();
        items
            .map(|it| it.text().map_or("mapping".to_owned(), std::borrow::Cow::into_owned))
            .collect()
    };
    assert_eq!(texts("a"), ["1.2.3.4", "001:db8::", "x:"]);
    assert_eq!(texts("b"), ["mapping"; 3]);
}

#[test]
fn a_path_leads_to_a_value_and_names_the_key_before_it() {
    let document = document("a:\n- b: {x/y: 1}\n- c: [2, 3]\n");
    let root = document.root();
    let items: Vec<_> = root.get("a").unwrap().items().collect();
    let path = |value| {
        let (path, key) = root.path_to(value);
        (path, key.and_then(|key| key.text().map(std::borrow::Cow::into_owned)))
    };
    let three = items[1].get("c").unwrap().items().nth(1).unwrap();
    assert_eq!(path(three), ("a[1].c[1]".to_owned(), Some("c".to_owned())));
    let inner = items[0].at(&["b", "x/y"]).unwrap();
    assert_eq!(path(inner), ("a[0].b[x/y]".to_owned(), Some("x/y".to_owned())));
    assert_eq!(path(root), (String::new(), None));
}

#[test]
fn a_broken_document_loses_only_itself() {
    let text = "a: 1\n---\nb: [1\n---\nc: 3\n---\nd: 'x\n---\n# nothing\n---\ne: 5\n";
    let stream = stream(text);
    let keys: Vec<_> = stream.documents.iter().map(|d| slice(text, d.root().span())).collect();
    assert_eq!(keys, ["a: 1", "c: 3", "e: 5"]);
    let errors: Vec<_> =
        stream.errors.iter().map(|e| (slice(text, e.span), e.message.as_str())).collect();
    assert_eq!(errors, [("[", "`[` is never closed"), ("'", "the quote is never closed")]);
}

#[test]
fn several_json_values_without_a_separator_are_explained() {
    let stream = stream("{\"a\": 1}\n{\"b\": 2}\n");
    assert_eq!(stream.documents.len(), 1);
    assert!(stream.errors[0].message.starts_with("a second value in one document"));
    assert_eq!(stream.errors[0].span, Span::new(BASE + 9, BASE + 10));
}

#[test]
fn duplicate_keys_are_compared_by_value_and_the_last_one_wins() {
    let text = "a: 1\nb: {x: 1, 'x': 2}\n\"\\x61\": 3\n";
    let document = document(text);
    let found: Vec<_> = document
        .duplicate_keys()
        .into_iter()
        .map(|d| (d.key, slice(text, d.first), slice(text, d.again)))
        .collect();
    assert_eq!(found, [("a".to_owned(), "a", "\"\\x61\""), ("x".to_owned(), "x", "'x'")]);
    assert_eq!(document.root().get("a").unwrap().scalar(), Some(Scalar::Int(3)));
    assert_eq!(document.root().entries().count(), 2);
}

#[test]
fn merge_keys_are_expanded_and_own_keys_win() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {<<: *base, b: 3, c: 4}\nit:\n  <<: [*more, *base]\n  c: 5\n";
    let document = document(text);
    let it = document.root().get("it").unwrap();
    let found: Vec<_> =
        it.entries().map(|(k, v)| (k.text().unwrap().into_owned(), v.text().unwrap())).collect();
    let expected = [("c", "5"), ("b", "3"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.into()));
    assert_eq!(found, expected);
    assert_eq!(it.get("a").unwrap().scalar(), Some(Scalar::Int(1)));
    assert_eq!(
        stream("a: &a {b: *a}").errors[0].message,
        "the value of anchor `a` contains itself"
    );
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    host: Text,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    labels: Entries<Text>,
    #[serde(default)]
    replicas: Option<i32>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    number: Spanned<u16>,
    #[serde(default)]
    target_port: Option<IntOrString>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Mode {
    #[default]
    Strict,
    Permissive,
}

#[test]
fn one_bad_field_does_not_lose_the_rest() {
    let text = "\
host: 8080
ports:
- number: 80
  targetPort: http
- number: '81'
- number: 70000
- {number: 82, targetPort: true}
labels: {app.kubernetes.io/name: shop, bad: [1], version: 1.10}
replicas: 3.0
mode: PERMISSIVE
annotations: [ignored]
";
    let document = document(text);
    let (service, mismatches) = document.root().read::<Service>();
    let service = service.unwrap();
    assert_eq!((service.host.as_str(), slice(text, service.host.span)), ("8080", "8080"));
    let ports: Vec<_> = service.ports.iter().map(|p| (p.number.value, &p.target_port)).collect();
    assert_eq!(ports, [(80, &Some(IntOrString::Str("http".into()))), (82, &None)]);
    assert_eq!(service.labels.get("version").unwrap().value, "1.10");
    assert_eq!(service.mode, Mode::Permissive);
    assert_eq!(service.replicas, None);
    let found: Vec<_> = mismatches
        .iter()
        .map(|m| (slice(text, m.span), m.path.as_str(), m.message.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("'81'", "ports[1].number", "expected a whole number from 0 to 65535, found a string"),
            (
                "70000",
                "ports[2].number",
                "expected a whole number from 0 to 65535, found the number 70000"
            ),
            ("true", "ports[3].targetPort", "expected a whole number or a string, found `true`"),
            ("[1]", "labels.bad", "expected a string, found a list"),
            ("3.0", "replicas", "expected a whole number of 32 bits, found the number 3.0"),
        ]
    );
}

#[test]
fn null_is_nothing_and_what_is_required_is_asked_for() {
    let read = |text: &str| {
        let document = document(text);
        let (service, mismatches) = document.root().read::<Service>();
        (service.is_some(), mismatches.into_iter().map(|m| m.message).collect::<Vec<_>>())
    };
    assert_eq!(read("{host: a, labels: , ports: null}"), (true, vec![]));
    assert_eq!(read("host:"), (false, vec!["`host` is missing".into()]));
    assert_eq!(read("host: {}"), (false, vec!["expected a string, found a mapping".into()]));
    assert_eq!(read("[]"), (false, vec!["expected a mapping, found a list".into()]));
}

#[test]
fn aliases_neither_multiply_nor_overflow() {
    let mut laughs = "l0: &l0 [a, b, c, d, e, f, g, h, i]\n".to_owned();
    for i in 1..12 {
        let aliases = vec![format!("*l{}", i - 1); 9].join(", ");
        let line = format!(
            "l{i}: &l{i} [{aliases}]
"
        );
        laughs.push_str(&line);
    }
    let laughs = document(&laughs);
    let (value, mismatches) = laughs.root().read::<serde_json::Value>();
    assert!(value.is_none());
    assert_eq!(mismatches[0].message, "aliases make this document too large");

    let mut chain = "c0: &c0 {}\n".to_owned();
    for i in 1..300 {
        let link = format!(
            "c{i}: &c{i} {{<<: *c{0}, k: *c{0}}}
",
            i - 1
        );
        chain.push_str(&link);
    }
    let chain = document(&chain);
    assert!(chain.root().get("c299").unwrap().get("absent").is_none());
    let (_, mismatches) = chain.root().get("c299").unwrap().read::<serde_json::Value>();
    assert_eq!(mismatches[0].message, "nested more than 128 levels deep");
}

fn json(document: &Document) -> serde_json::Value {
    document.root().read().0.expect("any document is JSON")
}

/// A deployment, and a patch that begins where the deployment ends.
fn patched(base: &str, patch: &str) -> (Document, String) {
    let base_document = document(base);
    let at = BASE + u32::try_from(base.len()).expect("a short text");
    let mut patch_stream = yaml::parse(&Arc::from(patch), at);
    (base_document.patched(&patch_stream.documents.remove(0)), format!("{base}{patch}"))
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, labels: {a: x, b: w}}
spec:
  replicas: 2
  template:
    spec:
      nodeSelector: &zone {zone: a}
      affinity: *zone
      containers:
      - name: app
        image: app:1
        args: [a, b]
        env: [{name: A, value: '1'}, {name: B, value: '2'}]
        ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]
      - {name: sidecar, image: proxy:1}
";

#[test]
fn a_strategic_merge_patch_merges_lists_by_their_keys() {
    let (document, text) = patched(
        DEPLOYMENT,
        "\
kind: Other
metadata: {name: other, labels: {a: null, c: z}}
spec:
  template:
    spec:
      nodeSelector: {$patch: replace, disk: ssd}
      affinity: {$patch: delete}
      containers:
      - name: app
        image: \"app:2\"
        args: [c]
        env: [{name: B, $patch: delete}, {name: C, value: '3'}]
        ports: [{containerPort: 80, protocol: TCP, name: http}]
",
    );
    let expected = serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cart", "labels": {"b": "w", "c": "z"}},
        "spec": {"replicas": 2, "template": {"spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [
                {"name": "app", "image": "app:2", "args": ["c"],
                 "env": [{"name": "C", "value": "3"}, {"name": "A", "value": "1"}],
                 "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"},
                           {"containerPort": 80, "protocol": "UDP"}]},
                {"name": "sidecar", "image": "proxy:1"},
            ],
        }}},
    });
    assert_eq!(json(&document), expected);
    for value in all(&document).into_iter().filter(|value| value.shape() == Shape::Scalar) {
        let raw = slice(&text, value.span()).trim_matches(['\'', '"']);
        assert_eq!(value.text().unwrap(), raw);
    }
}

#[test]
fn lists_of_custom_resources_are_replaced() {
    let base = "apiVersion: example.com/v1\nkind: Any\nspec: {containers: [{name: a}], mode: x}\n";
    let (document, _) = patched(base, "spec: {containers: [{name: b, c: null}]}\n");
    let spec = serde_json::json!({"containers": [{"name": "b"}], "mode": "x"});
    assert_eq!(json(&document)["spec"], spec);
    let (document, _) = patched(base, "$patch: delete\n");
    assert!(document.root().is_null());
}

#[test]
fn copies_of_copies_are_refused() {
    let copies: String = (0..40).fold(String::new(), |all, i| {
        all + &format!("- {{op: copy, from: /spec, path: /spec/x{i}}}\n")
    });
    let refused = document("spec: {a: b}\n").patched_by_json(document(&copies).root());
    assert_eq!(refused.unwrap_err().message, "the document gets too large");
    let deeper = "- {op: move, from: /a, path: /b/a}\n- {op: add, path: /c, value: {}}\n- {op: move, from: /b, path: /c/a}\n\
                  - {op: move, from: /c, path: /a}\n- {op: add, path: /b, value: {}}\n";
    let refused = document("a: {}\nb: {}\n").patched_by_json(document(&deeper.repeat(200)).root());
    assert_eq!(refused.unwrap_err().message, "the document gets too large");
}

#[test]
fn a_json_patch_is_applied_in_order() {
    let apply = |operations: &str| {
        let operations = document(operations);
        document(DEPLOYMENT).patched_by_json(operations.root())
    };
    let document = apply(
        "
- {op: test, path: /spec/replicas, value: 2}
- {op: replace, path: /spec/replicas, value: 5}
- {op: add, path: /metadata/labels/example.com~1zone, value: east}
- {op: remove, path: /spec/template/spec/containers/0/env/0}
- {op: add, path: /spec/template/spec/containers/0/args/-, value: c}
- {op: add, path: /spec/template/spec/containers/0/args/0, value: z}
- {op: copy, from: /metadata/labels/a, path: /metadata/labels/d}
- {op: move, from: /metadata/labels/b, path: /metadata/labels/e}
",
    )
    .unwrap();
    let json = json(&document);
    assert_eq!(json["spec"]["replicas"], 5);
    let labels = serde_json::json!({"a": "x", "example.com/zone": "east", "d": "x", "e": "w"});
    assert_eq!(json["metadata"]["labels"], labels);
    let app = &json["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(app["args"], serde_json::json!(["z", "a", "b", "c"]));
    assert_eq!(app["env"], serde_json::json!([{"name": "B", "value": "2"}]));

    let refusal = |operations: &str| {
        let mismatch = apply(operations).unwrap_err();
        (slice(operations, mismatch.span).to_owned(), mismatch.path, mismatch.message)
    };
    let expected = ("/spec/none/x".into(), "[1]".into(), "there is no `none` at this path".into());
    let first = "- {op: test, path: /kind, value: Deployment}";
    assert_eq!(refusal(&format!("{first}\n- {{op: remove, path: /spec/none/x}}")), expected);
    assert_eq!(refusal("[{op: add, path: /x}]").2, "`value` is missing");
}

#[test]
fn embedded_yaml_has_its_true_places() {
    let meshes = [
        "data:\r\n  mesh: |-\r\n    # 註\r\n    trustDomain: \"td\"\r\n\r\n    list:\r\n    - 名: [1, x y]\r\n    rest: |\r\n      inner\r\n",
        "data: {\"mesh\": \"# 註\\ntrustDomain: \\\"td\\\"\\nlist:\\n- 名: [1, \\u0078 y]\\nrest: inner\\n\"}",
        "data:\n  mesh: '{trustDomain: \"td\", list: [{名: [1, x y]}], rest: inner} # 註'",
    ];
    for text in meshes {
        let outer = document(text);
        let mesh = outer.root().at(&["data", "mesh"]).unwrap();
        let mut inner = mesh.embedded();
        assert_eq!(inner.errors, []);
        assert_eq!(slice(text, inner.comments[0]), "# 註");
        let inner = inner.documents.remove(0);
        let list = inner.root().get("list").unwrap().items().next().unwrap();
        let item = list.get("名").unwrap().items().nth(1).unwrap();
        assert_eq!(item.as_str().unwrap(), "x y");
        assert_eq!(slice(text, item.span()).replace("\\u0078", "x"), "x y");
        assert_eq!(
            slice(text, inner.root().get("trustDomain").unwrap().span()).trim_matches(['\\', '"']),
            "td"
        );
        assert_eq!(inner.root().get("rest").unwrap().as_str().unwrap().trim_end(), "inner");
    }
    let text = "mesh: |\n  a: 1\n  b: [\n";
    let stream = document(text).root().get("mesh").unwrap().embedded();
    assert_eq!(slice(text, stream.errors[0].span), "[");
    let text = "mesh: >-\n  {a:\n  1}\n";
    let stream = document(text).root().get("mesh").unwrap().embedded();
    let root = stream.documents[0].root();
    assert_eq!(slice(text, root.get("a").unwrap().span()), ">-\n  {a:\n  1}");
    assert_eq!(root.get("a").unwrap().scalar(), Some(Scalar::Int(1)));
}

/// Everything that can be asked of a text, and what must hold of each answer.
fn exercise(text: &str) {
    let stream = stream(text);
    let check =
        |span: Span| assert!(span.start <= span.end && slice(text, span).len() == span.len());
    stream.errors.iter().for_each(|error| check(error.span));
    stream.comments.iter().for_each(|&comment| check(comment));
    for document in &stream.documents {
        for duplicate in document.duplicate_keys() {
            check(duplicate.first);
            check(duplicate.again);
        }
        let (_, mismatches) = document.root().read::<serde_json::Value>();
        mismatches.iter().map(|mismatch| mismatch.span).for_each(check);
        let (_, mismatches) = document.root().read::<Service>();
        mismatches.iter().map(|mismatch| mismatch.span).for_each(check);
        for value in all(document) {
            let span = value.span();
            check(span);
            assert!(document.root().span().contains(span) || value.shape() == Shape::Scalar);
            let (raw, cooked) = (slice(text, span), value.text());
            match value.style() {
                Some(Style::Literal | Style::Folded) => {
                    assert!(raw.starts_with(['|', '>', '*']), "{raw:?} in {text:?}");
                    check_embedded(text, value);
                }
                Some(Style::Single | Style::Double) => {
                    assert!(raw.len() >= 2 && raw.starts_with(['\'', '"']) || raw.starts_with('*'));
                    check_embedded(text, value);
                }
                Some(Style::Plain) if !raw.contains(['\n', '\r']) && !raw.starts_with('*') => {
                    assert_eq!(cooked.as_deref(), Some(raw), "in {text:?}");
                }
                _ => {}
            }
        }
        let _ = document.patched(document);
        let _ = document.patched_by_json(document.root());
    }
}

fn check_embedded(text: &str, outer: Value<'_>) {
    let stream = outer.embedded();
    for document in &stream.documents {
        for value in all(document) {
            assert_eq!(slice(text, value.span()).len(), value.span().len());
        }
    }
    stream.errors.iter().for_each(|error| assert!(slice(text, error.span).len() <= text.len()));
}

const SEEDS: &[&str] = &[
    DEPLOYMENT,
    "\u{feff}a: &x\r\n  - |+2\r\n     t\r\n\r\n  - >-\r\n   é\r\n   f\r\nb: *x\r\n<<: {c: ~}\r\n---\r\n? [k]\r\n: \"\\u00e9\\\r\n  x\" # 終\r\n",
    "{\"a\": [1, {\"b\": \"c\\nd: 'e'\"}], 'f': 'it''s'}\n...\n%YAML 1.1\n---\n!!map {a: !!str , b: !x 1}\n",
    "m: |\n  a: 1\n  b:\n  - c: |\n     d\n\n  e: \"f\\tg\"\nn: '{h: i}'\no: \"- j\\n- k: \\\"l\\\"\"\n",
];

/// What an edit puts in: YAML's own characters, and pieces that go together badly.
const PIECES: &[&str] = &[
    "", "\n", "\r\n", "\r", " ", "  ", "\t", "-", "- ", ":", ": ", "?", "? ", "#", " #", "&a ",
    "*a", "!", "!!str ", "|", ">", "|-\n", "'", "\"", "\\", "[", "]", "{", "}", ",", "%", "@", "`",
    "~", "<<: ", "---\n", "...\n", "\u{feff}", "é", "終", "\u{85}", "\u{2028}", "\0", "😀",
    "<<: *x\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,60}") {
        exercise(&text);
    }

    #[test]
    fn no_edit_is_too_strange(
        seed in proptest::sample::select(SEEDS),
        edits in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..12usize, proptest::sample::select(PIECES)), 1..6),
    ) {
        let mut text: Vec<char> = seed.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.chars());
        }
        exercise(&text.into_iter().collect::<String>());
    }
}

#[test]
fn depth_is_an_error_and_no_crash() {
    for text in ["[".repeat(100_000), "- ".repeat(10_000), "{a: ".repeat(20_000)] {
        let stream = stream(&text);
        assert_eq!(stream.errors.len(), 1);
        assert_eq!(stream.errors[0].message, "nested more than 255 levels deep");
    }
    exercise(&format!("{}{}", "[".repeat(250), "]".repeat(250)));
}

/// Real manifests below `corpus` and `cases` of a folder beside the project, or of `MESH_LINT_SHARED`.
/// Without such a folder there is nothing to test.
#[test]
fn of_real_manifests_only_templates_break() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");
    let shared = PathBuf::from(std::env::var_os("MESH_LINT_SHARED").unwrap_or(beside.into()));
    let (mut files, mut documents, mut broken) = (0, 0, 0);
    let folders = ["corpus", "cases"].map(|name| walkdir::WalkDir::new(shared.join(name)));
    for entry in folders.into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        exercise(&text);
        let stream = stream(&text);
        files += 1;
        documents += stream.documents.len();
        broken += stream.errors.len();
        let is_fine = stream.errors.is_empty() || text.contains("{{");
        assert!(is_fine, "{}: {:?}", path.display(), stream.errors);
    }
    println!("{files} files, {documents} documents, {broken} broken");
}
