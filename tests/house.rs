//! The laws of the house: directions between rooms, doors of dependencies, sizes, words.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// The rows of a Markdown table that begins with this heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = read(root().join("ARCHITECTURE.md"));
    let rows = text.lines().skip_while(|l| !l.starts_with(heading)).skip(2);
    let rows: Vec<Vec<String>> = rows
        .take_while(|l| l.starts_with('|'))
        .map(|l| l.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect())
        .collect();
    assert!(rows.len() > 5, "ARCHITECTURE.md has no table `{heading}`");
    rows
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',')
        .map(|w| w.trim().trim_matches('`').to_owned())
        .filter(|w| !w.is_empty())
        .collect()
}

/// Each Rust file of `src/` with its room and its text without tests and comments.
fn code() -> Vec<(PathBuf, String, String)> {
    let src = root().join("src");
    let comment = Regex::new(r"(?m)^\s*//.*$").unwrap();
    walkdir::WalkDir::new(&src)
        .sort_by_file_name()
        .into_iter()
        .map(|e| e.unwrap().into_path())
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = read(&path);
            let text = text.split("#[cfg(test)]").next().unwrap();
            (path.clone(), room, comment.replace_all(text, "").into_owned())
        })
        .collect()
}

/// The names that follow `crate::` or `mesh_lint::`, each of a group's too.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let root = Regex::new(r"\b(?:crate|mesh_lint)::").unwrap();
    let mut found = BTreeSet::new();
    for path in root.find_iter(text) {
        let rest = &text[path.end()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

/// The name that a path begins with.
fn name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

/// The first name of each path of a group, up to the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut found) = (0, Vec::new());
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                found.extend(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn each_name_of_a_group_counts() {
    let text = "use crate::{\n    api::{self, Fault}, mesh::Mesh,\n    yaml};\nfn f(x: crate::kinds::Meta) {}";
    let names: Vec<String> = rooms_used(text).into_iter().collect();
    assert_eq!(names, ["api", "kinds", "mesh", "yaml"]);
}

#[test]
fn no_room_knows_anything_to_its_right() {
    let rooms: BTreeMap<String, BTreeSet<String>> = table("| room |")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), words(&row[2])))
        .collect();
    let mut wrong = Vec::new();
    for (path, room, text) in code().into_iter().filter(|(_, room, _)| room != "lib") {
        let may =
            rooms.get(&room).unwrap_or_else(|| panic!("room `{room}` is not in ARCHITECTURE.md"));
        for other in rooms_used(&text) {
            if other != room && rooms.contains_key(&other) && !may.contains(&other) {
                wrong.push(format!("{}: `{room}` uses `{other}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let order: Vec<String> =
        table("| room |").into_iter().map(|r| r[0].trim_matches('`').to_owned()).collect();
    for (room, may) in &rooms {
        for other in may.iter().filter(|_| room != "main") {
            let at = |name: &String| order.iter().position(|r| r == name).unwrap();
            assert!(at(other) < at(room), "`{other}` stands to the right of `{room}`");
        }
    }
}

/// The modules that a file names, each as its path from `src/`. `within` is the path of the file's own.
fn modules_named(text: &str, within: &[String]) -> Vec<Vec<String>> {
    static PATH: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(crate::|(?:super::)+)((?:[a-z_]+::)*)").unwrap());
    let mut found = Vec::new();
    for named in PATH.captures_iter(text) {
        let up = named[1].matches("super::").count();
        let mut base = if up == 0 { Vec::new() } else { within[..within.len() - up].to_vec() };
        base.extend(named[2].split_terminator("::").map(str::to_owned));
        let rest = &text[named.get(0).unwrap().end()..];
        let lasts = rest.strip_prefix('{').map_or_else(Vec::new, first_names);
        found.extend(lasts.into_iter().map(|last| [base.clone(), vec![last]].concat()));
        found.push(base);
    }
    found
}

#[test]
fn no_files_lean_on_each_other_in_a_circle() {
    let src = root().join("src");
    let module = |path: &Path| -> Vec<String> {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let parts = inside.iter().map(|part| part.to_string_lossy().into_owned());
        parts.filter(|part| part != "mod").collect()
    };
    let files = code();
    let known: BTreeSet<Vec<String>> = files.iter().map(|(path, ..)| module(path)).collect();
    // What a module uses of one beside it, by the folder in which both are.
    let mut uses: BTreeMap<Vec<String>, BTreeSet<(String, String)>> = BTreeMap::new();
    for (path, _, text) in &files {
        let own = module(path);
        for other in modules_named(text, &own) {
            let apart = own.iter().zip(&other).position(|(a, b)| a != b);
            let Some(at) = apart.filter(|at| known.contains(&other[..=*at])) else { continue };
            let pair = (own[at].clone(), other[at].clone());
            uses.entry(own[..at].to_vec()).or_default().insert(pair);
        }
    }
    assert!(uses.len() > 20, "few folders: {uses:#?}");
    for (folder, pairs) in &uses {
        let pairs = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str(), ()));
        let graph = petgraph::graphmap::DiGraphMap::<&str, ()>::from_edges(pairs);
        let mut circles = petgraph::algo::tarjan_scc(&graph);
        circles.retain(|members| members.len() > 1);
        assert!(circles.is_empty(), "in src/{}: {circles:?}", folder.join("/"));
    }
}

/// What `Cargo.toml` depends on, as code calls it.
fn dependencies() -> BTreeSet<String> {
    let text = read(root().join("Cargo.toml"));
    let section = text.split("\n[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('='));
    let names: BTreeSet<String> =
        names.map(|(name, _)| name.trim().trim_matches('"').replace('-', "_")).collect();
    assert!(names.len() > 5, "Cargo.toml has no [dependencies]");
    names
}

/// The rooms that may use each crate.
fn doors() -> BTreeMap<String, BTreeSet<String>> {
    let rows = table("| crate |").into_iter();
    rows.map(|row| (row[0].trim_matches('`').to_owned(), words(&row[1]))).collect()
}

#[test]
fn each_dependency_has_a_door_and_each_door_is_used() {
    let doors = doors();
    let named: BTreeSet<String> = doors.keys().cloned().collect();
    let odd: Vec<_> = named.symmetric_difference(&dependencies()).cloned().collect();
    assert!(odd.is_empty(), "in ARCHITECTURE.md or in Cargo.toml, not in both: {odd:?}");
    let code = code();
    for (name, rooms) in &doors {
        for room in rooms {
            let used = code.iter().any(|(_, own, text)| own == room && uses(name, text));
            assert!(used, "`{room}` does not use `{name}` any more");
        }
    }
}

/// Whether a text names a crate, and not a module of ours that is called the same.
fn uses(name: &str, text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let of_another = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
        let whole = !before.ends_with(is_word) && !of_another;
        whole && ["::", ";", " as "].iter().any(|next| after.starts_with(next))
    })
}

#[test]
fn a_dependency_has_one_door() {
    let (code, mut wrong) = (code(), Vec::new());
    for (name, doors) in doors() {
        for (path, _, _) in
            code.iter().filter(|(_, room, text)| !doors.contains(room) && uses(&name, text))
        {
            wrong.push(format!("{}: `{name}`", path.display()));
        }
    }
    let disk = Regex::new(r"std::(fs|process::Command|net)\b").unwrap();
    for (path, room, text) in code {
        if disk.is_match(&text) && !["source", "cli"].contains(&room.as_str()) {
            wrong.push(format!("{}: touches the disk, a process or the network", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_module_begins_with_its_line_in_the_table() {
    for row in table("| room |") {
        let room = row[0].trim_matches('`');
        let candidates = [format!("src/{room}.rs"), format!("src/{room}/mod.rs")];
        let path = candidates.iter().map(|c| root().join(c)).find(|p| p.exists()).unwrap();
        let text = read(&path);
        assert_eq!(
            text.lines().next(),
            Some(format!("//! {}", row[1]).as_str()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for (path, ..) in code() {
        let lines = read(&path).lines().count();
        assert!(lines <= 520, "{} has {lines} lines: it is two subjects", path.display());
    }
}

#[test]
fn every_room_of_rules_is_introduced() {
    let index = read(root().join("rules/README.md"));
    for rule in mesh_lint::rules::all() {
        let room = rule.name.split('/').next().unwrap();
        assert!(index.contains(&format!("* `{room}`:")), "rules/README.md does not name `{room}`");
        let of_room = |path: &Path| path.to_string_lossy().contains(&format!("/rules/{room}"));
        let file: String =
            code().into_iter().filter(|(p, ..)| of_room(p)).map(|(.., text)| text).collect();
        let name = rule.name.split('/').nth(1).unwrap().replace('-', "_");
        assert!(file.contains(&format!("fn {name}(")), "`{}` is not `fn {name}`", rule.name);
    }
}

/// The lists of rooms name every room that has a rule, and no other.
#[test]
fn lists_of_rooms_are_whole() {
    let rooms: BTreeSet<String> = mesh_lint::rules::all()
        .map(|rule| rule.name.split('/').next().unwrap().to_owned())
        .collect();
    for (file, before, after) in [("rules/README.md", "* `", "`:"), ("README.md", "| `", "` | ")] {
        let text = read(root().join(file));
        let (_, of_rooms) = text.split_once("rooms").unwrap();
        let named =
            of_rooms.lines().filter_map(|line| line.strip_prefix(before)?.split_once(after));
        let named = named.map(|(room, _)| room.to_owned()).filter(|room| !room.contains(' '));
        let named: BTreeSet<String> = named.collect();
        assert_eq!(named, rooms, "{file}");
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Put together here, so that this file does not contain them.
    let banned = [
        ["/wo", "rk/"],
        ["crates", ".io"],
        ["py", "pi.org"],
        ["registry.npm", "js.org"],
        ["art", "ifactory"],
    ];
    let banned: Vec<String> = banned.iter().map(|parts| parts.concat()).collect();
    let folders =
        ["src", "tests", "rules", "fixtures", "benches", "action", "schemas", ".github", ".ci"];
    let files = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "action.yml",
    ];
    let below = folders.iter().flat_map(|f| walkdir::WalkDir::new(root().join(f)));
    let below = below.filter_map(Result::ok).map(walkdir::DirEntry::into_path);
    for path in below.chain(files.iter().map(|f| root().join(f))).filter(|p| p.is_file()) {
        let text = read(&path);
        for word in &banned {
            assert!(!text.contains(word.as_str()), "{} contains {word}", path.display());
        }
    }
}
