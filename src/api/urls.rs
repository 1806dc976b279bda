//! URLs as Go reads them, which is leniently.

/// A URL's scheme, and whether anything but a path follows it.
struct Url<'u> {
    scheme: &'u str,
}

/// Reads a URL as `url.Parse`, or as `url.ParseRequestURI` where it comes with a request.
fn parse(text: &str, of_request: bool) -> Option<Url<'_>> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) || (of_request && text.is_empty()) {
        return None;
    }
    let text = if of_request { text } else { text.split('#').next().unwrap_or_default() };
    let (scheme, rest) = scheme(text)?;
    let rest = rest.split('?').next().unwrap_or_default();
    let rest = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() || of_request => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            is_authority(authority).then_some(path)?
        }
        _ if rest.starts_with('/') => rest,
        _ if !scheme.is_empty() => return Some(Url { scheme }),
        _ if of_request => return None,
        // A colon in the first part of a relative path would be taken for a scheme's.
        _ if rest.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        _ => rest,
    };
    has_sound_escapes(rest).then_some(Url { scheme })
}

/// The scheme, empty where there is none, and the rest. `None` where a `:` stands first.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some(("", text))
}

fn is_authority(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((name, port)) => (name, port),
            None => return false,
        },
        None => host.rfind(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_in_brackets = host.starts_with('[');
    port.bytes().all(|b| b.is_ascii_digit())
        && has_sound_escapes(name)
        && (is_in_brackets || (!name.contains(':') && has_no_plain_escapes(name)))
        && !name.bytes().any(|b| b" \"<>\\^`{|}".contains(&b))
}

fn has_sound_escapes(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// A host escapes no letter that needs it not.
fn has_no_plain_escapes(host: &str) -> bool {
    host.split('%').skip(1).all(|after| after.starts_with("25") || after.as_bytes()[0] > b'7')
}

/// Where keys are fetched from, or the name of a variable that a script replaces by that.
pub(super) fn is_jwks_uri(text: &str) -> bool {
    let is_variable = text.contains('_')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_variable || parse(text, false).is_some_and(|url| is_one_of(url.scheme, &["http", "https"]))
}

/// Where a plugin is fetched from; without a scheme it is an image.
pub(super) fn is_wasm_url(text: &str) -> bool {
    let schemes = ["", "file", "http", "https", "oci"];
    match parse(text, true) {
        Some(url) => is_one_of(url.scheme, &schemes),
        None => parse(&format!("http://{text}"), true).is_some(),
    }
}

fn is_one_of(scheme: &str, known: &[&str]) -> bool {
    known.iter().any(|it| it.eq_ignore_ascii_case(scheme))
}

/// A path that Go reads as a URL and that begins at the root.
pub(super) fn is_absolute_path(text: &str) -> bool {
    text.starts_with('/') && parse(text, false).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_leniently() {
        assert!(is_jwks_uri("https://a.b/c?d=e") && is_jwks_uri("http://localhost:8080"));
        assert!(is_jwks_uri("JWKS_URI") && !is_jwks_uri("JWKS"));
        assert!(!is_jwks_uri("file://a") && !is_jwks_uri("https://a:b/") && !is_jwks_uri("a.b"));
        assert!(is_wasm_url("ghcr.io/a/b:v1") && is_wasm_url("oci://ghcr.io/a/b"));
        assert!(is_wasm_url("http://[::1]:80/a") && is_wasm_url("http://%e4.b/"));
        for bad in ["ftp://a.b/c", "::1", "2001:db8::1", "%41"] {
            assert!(!is_wasm_url(bad), "{bad}");
        }
    }
}
