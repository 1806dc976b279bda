//! JSON patches (RFC 6902) as `patches:` of kustomize uses them.

use super::tape::Style;
use super::tree::{Key, Room, Tree};
use super::value::{Shape, Value};
use super::{Document, Mismatch};

/// Why an operation can't be done, and the value in the patch that says so.
type Refusal<'t> = (Value<'t>, String);

impl Document {
    /// This document after the operations of a JSON patch (RFC 6902), a list of `op`, `path` and so on.
    /// The first operation that can't be done is the error; its path begins at the list. Spans keep
    /// pointing at the text each value came from.
    pub fn patched_by_json(&self, operations: Value<'_>) -> Result<Self, Mismatch> {
        let fail = |path: String, (value, message): Refusal<'_>| {
            Err(Mismatch { span: value.span(), path, message, is_read: false })
        };
        if operations.shape() != Shape::Sequence {
            let message = "expected a list of operations".to_owned();
            return fail(String::new(), (operations, message));
        }
        let Some(mut tree) = Tree::of(self.root()) else { return Ok(self.clone()) };
        let mut room = Room::whole();
        for (position, operation) in operations.items().enumerate() {
            if let Err(refusal) = apply(&mut tree, operation, &mut room) {
                return fail(format!("[{position}]"), refusal);
            }
        }
        Ok(tree.into_document())
    }
}

fn apply<'t>(
    tree: &mut Tree<'t>,
    operation: Value<'t>,
    room: &mut Room,
) -> Result<(), Refusal<'t>> {
    let field =
        |name: &str| operation.get(name).ok_or_else(|| (operation, format!("`{name}` is missing")));
    let value = || {
        let value = field("value")?;
        Tree::of(value).ok_or_else(|| (value, "nested too deeply".to_owned()))
    };
    let (name, path) = (field("op")?, Pointer::new(field("path")?)?);
    let mut fitting = |value: Tree<'t>| {
        let fits = room.has_for(&value, path.parts.len());
        if fits { Ok(value) } else { Err((operation, "the document gets too large".to_owned())) }
    };
    match name.text().as_deref() {
        Some("add") => path.add(tree, fitting(value()?)?),
        Some("remove") => path.remove(tree).map(|_| ()),
        Some("replace") => {
            *path.find(tree)? = fitting(value()?)?;
            Ok(())
        }
        Some("move") => {
            let moved = Pointer::new(field("from")?)?.remove(tree)?;
            path.add(tree, fitting(moved)?)
        }
        Some("copy") => {
            let copied = Pointer::new(field("from")?)?.find(tree)?.clone();
            path.add(tree, fitting(copied)?)
        }
        Some("test") if *path.find(tree)? == value()? => Ok(()),
        Some("test") => {
            Err((path.written, "another value than the tested one is there".to_owned()))
        }
        _ => {
            Err((name, "expected `add`, `remove`, `replace`, `move`, `copy` or `test`".to_owned()))
        }
    }
}

/// A JSON pointer (RFC 6901).
struct Pointer<'t> {
    written: Value<'t>,
    parts: Vec<String>,
}

impl<'t> Pointer<'t> {
    fn new(written: Value<'t>) -> Result<Self, Refusal<'t>> {
        let text = written.text().unwrap_or_default();
        if !text.is_empty() && !text.starts_with('/') {
            return Err((written, "expected a path that begins with `/`".to_owned()));
        }
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        Ok(Self { written, parts: text.split('/').skip(1).map(unescape).collect() })
    }

    fn refuse<T>(&self, message: String) -> Result<T, Refusal<'t>> {
        Err((self.written, message))
    }

    /// The value at the first `len` parts of the path.
    fn walk<'a>(
        &self,
        tree: &'a mut Tree<'t>,
        len: usize,
    ) -> Result<&'a mut Tree<'t>, Refusal<'t>> {
        self.parts[..len].iter().try_fold(tree, |at, part| {
            let found = match at {
                Tree::Mapping(_, entries) => {
                    entries.iter_mut().find_map(|(key, value)| (key.text == *part).then_some(value))
                }
                Tree::Sequence(_, items) => {
                    part.parse().ok().and_then(|at: usize| items.get_mut(at))
                }
                Tree::Scalar(_) => None,
            };
            found.map_or_else(|| self.refuse(format!("there is no `{part}` at this path")), Ok)
        })
    }

    fn find<'a>(&self, tree: &'a mut Tree<'t>) -> Result<&'a mut Tree<'t>, Refusal<'t>> {
        self.walk(tree, self.parts.len())
    }

    fn add(&self, tree: &mut Tree<'t>, value: Tree<'t>) -> Result<(), Refusal<'t>> {
        let Some((last, before)) = self.parts.split_last() else {
            *tree = value;
            return Ok(());
        };
        match self.walk(tree, before.len())? {
            Tree::Mapping(_, entries) => {
                match entries.iter_mut().find(|(key, _)| key.text == *last) {
                    Some((_, old)) => *old = value,
                    None => entries.push((self.key(last), value)),
                }
            }
            Tree::Sequence(_, items) => {
                let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
                match at.filter(|&at| at <= items.len()) {
                    Some(at) => items.insert(at, value),
                    None => return self.refuse(format!("the list has no place `{last}`")),
                }
            }
            Tree::Scalar(_) => return self.refuse(format!("`{last}` can't be added to a scalar")),
        }
        Ok(())
    }

    /// A key that is written in the path only.
    fn key(&self, text: &str) -> Key<'t> {
        Key { text: text.to_owned().into(), span: self.written.span(), style: Style::Plain }
    }

    fn remove(&self, tree: &mut Tree<'t>) -> Result<Tree<'t>, Refusal<'t>> {
        let Some((last, before)) = self.parts.split_last() else {
            return self.refuse("the whole document can't be removed".to_owned());
        };
        let removed = match self.walk(tree, before.len())? {
            Tree::Mapping(_, entries) => {
                entries.iter().position(|(key, _)| key.text == *last).map(|at| entries.remove(at).1)
            }
            Tree::Sequence(_, items) => {
                let at = last.parse().ok().filter(|&at: &usize| at < items.len());
                at.map(|at| items.remove(at))
            }
            Tree::Scalar(_) => None,
        };
        removed.map_or_else(|| self.refuse(format!("there is no `{last}` at this path")), Ok)
    }
}
