//! Words that look like tokens, keys or certificates, wherever they stand: none is ever shown.

use std::borrow::Cow;
use std::ops::Range;

/// Put in the place of what is withheld.
pub const WITHHELD: &str = "(value withheld)";

/// A text without what looks like a token.
pub fn without_tokens(text: &str) -> Cow<'_, str> {
    let mut left = text;
    let mut told = String::new();
    while let Some(token) = find_token(left) {
        told.push_str(&left[..token.start]);
        told.push_str(WITHHELD);
        left = &left[token.end..];
    }
    if told.is_empty() && left.len() == text.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(told + left)
}

/// The first stretch of a text that looks like a token.
pub fn find_token(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    text.split(|c: char| !is_of_token(c)).find_map(|run| {
        let here = start..start + run.len();
        let next = text[here.end..].chars().next();
        start = here.end + next.map_or(0, char::len_utf8);
        is_token(run).then_some(here)
    })
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '.' | '-')
}

/// A JSON Web Token, long base64, or a long word of mixed letters and digits. Host names, images and
/// paths can be long too; they are words between dots, slashes and hyphens.
fn is_token(run: &str) -> bool {
    let words = || run.split(['.', '/', '-', '_', '=']);
    let is_claims = |part: &str| part.starts_with("eyJ") && part.len() >= 12;
    run.split('.').any(is_claims)
        || run.len() >= 60 && words().any(|word| word.len() >= 30 && !is_of_affinity(word))
        || words().any(is_dense)
}

/// `requiredDuringSchedulingIgnoredDuringExecution`, in paths to fields of pods.
fn is_of_affinity(word: &str) -> bool {
    word.ends_with("DuringSchedulingIgnoredDuringExecution")
}

fn is_dense(word: &str) -> bool {
    let has = |of: fn(&u8) -> bool| word.as_bytes().iter().any(of);
    word.len() >= 32
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::without_tokens;

    #[test]
    fn tokens_are_withheld_and_names_are_shown() {
        let shown = |text: &str| without_tokens(text).into_owned();
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        assert_eq!(shown(&format!("user `{token}` of")), "user `(value withheld)` of");
        assert_eq!(shown(&format!("{token}, {token}")), "(value withheld), (value withheld)");
        assert_eq!(shown(&format!("é{}é", "MIIBszCCAVmgAwIB".repeat(4))), "é(value withheld)é");
        assert_eq!(shown("k9Jd83hdKl20Dk38dkPq02mNx83jdk2Zz"), "(value withheld)");
        for name in [
            "",
            "eyJ",
            "a-rather-long-service-name.a-rather-long-namespace-name.svc.cluster.local",
            "`clusters/East1/apps/shop/base/HttpConnectionManager3.yaml`",
            "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "spec.template.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            "9f86d081884c7d659a2feaa0c55ad015",
            "mesh-lint: ignore[subsets/destination-subset-missing-across-clusters]",
        ] {
            assert_eq!(shown(name), name);
        }
    }
}
