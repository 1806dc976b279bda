//! Names for messages: "did you mean" for one that is not known, and "a" or "an" before one that is.

/// The nearest name, where one is near enough that it was probably meant.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase();
    let allowed = (name.len() / 3).clamp(1, 3);
    known
        .filter(|it| !it.is_empty())
        .map(|it| (strsim::osa_distance(&lower, &it.to_ascii_lowercase()), it))
        .filter(|(distance, it)| *distance <= allowed && *distance < it.len().max(2) / 2)
        .min()
        .map(|(_, it)| it)
}

/// The name with its article.
pub(super) fn an(name: &str) -> String {
    let vowel = name.starts_with(['A', 'E', 'I', 'O']) || name.starts_with("HTTP");
    format!("{} {name}", if vowel { "an" } else { "a" })
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
