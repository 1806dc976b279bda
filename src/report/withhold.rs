//! What no report may show: values of Secrets, keys, tokens and certificates.

use std::sync::LazyLock;

use regex::Regex;

/// Put in the place of what is withheld.
pub(super) const WITHHELD: &str = "(value withheld)";

/// Long runs of base64: keys, tokens, certificates.
static BODY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[A-Za-z0-9+/=_.-]{60,}").expect("a fixed pattern"));

/// The kind of a resource whose values are secret, broken YAML and JSON included.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"kind["']?\s*:\s*["']?(?:Sealed)?Secret\b"#).expect("a fixed pattern")
});

/// Whether a place lies in a document that has to do with a Secret.
pub(super) fn is_in_secret(text: &str, place: usize) -> bool {
    let place = text.floor_char_boundary(place.min(text.len()));
    let start = text[..place].rfind("\n---").unwrap_or(0);
    let end = text[place..].find("\n---").map_or(text.len(), |at| place + at);
    SECRET.is_match(&text[start..end])
}

/// A line of a manifest as it may be shown, of the same length in bytes so that carets stay in place.
pub(super) fn line(text: &str, secret: bool) -> String {
    if secret {
        // In a Secret every value goes, and keys stay.
        let value = text.find(": ").map(|at| at + 2);
        let plain = ["apiVersion", "kind", "metadata", "name", "namespace", "type"];
        let key = text.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default();
        if plain.contains(&key) {
            return text.to_owned();
        }
        let keep = value.unwrap_or_else(|| text.len() - text.trim_start().len());
        let is_key = value.is_none() && text.trim_end().ends_with(':');
        return if is_key { text.to_owned() } else { masked(text, keep) };
    }
    match BODY.find(text) {
        Some(body) if !looks_like_a_name(body.as_str()) => masked(text, body.start()),
        _ => text.to_owned(),
    }
}

/// Host names, images and paths can be long too; they are words between dots, slashes and hyphens.
fn looks_like_a_name(text: &str) -> bool {
    text.split(['.', '/', '-', '_', '=']).all(|word| word.len() < 30)
}

fn masked(text: &str, keep: usize) -> String {
    let rest = text.len().saturating_sub(keep);
    if rest == 0 {
        return text.to_owned();
    }
    let mut line = text[..keep].to_owned();
    line.push_str(&WITHHELD[..WITHHELD.len().min(rest)]);
    line.extend(std::iter::repeat_n(' ', rest.saturating_sub(WITHHELD.len())));
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn values_of_secrets_and_keys_are_withheld() {
        assert_eq!(line("  password: hunter2", true), "  password: (value ");
        assert_eq!(line("  tls.key: |", true), "  tls.key: (");
        assert_eq!(line("    c29tZSBrZXk=", true), "    (value withh");
        assert_eq!(line("  name: cacerts", true), "  name: cacerts");
        assert_eq!(line("data:", true), "data:");
        let body = format!("    {}", "MIIBszCCAVmgAwIB".repeat(4));
        assert!(line(&body, false).starts_with("    (value withheld)"));
    }

    #[test]
    fn names_are_shown() {
        let host =
            "  host: a-rather-long-service-name.a-rather-long-namespace-name.svc.cluster.local";
        assert_eq!(line(host, false), host);
    }
}
