//! Durations as Go reads them: `1h30m`, `1.5s`, `-3ms`, `0`.

/// Whole seconds, or `None` where Go's `time.ParseDuration` refuses the text.
pub fn seconds(text: &str) -> Option<i64> {
    i64::try_from(nanoseconds(text)? / 1_000_000_000).ok()
}

/// Nanoseconds, or `None` where Go's `time.ParseDuration` refuses the text.
pub fn nanoseconds(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0i128;
    while !rest.is_empty() || sum == 0 {
        let len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(len);
        let len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(len);
        sum = sum.checked_add(part(number, unit_in_nanoseconds(unit)?)?)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    i64::try_from(sum).ok().map(|sum| sign * i128::from(sum))
}

fn part(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.bytes() {
        scale /= 10;
        sum += i128::from(digit - b'0') * scale;
    }
    Some(sum)
}

fn unit_in_nanoseconds(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A millisecond: the least that Istio counts in.
pub(super) const MILLISECOND: i128 = 1_000_000;
/// A second.
pub(super) const SECOND: i128 = 1_000_000_000;

/// A time as the Gateway API takes it: at most four numbers of at most five digits, each with its unit.
pub(super) fn is_time(text: &str) -> bool {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = ["ms", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit));
        let Some(unit) = unit.filter(|_| (1..=5).contains(&digits)) else { return false };
        rest = &rest[digits + unit.len()..];
        parts += 1;
    }
    (1..=4).contains(&parts)
}

#[cfg(test)]
mod tests {
    use super::{is_time, nanoseconds};

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(nanoseconds("1h30m"), Some(5_400_000_000_000));
        assert_eq!(nanoseconds("1.5s"), Some(1_500_000_000));
        assert_eq!(nanoseconds("-3ms"), Some(-3_000_000));
        assert_eq!(
            (nanoseconds("0"), nanoseconds("0s"), nanoseconds(".5s")),
            (Some(0), Some(0), Some(500_000_000))
        );
        for bad in ["", "5", "s", "1d", "1.2.3s", "1 s", "5s3", "-"] {
            assert_eq!(nanoseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_the_gateway_api_are_whole() {
        assert!(is_time("10s") && is_time("1m30s") && is_time("1h2m3s4ms") && is_time("0s"));
        for bad in ["", "10", "10 s", "1.5s", "123456s", "1h1m1s1ms1h", "5d", "é"] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
