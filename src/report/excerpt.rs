//! The lines that a finding shows: harmless to terminals, without secrets, and not too long.

use std::ops::Range;

use miette::SourceSpan;

use super::{harmless, one_line, withhold};
use crate::finding::Label;
use crate::source::{SourceFile, Sources, Span};

/// Bytes of a line that are shown: minified JSON has lines of megabytes.
const LINE: usize = 240;
/// Bytes that are shown before a label in a longer line.
const BEFORE: usize = 60;
/// Labels of one file that are further apart, in lines, are shown apart, the primary one first.
const APART: usize = 4;
/// Lines around a label that are made ready to be shown; one more than miette shows.
const AROUND: usize = 2;

/// The lines of a file that will be shown, and those around them.
pub(super) struct Excerpt {
    pub(super) base: usize,
    pub(super) name: String,
    /// How many lines of the file stand before.
    pub(super) before: usize,
    pub(super) text: String,
}

/// The texts that labels touch, laid end to end, and where each label lies in them: on its first line.
pub(super) fn excerpts(
    labels: &[Label],
    sources: &Sources,
    hidden: &[Span],
) -> (Vec<Excerpt>, Vec<Option<SourceSpan>>) {
    let mut texts: Vec<Excerpt> = Vec::new();
    let mut spans: Vec<Option<SourceSpan>> = vec![None; labels.len()];
    let files: Vec<_> = labels.iter().map(|l| sources.file_at(l.span.start)).collect();
    for (i, file) in files.iter().enumerate() {
        let Some((id, file)) = file else { continue };
        if spans[i].is_some() {
            continue;
        }
        let base = texts.last().map_or(0, |t| t.base + t.text.len() + 1);
        let of_file =
            |j: &usize| spans[*j].is_none() && files[*j].is_some_and(|(other, _)| other == *id);
        let here = near(i, &(i..labels.len()).filter(of_file).collect::<Vec<_>>(), labels, sources);
        let places: Vec<Range<usize>> = here.iter().map(|j| within(&labels[*j], file)).collect();
        let lines: Vec<usize> = places.iter().map(|place| file.line_at(place.start)).collect();
        let before = lines.iter().min().map_or(0, |first| first.saturating_sub(AROUND));
        let (text, moved) = excerpt(file, before, &places, &lines, hidden);
        for (j, place) in here.into_iter().zip(moved) {
            spans[j] = Some(SourceSpan::from((base + place.start, place.len())));
        }
        texts.push(Excerpt { base, name: one_line(&file.name), before, text });
    }
    (texts, spans)
}

/// The labels that are shown together with one: those a few lines away, and those near these.
fn near(first: usize, all: &[usize], labels: &[Label], sources: &Sources) -> Vec<usize> {
    let line = |i: usize| sources.place(labels[i].span.start).map_or(0, |place| place.line);
    let mut found = vec![first];
    loop {
        let close = |i: &&usize| found.iter().any(|f| line(*f).abs_diff(line(**i)) <= APART);
        let Some(next) = all.iter().filter(|i| !found.contains(i)).find(close) else {
            return found;
        };
        found.push(*next);
    }
}

/// A label's bytes within its file.
fn within(label: &Label, file: &SourceFile) -> Range<usize> {
    let local = |offset: u32| ((offset.saturating_sub(file.base)) as usize).min(file.text.len());
    local(label.span.start)..local(label.span.end)
}

/// The lines from one on, as far as labels that begin on some of them want, and where the labels lie.
fn excerpt(
    file: &SourceFile,
    before: usize,
    places: &[Range<usize>],
    begin_on: &[usize],
    hidden: &[Span],
) -> (String, Vec<Range<usize>>) {
    let mut shown = String::new();
    let mut moved: Vec<Range<usize>> = vec![0..0; places.len()];
    let last = begin_on.iter().max().map_or(0, |last| last + AROUND);
    let lines = (before..=last).map_while(|number| Some((number, file.line(number)?)));
    for (number, line) in lines {
        let here = || (0..places.len()).filter(|i| begin_on[*i] == number);
        let focus = here().map(|i| places[i].start).min().map_or(0, |at| at - line.start);
        let content = same_length(&withhold::line(file, line.clone(), hidden));
        let cut = window(&content, focus);
        let start = shown.len() + if cut.start > 0 { "…".len() } else { 0 };
        let clamp =
            |at: usize| (at.min(line.end) - line.start).clamp(cut.start, cut.end) - cut.start;
        for i in here() {
            moved[i] = start + clamp(places[i].start)..start + clamp(places[i].end);
        }
        if cut.start > 0 {
            shown.push('…');
        }
        shown.push_str(&content[cut.clone()]);
        if cut.end < content.len() {
            shown.push('…');
        }
        shown.push('\n');
    }
    (shown, moved)
}

/// The part of a line that is shown: all of it, or what lies around a place.
fn window(line: &str, focus: usize) -> Range<usize> {
    if line.len() <= LINE {
        return 0..line.len();
    }
    let start = line.floor_char_boundary(focus.saturating_sub(BEFORE));
    start..line.floor_char_boundary((start + LINE).min(line.len()))
}

/// Control characters become spaces of the same number of bytes, so that places stay true.
fn same_length(line: &str) -> String {
    let spaces = |c: char| {
        let bad = c != '\t' && harmless(c.encode_utf8(&mut [0; 4])) == "\u{fffd}";
        if bad { " ".repeat(c.len_utf8()) } else { c.to_string() }
    };
    line.chars().map(spaces).collect()
}
