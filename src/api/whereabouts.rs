//! Where in the table a name is a field, and where in a tree a field stands.

use super::table::{self, Block, Field, Kind, Wanted};

/// The block that a field leads to, itself or by its items or values.
fn inner_block(wanted: &Wanted) -> Option<&'static Block> {
    match &wanted.kind {
        Kind::Block(name) => table::block(name),
        Kind::List(inner) | Kind::Map { values: inner, .. } => inner_block(inner),
        _ => None,
    }
}

/// The way to a field of that name so many levels below a block.
pub(super) fn path_below(block: &Block, name: &str, levels: usize) -> Option<String> {
    let within = |field: &Field| {
        let inner = inner_block(&field.value)?;
        if levels > 1 {
            return Some(format!("{}.{}", field.name, path_below(inner, name, levels - 1)?));
        }
        inner.field(name).map(|_| field.name.to_owned())
    };
    block.fields.iter().find_map(within)
}

/// `tls_certificates` as `tlsCertificates`.
pub(super) fn camel(name: &str) -> String {
    let mut parts = name.split(['_', '-']);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut chars = part.chars();
        let head = chars.next().map(|c| c.to_ascii_uppercase());
        name + &head.into_iter().chain(chars).collect::<String>()
    })
}

/// What a field is in, by the path to it: the name of the field around it; none right below `spec` or at
/// the top.
pub(super) fn owner(path: &str) -> Option<&str> {
    let within = path.rsplit(": ").next()?;
    let (around, _) = within.rsplit_once('.')?;
    let last = around.rsplit('.').next()?;
    let name = last.split('[').next()?;
    (!["spec", "meshConfig", ""].contains(&name)).then_some(name)
}
