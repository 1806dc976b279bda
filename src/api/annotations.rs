//! Values of annotations that Istio reads from pods.

use std::sync::Arc;

use super::fault::{Cause, Faults};
use super::hosts::is_subnet;
use super::mesh_config::proxy_config;
use super::walk::{Reader, walk};
use crate::kinds::is_placeholder;
use crate::yaml::{self, Shape};

/// What is wrong with the value of an annotation that has to look like this (see
/// [`Annotation::format`](crate::kinds::annotations::Annotation::format)); nothing where it is right.
pub fn fault_of_annotation(format: &str, value: &str) -> Option<String> {
    if is_placeholder(value) {
        return None;
    }
    match format {
        "interception mode" => one_of(value, &["REDIRECT", "TPROXY", "NONE"]),
        "port" => number::<u16>(value.trim(), "a port from 0 to 65535"),
        "uint32" => number::<u32>(value, "a whole number from 0 on"),
        "bool" => truth(value),
        "ports or *" | "ranges or *" if value == "*" => None,
        "ports or *" | "ports" => each(value, |port| number::<u16>(port.trim(), "a port")),
        "ranges or *" | "ranges" => each(value, range),
        "interfaces" => each(value, interface),
        "quantity" => quantity(value),
        "proxy config" => proxy(value),
        _ => None,
    }
}

/// The complaint about the first item of a list with commas; an empty list is right.
fn each(list: &str, complaint: impl Fn(&str) -> Option<String>) -> Option<String> {
    list.split(',').filter(|item| !item.is_empty()).find_map(complaint)
}

fn one_of(value: &str, words: &[&str]) -> Option<String> {
    (!words.contains(&value)).then(|| format!("`{value}` is none of {}", words.join(", ")))
}

fn number<N: std::str::FromStr>(value: &str, what: &str) -> Option<String> {
    // Go takes no sign here, and Rust takes a `+`.
    let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    (!is_digits || value.parse::<N>().is_err()).then(|| format!("`{value}` is not {what}"))
}

fn truth(value: &str) -> Option<String> {
    let words = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
    (!words.contains(&value)).then(|| format!("`{value}` is neither true nor false"))
}

fn range(text: &str) -> Option<String> {
    let fits = text.contains('/') && is_subnet(text);
    (!fits).then(|| format!("`{text}` is no range such as `10.0.0.0/8`"))
}

fn interface(name: &str) -> Option<String> {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fits = name.len() <= 15
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(rest);
    (!fits).then(|| format!("`{name}` is not the name of an interface"))
}

/// `500m`, `1.5`, `128Mi`, `1e3`: Kubernetes' `resource.Quantity`.
fn quantity(value: &str) -> Option<String> {
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (digits, suffix) = unsigned.split_at(end);
    let is_number = digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().filter(|b| *b == b'.').count() <= 1;
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|e| e.parse::<i32>().is_ok());
    let units =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let fits = is_number && (exponent || units.contains(&suffix));
    (!fits).then(|| format!("`{value}` is no quantity such as `500m` or `128Mi`"))
}

/// The first thing that is wrong with the text of a ProxyConfig.
fn proxy(text: &str) -> Option<String> {
    let stream = yaml::parse(&Arc::from(text), 0);
    if let Some(error) = stream.errors.first() {
        return Some(format!("it is not YAML: {}", error.message));
    }
    let document = stream.documents.first()?;
    let config = document.root();
    if config.shape() != Shape::Mapping {
        return (!config.is_null()).then(|| "it is not a mapping of settings".to_owned());
    }
    let mut faults = Faults::within(config, "", None);
    walk(config, "MeshProxyConfig", Reader::Istiod, &mut faults);
    proxy_config(config, &mut faults);
    let told = |cause| !matches!(cause, Cause::Deprecated | Cause::Newer | Cause::NotServed);
    let wrong = faults.into_vec().into_iter().find(|fault| told(fault.cause))?;
    // What is there may be a token.
    wrong.message.split(", found").next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::fault_of_annotation;

    #[test]
    fn no_value_of_a_configuration_is_told() {
        let told = fault_of_annotation("proxy config", "proxyMetadata: {TOKEN: 12345}");
        assert!(told.is_some_and(|told| !told.contains("12345")));
    }

    #[test]
    fn values_are_what_istio_takes() {
        let right = [
            ("uint32", "10"),
            ("port", " 15021 "),
            ("ports or *", "*"),
            ("ports", "80,443"),
            ("ports", ""),
            ("ranges", "10.0.0.0/8,fd00::/8"),
            ("interfaces", "eth0,cni0.1"),
            ("quantity", "500m"),
            ("quantity", "1.5Gi"),
            ("quantity", "1e3"),
            ("bool", "True"),
            ("proxy config", "{}"),
            ("proxy config", "concurrency: 2\nproxyMetadata:\n  A: b\n"),
            ("uint32", "${DELAY}"),
        ];
        for (format, value) in right {
            assert_eq!(fault_of_annotation(format, value), None, "{format}: {value}");
        }
        let wrong = [
            ("uint32", "bar"),
            ("uint32", "-1"),
            ("port", "65536"),
            ("ports", "http"),
            ("ranges", "10.0.0.1"),
            ("ranges", "10.0.0.0/33"),
            ("interfaces", "a-very-long-interface"),
            ("quantity", "half"),
            ("bool", "yes"),
            ("interception mode", "redirect"),
            ("proxy config", "concurrency: many"),
            ("proxy config", "- a"),
        ];
        for (format, value) in wrong {
            assert!(fault_of_annotation(format, value).is_some(), "{format}: {value}");
        }
    }
}
