//! Matches of VirtualServices that no request has.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{HttpMatch, StringMatch};
use crate::mesh::Mesh;
use crate::source::Text;

/// A value, why no request has it, and what to write instead.
type Wrong<'m> = (&'m Text, String, String);

/// Methods that clients send; they are compared letter by letter.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Of a path, which begins with a slash and has no query where routes look at it.
fn of_uri(uri: &StringMatch) -> Option<Wrong<'_>> {
    let told = uri.exact.as_ref().or(uri.prefix.as_ref())?;
    if told.is_empty() || is_placeholder(told) {
        return None;
    }
    if let Some((path, _)) = told.split_once('?') {
        let help = format!("write `{path}`, and match the query by `queryParams`");
        return Some((told, "the query is no part of the path that is compared".to_owned(), help));
    }
    if !told.starts_with('/') {
        let help = if told.starts_with(['^', '.', '(', '*']) {
            "write a regular expression under `regex`".to_owned()
        } else {
            format!("write `/{told}`")
        };
        return Some((told, "each path begins with a slash".to_owned(), help));
    }
    let path = told.strip_suffix('*')?;
    let help = format!("write `prefix: {path}`");
    Some((told, "a `*` is taken as it stands here".to_owned(), help))
}

fn of_method(method: &StringMatch) -> Option<Wrong<'_>> {
    let told = method.exact.as_ref().filter(|told| !METHODS.contains(&told.as_str()))?;
    let upper = told.to_ascii_uppercase();
    let why = "methods are compared letter by letter, and are in capitals".to_owned();
    METHODS.contains(&upper.as_str()).then(|| (told, why, format!("write `{upper}`")))
}

/// A header that has to be there, and must not.
fn of_headers(told: &HttpMatch) -> Option<Wrong<'_>> {
    let is_bare =
        |it: &StringMatch| it.exact.is_none() && it.prefix.is_none() && it.regex.is_none();
    let mut absent = told.without_headers.iter().filter(|(_, it)| is_bare(it));
    let (key, _) = absent.find(|(key, _)| told.headers.get(key).is_some())?;
    let why = "asks for requests without this header, and `headers` for those with it".to_owned();
    Some((key, why, "keep one of them, or say which value the header must not have".to_owned()))
}

pub(super) fn impossible_match(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.virtual_services.iter().filter(|s| !mesh.is_assumed(&s.meta)) {
        for one in service.http.iter().flat_map(|rule| &rule.matches) {
            let uri = one.uri.as_ref().and_then(of_uri);
            let method = one.method.as_ref().and_then(of_method);
            for (value, why, help) in uri.into_iter().chain(method).chain(of_headers(one)) {
                if told.insert(value.span) {
                    let name = service.name();
                    let message =
                        format!("no request fits `{value}`, which VirtualService `{name}` matches");
                    found.say(message, value.span, why).help(help);
                }
            }
        }
    }
}
