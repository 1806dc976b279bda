//! What no report may show: values of Secrets, keys, tokens and certificates.

use std::ops::Range;

use crate::finding::{WITHHELD, find_token};
use crate::source::{SourceFile, Span};

/// A line of a file as it may be shown: no byte moves, so that carets stay in place, but the line may
/// get longer.
pub(super) fn line(file: &SourceFile, line: Range<usize>, hidden: &[Span]) -> String {
    let text = &file.text[line.clone()];
    let start = file.span().start as usize + line.start;
    let first = hidden.partition_point(|h| h.end as usize <= start);
    let runs = hidden[first..].iter().take_while(|h| (h.start as usize) < start + text.len());
    let mut shown = String::new();
    for run in runs {
        let local = |at: u32| text.floor_char_boundary((at as usize).saturating_sub(start));
        let (from, to) = (local(run.start).max(shown.len()), local(run.end));
        if from < to {
            shown.push_str(&text[shown.len()..from]);
            shown.push_str(&masked(&text[from..to], to == text.len()));
        }
    }
    if shown.len() < text.len() {
        shown.push_str(&text[shown.len()..]);
    }
    match find_token(&shown) {
        Some(token) => {
            let (head, tail) = shown.split_at(token.start);
            format!("{head}{}", masked(tail, true))
        }
        None => shown,
    }
}

/// A stretch of a line without its content; what only sets apart keys and items stays. At the end of a
/// line the length is not told either.
fn masked(text: &str, is_end: bool) -> String {
    let marks = |c: char| matches!(c, ' ' | '\t' | ':' | ',' | '{' | '}' | '[' | ']' | '"' | '\'');
    let bare = text.trim_matches(marks).trim_start_matches("- ");
    if bare.is_empty() || bare == "-" || bare == "---" {
        return text.to_owned();
    }
    let blank = |c: char| matches!(c, ' ' | '\t' | ':' | ',' | '{');
    let head = text.len() - text.trim_start_matches(blank).trim_start_matches("- ").len();
    let apart = |c: char| matches!(c, ' ' | ',' | '{' | '}');
    let end = if is_end { text.len() } else { text.trim_end_matches(apart).len().max(head) };
    let rest = end - head;
    let told = if is_end { WITHHELD } else { &WITHHELD[..WITHHELD.len().min(rest)] };
    let blanks = " ".repeat(rest.saturating_sub(told.len()));
    format!("{}{told}{blanks}{}", &text[..head], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, Span, line};

    fn shown(text: &str, hidden: &[(u32, u32)]) -> String {
        let hidden: Vec<Span> = hidden.iter().map(|(a, b)| Span::new(*a, *b)).collect();
        line(&SourceFile::new("a.yaml", text.into(), 0), 0..text.len(), &hidden)
    }

    #[test]
    fn what_is_hidden_is_withheld_and_the_rest_keeps_its_place() {
        assert_eq!(shown("  password: hunter2", &[(10, 19)]), "  password: (value withheld)");
        assert_eq!(shown("{a: hunter2, b: hunter3}", &[(2, 13), (14, 24)]).find('b'), Some(13));
        assert_eq!(shown("{a: hunter2, b: c}", &[(2, 13)]), "{a: (value , b: c}");
        assert_eq!(shown("data:", &[(4, 5)]), "data:");
        assert_eq!(shown("  - hunter2", &[(0, 11)]), "  - (value withheld)");
        assert_eq!(shown("--- hunter2", &[(0, 11)]), "(value withheld)");
        assert!(!shown("é: hunter2é", &[(1, 12)]).contains("hunter2"));
    }

    #[test]
    fn long_runs_of_base64_are_withheld_anywhere_and_names_are_shown() {
        let body = format!("    {}", "MIIBszCCAVmgAwIB".repeat(4));
        assert!(shown(&body, &[]).starts_with("    (value withheld)"));
        let host =
            "  host: a-rather-long-service-name.a-rather-long-namespace-name.svc.cluster.local";
        assert_eq!(shown(host, &[]), host);
    }
}
