//! Names for messages: "did you mean" for one that is not known, and "a" or "an" before one that is.

/// The nearest name, where one is near enough that it was probably meant.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase();
    let allowed = (name.len() / 3).clamp(1, 3);
    known
        .filter(|it| !it.is_empty())
        .map(|it| (distance(&lower, &it.to_ascii_lowercase()), it))
        .filter(|(distance, it)| *distance <= allowed && *distance < it.len().max(2) / 2)
        .min()
        .map(|(_, it)| it)
}

/// The name with its article.
pub(super) fn an(name: &str) -> String {
    let vowel = name.starts_with(['A', 'E', 'I', 'O']) || name.starts_with("HTTP");
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// How many letters have to be added, taken away, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change = rows[i][j] + usize::from(x != y);
            let mut least = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_mended_and_other_words_are_not() {
        let known = ["host", "hosts", "trafficPolicy", "subsets"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("trafficpolicy"), Some("trafficPolicy"));
        assert_eq!(near("subest"), Some("subsets"));
        assert_eq!(near("hsot"), Some("host"));
        assert_eq!(near("selector"), None);
    }
}
