//! Names, keys and texts as the API server takes them. Source: `k8s.io/apimachinery/pkg/util/validation`.
//!
//! A name of which a part is still to be filled in (`MY_APP-web`, `<name>-web`) is let through.

/// What [`is_label`] takes.
pub(super) const LABEL: &str =
    "write at most 63 lower-case letters, digits and inner `-`: it is a DNS label";

/// What [`is_subdomain`] takes.
pub(super) const SUBDOMAIN: &str =
    "write lower-case letters, digits, inner `-` and `.`, a letter or digit first and last";

/// A DNS label in lower case.
pub(super) fn is_label(name: &str) -> bool {
    (name.len() <= 63 && is_lower_word(name)) || is_open(name)
}

/// DNS labels in lower case with dots between. Source: `IsDNS1123Subdomain`, which does not bound the
/// labels.
pub(super) fn is_subdomain(name: &str) -> bool {
    (name.len() <= 253 && name.split('.').all(is_lower_word)) || is_open(name)
}

/// A host of a route or listener: a DNS name in lower case, its first label perhaps `*`.
pub(super) fn is_hostname(name: &str) -> bool {
    is_subdomain(name.strip_prefix("*.").unwrap_or(name))
}

/// The name of a port of a container. Source: `IsValidPortName`.
pub(super) fn is_port_name(name: &str) -> bool {
    let is_sound = name.len() <= 15
        && is_lower_word(name)
        && !name.contains("--")
        && name.bytes().any(|b| b.is_ascii_lowercase());
    is_sound || is_marked(name)
}

/// The name of a port of a Service.
pub(super) fn is_service_port_name(name: &str) -> bool {
    (name.len() <= 63 && is_lower_word(name)) || is_marked(name)
}

/// The value of a label.
pub(super) fn is_label_value(value: &str) -> bool {
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    let is_sound = bytes.len() <= 63
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    value.is_empty() || is_sound || is_open(value)
}

/// A number of pods in per cent.
pub(super) fn is_share(text: &str) -> bool {
    let digits = text.strip_suffix('%');
    digits.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()))
}

/// Base64 as Go decodes it: padded, line breaks ignored. What a tool is still to fill in counts too: a
/// reference to a vault, an encrypted value, `BASE64_OF_IT`, `LS0t...`.
pub(super) fn is_base64(text: &str) -> bool {
    let bare = || text.bytes().filter(|b| !b"\r\n".contains(b));
    let padding = bare().skip_while(|b| *b != b'=').count();
    let inner = bare().take_while(|b| *b != b'=');
    let is_sound = bare().count() % 4 == 0
        && padding <= 2
        && bare().skip_while(|b| *b != b'=').all(|b| b == b'=')
        && inner.into_iter().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
    let references = ["ref+", "vault:", "op://", "ENC["];
    is_sound
        || references.iter().any(|start| text.starts_with(start))
        || text.contains("...")
        || text.contains('<')
        || (text.contains('_') && is_shouted(text))
}

/// A letter or digit first and last, and `-` between, all in lower case.
fn is_lower_word(name: &str) -> bool {
    let bytes = name.as_bytes();
    !name.starts_with('-')
        && !name.ends_with('-')
        && !name.is_empty()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// Whether a part of a text is still to be filled in: it is marked as that, or shouted.
fn is_open(text: &str) -> bool {
    is_marked(text) || text.split(['-', '.']).any(is_shouted)
}

/// The same of a text that people may well write in capitals.
fn is_marked(text: &str) -> bool {
    text.contains(['$', '{', '<', '[', '%', '@']) || (text.contains('_') && is_shouted(text))
}

/// `MY_APP`, as scripts write what they fill in.
fn is_shouted(word: &str) -> bool {
    word.len() > 1
        && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_api_server_takes() {
        assert!(is_label("cart") && is_label("1st") && is_label("MY_APP-web"));
        assert!(
            !is_label("cart.v1") && !is_label("Cart") && !is_label("cart_v1") && !is_label("a-")
        );
        assert!(!is_label(&"a".repeat(64)));
        assert!(is_subdomain("cart.shop") && is_subdomain("<name>-web"));
        assert!(!is_subdomain("cart..shop") && !is_subdomain("cartService"));
        assert!(is_port_name("http-web") && is_port_name("8080x") && is_port_name("$(PORT)"));
        assert!(!is_port_name("HTTP") && is_port_name("PORT_NAME"));
        assert!(!is_port_name("8080") && !is_port_name("http--web"));
        assert!(!is_port_name("a-very-long-port"));
        assert!(is_label_value("v1.2_3") && is_label_value("") && !is_label_value("a b"));
        assert!(!is_label_value(&"a".repeat(64)));
    }

    #[test]
    fn hosts_of_the_gateway_api_have_no_port() {
        assert!(is_hostname("*.example.com") && is_hostname("a-1.example"));
        assert!(!is_hostname("a.example:80") && !is_hostname("a.*.b") && !is_hostname("A.b"));
    }

    #[test]
    fn base64_is_what_go_decodes() {
        for good in
            ["", "aHVudGVyMg==", "YWJj\nYWJj", "ref+vault://a#b", "LS0tLS1...", "BASE64_OF_IT"]
        {
            assert!(is_base64(good), "{good}");
        }
        for bad in
            ["hunter2", "aHVudGVyMg", "aHVudGVyMg=", "aHVu dGVy", "a=b=", "postgres://u:p@h/d"]
        {
            assert!(!is_base64(bad), "{bad}");
        }
    }

    #[test]
    fn shares_are_in_per_cent() {
        assert!(is_share("50%") && !is_share("%") && !is_share("half") && !is_share("50"));
    }
}
