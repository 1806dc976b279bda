//! Headers and retries, as Istio's webhook checks them.

/// The characters of a header's name.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+,-.^_`|~".contains(&b))
}

/// A header that a route may look at: a name, a pseudo header, or a claim of a token.
pub(super) fn is_match_header(name: &str) -> bool {
    let pseudo = [":method", ":scheme", ":authority", ":path", ":status"];
    is_claim(name) || pseudo.contains(&name) || is_token(name)
}

/// `@request.auth.claims.NAME` or `@request.auth.claims[NAME]`.
pub(super) fn is_claim(name: &str) -> bool {
    const CLAIMS: &str = "@request.auth.claims";
    let Some((head, rest)) = name.split_at_checked(CLAIMS.len()) else { return false };
    let dotted = rest.len() > 1 && rest.starts_with('.');
    let bracketed = rest.len() > 2 && rest.starts_with('[') && rest.ends_with(']');
    head.eq_ignore_ascii_case(CLAIMS) && (dotted || bracketed)
}

/// The conditions of a retry; the webhook does not trim them.
pub(super) fn is_retry_on(text: &str) -> bool {
    const CONDITIONS: &[&str] = &[
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ];
    text.split(',')
        .all(|item| CONDITIONS.contains(&item) || item.parse::<u16>().is_ok_and(has_reason_phrase))
}

/// Statuses that have a name.
fn has_reason_phrase(status: u16) -> bool {
    matches!(status,
        100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431
        | 451 | 500..=508 | 510 | 511)
}

/// Statuses that Envoy has a name for.
pub(super) fn is_status_of_envoy(status: u16) -> bool {
    matches!(status,
        100 | 102 | 103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=417 | 421..=424 | 426 | 428 | 429
        | 431 | 500..=508 | 510 | 511)
}

/// What of a header's value is to be read next.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Literal,
    Name,
    Arguments,
    Item,
    Text,
    CommaOrEnd,
    Closing,
    Percent,
}

/// Whether Envoy can format a header's value: plain text and commands such as `%REQ(x-id)%`.
pub(super) fn is_header_value(value: &str) -> bool {
    if value.chars().any(|c| c != '\t' && c.is_ascii_control()) {
        return false;
    }
    let mut chars = value.chars().peekable();
    let mut next = Next::Literal;
    while let Some(c) = chars.next() {
        next = match (next, c) {
            (Next::Literal, '%') if chars.peek() == Some(&'%') => {
                chars.next();
                Next::Literal
            }
            (Next::Literal, '%') => Next::Name,
            (Next::Name | Next::Percent, '%') => Next::Literal,
            (Next::Name, '(') => Next::Arguments,
            (Next::Arguments, '[') | (Next::CommaOrEnd, ',') => Next::Item,
            (Next::Arguments | Next::Item, '"') => Next::Text,
            (Next::Arguments | Next::Closing, ')') => Next::Percent,
            (Next::Text, '\\') if chars.next().is_none() => return false,
            (Next::Text, '"') => Next::CommaOrEnd,
            (Next::CommaOrEnd, ']') => Next::Closing,
            (Next::Literal | Next::Name | Next::Arguments | Next::Text, _) | (_, ' ') => next,
            _ => return false,
        };
    }
    next == Next::Literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_text_and_commands() {
        for good in ["", "a b", "100%%", "%REQ(x-id)%", "%A([\"b\", \"c\"])%!"] {
            assert!(is_header_value(good), "{good}");
        }
        for bad in ["%", "50% off", "%REQ(x", "%A([\"b\")%", "a\nb"] {
            assert!(!is_header_value(bad), "{bad}");
        }
    }

    #[test]
    fn retry_conditions_stand_without_spaces() {
        assert!(is_retry_on("5xx,503,reset") && !is_retry_on("5xx, reset") && !is_retry_on("599"));
    }
}
