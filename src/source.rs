//! All texts as one address space: `Sources`, `Span`, lines; the door to the disk.

#![expect(
    clippy::cast_possible_truncation,
    reason = "no text is longer than `Sources::add` lets in, which is less than 4 GiB"
)]

mod walk;

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

pub use walk::{Failure, Reading, STDIN, Skipped, display_name, read};

/// A byte range in the one address space of all texts.
///
/// It carries no file: files are laid end to end, so a span sorts by file, then by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// Whether `other` lies wholly within this span.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A value and the place where it was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value with its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    /// Two values are equal wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A string and its place: the commonest of all spanned values.
pub type Text = Spanned<String>;

/// Which text of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// Position in [`Sources::files`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One text with its name.
#[derive(Debug)]
pub struct SourceFile {
    /// Path as shown to people and written to reports: relative where possible, `/` between parts.
    pub name: String,
    /// The text, as read.
    pub text: Arc<str>,
    /// Where the text begins in the address space.
    pub base: u32,
    lines: OnceLock<Vec<u32>>,
}

impl SourceFile {
    /// A text that begins at `base` of the address space.
    pub fn new(name: &str, text: Arc<str>, base: u32) -> Self {
        Self { name: name.to_owned(), text, base, lines: OnceLock::new() }
    }

    /// The whole text as a span.
    pub fn span(&self) -> Span {
        Span::new(self.base, self.base + self.text.len() as u32)
    }

    /// Offsets within the text at which lines begin.
    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|&(_, b)| b == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect()
        })
    }

    /// The line, from 0, in which a byte of the text stands.
    pub fn line_at(&self, at: usize) -> usize {
        self.lines().partition_point(|&start| start as usize <= at) - 1
    }

    /// The bytes of a line, from 0, without its break.
    pub fn line(&self, number: usize) -> Option<Range<usize>> {
        let start = *self.lines().get(number)? as usize;
        let end = self.lines().get(number + 1).map_or(self.text.len(), |next| *next as usize);
        let line = self.text[start..end].trim_end_matches(['\n', '\r']);
        Some(start..start + line.len())
    }
}

/// A place for people: line and column from 1, the column in characters, the offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset within the file.
    pub offset: usize,
}

/// More than 4 GiB of text was given.
#[derive(Debug)]
pub struct TooLarge {
    /// The file that did not fit any more.
    pub name: String,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than 4 GiB of input: `{}` does not fit any more", self.name)
    }
}

impl std::error::Error for TooLarge {}

/// All texts, laid end to end.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    len: u32,
}

impl Sources {
    /// Adds a text under a name.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        text: impl Into<Arc<str>>,
    ) -> Result<FileId, TooLarge> {
        let (name, text) = (name.into(), text.into());
        // One byte between files, so that an empty span at an end belongs to one file only.
        let end = u32::try_from(text.len())
            .ok()
            .and_then(|len| self.len.checked_add(len)?.checked_add(1));
        let Some(end) = end else { return Err(TooLarge { name }) };
        let id = FileId(self.files.len() as u32);
        self.files.push(SourceFile { name, text, base: self.len, lines: OnceLock::new() });
        self.len = end;
        Ok(id)
    }

    /// All files, in the order of the address space.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, file)| (FileId(i as u32), file))
    }

    /// One file.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.index()]
    }

    /// The file in which an offset of the address space lies.
    pub fn file_at(&self, offset: u32) -> Option<(FileId, &SourceFile)> {
        let i = self.files.partition_point(|f| f.base <= offset).checked_sub(1)?;
        let file = self.files.get(i)?;
        (offset <= file.span().end).then_some((FileId(i as u32), file))
    }

    /// Line, column and offset of a byte of the address space.
    pub fn place(&self, offset: u32) -> Option<Place> {
        let (_, file) = self.file_at(offset)?;
        let local = offset - file.base;
        let line = file.line_at(local as usize);
        let start = file.lines()[line] as usize;
        let before = file.text.get(start..local as usize)?;
        let before = if line == 0 { before.trim_start_matches('\u{feff}') } else { before };
        Some(Place { line: line + 1, column: before.chars().count() + 1, offset: local as usize })
    }

    /// `file:line` of a span, for people; `None` where nothing is written.
    pub fn line_of(&self, span: Span) -> Option<String> {
        let (_, file) = self.file_at(span.start).filter(|_| !span.is_empty())?;
        Some(format!("{}:{}", file.name, self.place(span.start)?.line))
    }

    /// The text of a span; empty where the span leaves its file or cuts a character.
    pub fn slice(&self, span: Span) -> &str {
        self.file_at(span.start)
            .and_then(|(_, f)| {
                f.text.get((span.start - f.base) as usize..(span.end - f.base) as usize)
            })
            .unwrap_or_default()
    }

    /// The span of a whole line (from 1) of a file, without its line break.
    pub fn line(&self, id: FileId, line: usize) -> Option<Span> {
        let file = self.file(id);
        let start = *file.lines().get(line.checked_sub(1)?)?;
        let rest = &file.text[start as usize..];
        let len = rest.find('\n').unwrap_or(rest.len());
        Some(Span::new(file.base + start, file.base + start + len as u32))
    }

    /// Bytes of all texts together.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|f| f.text.len()).sum()
    }
}
