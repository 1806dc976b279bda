//! Points in time, as typed and as the clock tells.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, by the machine's clock.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Reads `2026-11-24` or `2026-11-24T12:30:00Z` as seconds since 1970.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a date such as 2026-11-24 or 2026-11-24T12:30:00Z");
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let time = time.strip_suffix('Z').ok_or_else(wrong)?;
    let numbers = |text: &str, by: char| -> Option<Vec<i64>> {
        text.split(by).map(|part| part.parse().ok().filter(|n| *n >= 0)).collect()
    };
    let (date, time) =
        (numbers(date, '-').ok_or_else(wrong)?, numbers(time, ':').ok_or_else(wrong)?);
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return Err(wrong());
    };
    let inside = (1970..=9999).contains(year)
        && (1..=12).contains(month)
        && (1..=days_in(*year, *month)).contains(day)
        && (0..24).contains(hour)
        && (0..60).contains(minute)
        && (0..60).contains(second);
    if !inside {
        return Err(wrong());
    }
    Ok(days(*year, *month, *day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let of_years: i64 = (1970..year).map(|y| 337 + days_in(y, 2)).sum();
    let of_months: i64 = (1..month).map(|m| days_in(year, m)).sum();
    of_years + of_months + day - 1
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates_are_read_as_utc() {
        assert_eq!(parse("1970-01-02"), Ok(86_400));
        assert_eq!(parse("2026-11-24T12:30:00Z"), Ok(1_795_523_400));
        assert!(parse("2026-02-29").is_err() && parse("2024-02-29").is_ok());
        assert!(parse("today").is_err() && parse("2026-11-24T12:30:00").is_err());
    }
}
