//! Names and addresses of hosts, as Istio's webhook checks them.

use core::net::{Ipv4Addr, Ipv6Addr};

/// 1 to 63 letters of either case, digits and inner `-`. A word such as `MY_NAMESPACE`, which a script
/// fills in, is let through.
pub(super) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-';
    plain || is_to_be_filled_in(text)
}

/// `MY_NAMESPACE`, `__NAMESPACE__`, `<namespace>`.
fn is_to_be_filled_in(text: &str) -> bool {
    let in_angles = text.starts_with('<') && text.ends_with('>');
    let words = text.trim_matches('_');
    let is_word = |it: &str| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    in_angles
        || (text.contains('_')
            && words.starts_with(|c: char| c.is_ascii_uppercase())
            && words.split('_').all(is_word))
}

/// A label, `*`, or a label after `*` or `*-`.
fn is_wildcard_label(text: &str) -> bool {
    text.len() <= 63
        && (text == "*"
            || is_dns_label(text)
            || text.strip_prefix("*-").is_some_and(is_dns_label)
            || text.strip_prefix('*').is_some_and(is_dns_label))
}

/// Labels with dots between; one may end it.
pub(super) fn is_fqdn(name: &str) -> bool {
    is_name(name, is_dns_label) && !ends_in_a_number(name)
}

/// The same with a first label that may be or begin with `*`.
pub(super) fn is_wildcard_domain(name: &str) -> bool {
    is_name(name, is_wildcard_label) && !(name.contains('.') && ends_in_a_number(name))
}

fn is_name(name: &str, is_first: fn(&str) -> bool) -> bool {
    if name.is_empty() || name.len() > 255 {
        return false;
    }
    let name = if name.len() > 1 { name.strip_suffix('.').unwrap_or(name) } else { name };
    let (first, rest) = name.split_once('.').map_or((name, None), |(f, r)| (f, Some(r)));
    is_first(first) && rest.is_none_or(|rest| rest.split('.').all(is_dns_label))
}

/// No top-level domain consists of digits alone; after one with a dot at its end Istio does not ask.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())
}

/// As [`is_wildcard_domain`], but `*` alone is not enough.
pub(super) fn is_specific_host(name: &str) -> bool {
    name != "*" && is_wildcard_domain(name)
}

/// A name or an address.
pub(super) fn is_host(text: &str) -> bool {
    is_fqdn(text) || is_ip(text)
}

/// An address of either family, perhaps with a zone.
pub fn is_ip(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    match text.split_once('%') {
        Some((address, zone)) => !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// An address, or a range as an address and the length of its prefix.
pub(super) fn is_subnet(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return is_ip(text) };
    let most = match (address.parse::<Ipv4Addr>(), address.parse::<Ipv6Addr>()) {
        (Ok(_), _) => 32,
        (_, Ok(_)) => 128,
        _ => return false,
    };
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    plain && length.parse::<u32>().is_ok_and(|length| length <= most)
}

/// A name or an address, and a port.
pub(super) fn is_address(text: &str) -> bool {
    split_port(text)
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Host and port of `host:port` or `[v6]:port`, as Go's `SplitHostPort` finds them.
pub(super) fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        return Some((inner.strip_suffix(']')?, port));
    }
    (!host.contains([':', '[', ']'])).then_some((host, port))
}

/// Labels with dots between; one may end it.
pub(super) fn is_trust_domain(name: &str) -> bool {
    !name.is_empty() && name.strip_suffix('.').unwrap_or(name).split('.').all(is_dns_label)
}

/// The path of a Unix socket, after `unix://`: absolute and no folder, or abstract.
pub(super) fn is_socket_path(path: &str) -> bool {
    path.starts_with('@') || (path.starts_with('/') && !path.ends_with('/'))
}

/// A host with a `*` elsewhere than as its first label.
pub(super) fn is_partial_wildcard(host: &str) -> bool {
    host.contains('*') && host.len() > 1 && !host.starts_with("*.")
}

/// What a gateway of passed-through TLS may match: a domain, or the name that Istio gives a cluster of
/// another network (`outbound_.80_._.cart.shop.svc.cluster.local`).
pub(super) fn is_sni(name: &str) -> bool {
    if !name.starts_with("outbound_") {
        return is_wildcard_domain(name);
    }
    let parts: Vec<&str> = name.split('_').collect();
    let has = |at: usize, wanted: fn(&char) -> bool| {
        parts.get(at).is_some_and(|part| part.trim_matches('.').chars().any(|c| wanted(&c)))
    };
    parts.len() >= 4 && has(1, char::is_ascii_digit) && has(3, char::is_ascii_alphabetic)
}

/// Whether some name matches both: they are equal, or one's wildcard takes in the other.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let (tail_a, tail_b) = (a.strip_prefix('*'), b.strip_prefix('*'));
    match (tail_a, tail_b) {
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
        (Some(tail), None) => b.ends_with(tail),
        (None, Some(tail)) => a.ends_with(tail),
        (None, None) => a == b,
    }
}

/// Whether every name that `a` matches is matched by `b` too.
pub(super) fn is_covered(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b),
        (None, Some(tail)) => a.ends_with(tail),
        (Some(_), None) => false,
        (None, None) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_are_not() {
        for good in [
            "cart",
            "cart.MY_NAMESPACE.svc",
            "cart.<namespace>.svc",
            "*",
            "*.shop",
            "*-v1.shop",
            "shop.example.com.",
            "1a.b2",
        ] {
            assert!(is_wildcard_domain(good), "{good}");
        }
        for bad in ["", "1.1.1.1", "a..b", "a.*.b", "-a", "a_b"] {
            assert!(!is_wildcard_domain(bad), "{bad}");
        }
        assert!(!is_fqdn("42") && is_fqdn("42."));
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        assert!(is_ip("fe80::1%eth0") && is_ip("10.0.0.1") && !is_ip("10.0.0.01"));
        assert!(is_subnet("10.1.2.3/8") && !is_subnet("10.0.0.0/33") && !is_subnet("10.0.0.0/08"));
        assert!(is_address("[::1]:80") && is_address("a.b:9411") && !is_address("a.b"));
        assert!(is_sni("outbound_.80_._.a.b") && !is_sni("outbound_.80"));
    }

    #[test]
    fn wildcards_overlap_where_one_ends_the_other() {
        assert!(overlap("*.shop.com", "*.com") && overlap("a.com", "*.com"));
        assert!(!overlap("*.shop.com", "*.org"));
        assert!(is_covered("*.shop.com", "*.com") && !is_covered("*.com", "*.shop.com"));
    }
}
