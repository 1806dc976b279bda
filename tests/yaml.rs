//! YAML as kubectl reads it, with true places, whatever the text.

use std::sync::Arc;

use mesh_lint::source::{Span, Spanned, Text};
use mesh_lint::yaml::{self, Document, Entries, IntOrString, Scalar, Shape, Stream, Value};
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
        laughs += &format!("l{i}: &l{i} [{aliases}]\n");
    }
    let laughs = document(&laughs);
    let (value, mismatches) = laughs.root().read::<serde_json::Value>();
    assert!(value.is_none());
    assert_eq!(mismatches[0].message, "aliases make this document too large");

    let mut chain = "c0: &c0 {}\n".to_owned();
    for i in 1..300 {
        chain += &format!("c{i}: &c{i} {{<<: *c{}, k: *c{}}}\n", i - 1, i - 1);
    }
    let chain = document(&chain);
    assert!(chain.root().get("c299").unwrap().get("absent").is_none());
    let (_, mismatches) = chain.root().get("c299").unwrap().read::<serde_json::Value>();
    assert_eq!(mismatches[0].message, "nested more than 128 levels deep");
}

#[test]
fn shapes() {
    let document = document("a: [1]\n");
    assert_eq!(document.root().shape(), Shape::Mapping);
    assert_eq!(document.root().at(&["a"]).unwrap().shape(), Shape::Sequence);
    assert_eq!(all(&document).len(), 4);
}
