//! What ships beside the binary works: the GitHub Action, the workflows, the pre-commit hook.
//!
//! The tools that stand in for GitHub and for a user's machine come from `tests/tools.sh`. Where they
//! are missing a test says that it is skipped, except in CI.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Values that do harm wherever a shell reads them as more than text.
const HOSTILE: [&str; 6] = [
    "$(touch pwned)",
    "`touch pwned`",
    "\"; touch pwned; \"",
    "'; touch pwned; '",
    "a b; touch pwned #",
    "*",
];

#[test]
fn no_input_of_the_action_is_read_as_shell() {
    for (i, hostile) in HOSTILE.into_iter().enumerate() {
        let mut action = Action::new(&format!("hostile-{i}"));
        action.fake_mesh_lint();
        fs::create_dir_all(action.workspace.join(hostile)).unwrap();
        for input in ["path", "config", "fail-on", "args", "sarif", "working-directory"] {
            action.inputs.insert(input.into(), hostile.into());
        }
        let run = action.run();
        assert!(run.output.status.success(), "{hostile}: {}", run.text());
        let summary = format!("markdown={}/mesh-lint-summary.md", action.temp.display());
        let sarif = format!("sarif={hostile}");
        let expected = [
            "check",
            "--format",
            "github",
            "--config",
            hostile,
            "--fail-on",
            hostile,
            "--output",
            &sarif,
            "--output",
            &summary,
            hostile,
            "--",
            hostile,
        ];
        let seen = fs::read_to_string(action.workspace.join(hostile).join("arguments")).unwrap();
        assert_eq!(seen.split_terminator('\0').collect::<Vec<_>>(), expected);
        assert_eq!(files_named(&action.home, "pwned"), Vec::<PathBuf>::new(), "{hostile}");
    }
}

#[test]
fn lines_of_the_action_s_path_and_args_are_arguments() {
    let mut action = Action::new("lines");
    action.fake_mesh_lint();
    action.inputs.insert("path".into(), "clusters/east\n\n--not-a-flag\nwith space\n".into());
    action.inputs.insert("args".into(), "--now\n2026-11-24\n".into());
    action.inputs.insert("summary".into(), "false".into());
    assert!(action.run().output.status.success());
    let seen = fs::read_to_string(action.workspace.join("arguments")).unwrap();
    let expected = [
        "check",
        "--format",
        "github",
        "--now",
        "2026-11-24",
        "--",
        "clusters/east",
        "--not-a-flag",
        "with space",
    ];
    assert_eq!(seen.split_terminator('\0').collect::<Vec<_>>(), expected);
}

#[test]
fn the_action_takes_no_version_but_a_version() {
    for hostile in ["1.0.0$(touch pwned)", "1.0.0\n::warning::pwned", "main", "../../etc"] {
        let mut action = Action::new("version");
        action.fake_mesh_lint();
        action.inputs.insert("version".into(), hostile.into());
        let run = action.run();
        assert_eq!(run.output.status.code(), Some(2), "{hostile}");
        let text = String::from_utf8(run.output.stdout).unwrap();
        assert!(text.starts_with("::error title=mesh-lint::version "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(files_named(&action.home, "pwned"), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_action_reports_a_broken_mesh_and_passes_a_healthy_one() {
    let mut action = Action::new("real");
    action.use_real_mesh_lint();
    action.inputs.insert("working-directory".into(), ROOT.into());
    action.inputs.insert("path".into(), "fixtures/broken".into());
    action.inputs.insert("args".into(), "--now\n2026-11-24".into());
    let sarif = action.temp.join("out.sarif");
    action.inputs.insert("sarif".into(), sarif.display().to_string());

    let run = action.run();
    assert_eq!(run.output.status.code(), Some(1), "{}", run.text());
    assert_eq!(run.outputs["check"]["exit-code"], "1");
    assert!(run.text().contains("::error file=fixtures/broken/"), "{}", run.text());
    let sarif: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(sarif).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let summary = fs::read_to_string(action.home.join("summary")).unwrap();
    assert!(summary.contains("subsets/mixed-version-and-cluster"), "{summary}");

    action.inputs.insert("path".into(), "fixtures/two-primaries".into());
    let run = action.run();
    assert_eq!(run.output.status.code(), Some(0), "{}", run.text());
    assert_eq!(run.outputs["check"]["exit-code"], "0");
}

#[test]
fn action_and_workflows_satisfy_their_linters() {
    let (Some(actionlint), Some(zizmor)) = (tool("actionlint"), tool("zizmor")) else { return };
    let out = Command::new(actionlint).current_dir(ROOT).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let files = ["action.yml", ".github/workflows", ".pre-commit-hooks.yaml"];
    let out = Command::new(zizmor).current_dir(ROOT).arg("--offline").args(files).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
}

#[test]
fn the_pre_commit_hook_runs_for_the_files_that_are_read() {
    let hooks = fs::read_to_string(Path::new(ROOT).join(".pre-commit-hooks.yaml"));
    let hooks: serde_yaml::Value = serde_yaml::from_str(&hooks.unwrap()).unwrap();
    let files = regex::Regex::new(hooks[0]["files"].as_str().unwrap()).unwrap();
    let folder = scratch("hook-files");
    let (read, other) = (
        ["a.yaml", "b.YML", "c.json", "root-cert.pem", "ca.crt", "ca.key", "Kustomization"],
        ["a.yaml.tpl", "README.md", "ca.csr", "kustomization", "pem"],
    );
    for name in read.iter().chain(&other) {
        fs::write(folder.join(name), "").unwrap();
    }
    let sources = mesh_lint::source::read(std::slice::from_ref(&folder)).unwrap().sources;
    let known: Vec<&str> =
        sources.files().map(|(_, f)| f.name.rsplit('/').next().unwrap()).collect();
    for name in read.iter().chain(&other) {
        let path = format!("clusters/east/{name}");
        assert_eq!(files.is_match(&path), known.contains(name), "{path}");
        assert_eq!(read.contains(name), known.contains(name), "{path}");
    }
}

/// pre-commit clones this working tree (uncommitted changes to tracked files included), builds it
/// with cargo as it would for any user, and runs the hook in a repository of ours.
#[test]
fn the_pre_commit_hook_fails_on_a_broken_mesh_and_passes_on_a_healthy_one() {
    let Some(pre_commit) = tool("pre-commit") else { return };
    if !Path::new(ROOT).join(".git").exists() {
        eprintln!("skipped: pre-commit can only use a git repository");
        return;
    }
    for (mesh, passes) in [("broken", false), ("two-primaries", true)] {
        let repository = scratch(&format!("pre-commit-{mesh}"));
        copy_folder(&Path::new(ROOT).join("fixtures").join(mesh), &repository);
        git(&repository, &["init", "--quiet"]);
        git(&repository, &["add", "--all"]);
        let out = Command::new(&pre_commit)
            .current_dir(&repository)
            .args(["try-repo", ROOT, "mesh-lint", "--all-files", "--verbose"])
            // One place for both builds, and no optimising: only the first costs time.
            .env("CARGO_TARGET_DIR", target().join("pre-commit"))
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("PRE_COMMIT_COLOR", "never")
            .output()
            .unwrap();
        let text = text(&out);
        assert!(text.contains("mesh-lint....."), "the hook did not run: {text}");
        assert_eq!(out.status.success(), passes, "{text}");
        assert_eq!(text.contains("subsets/mixed-version-and-cluster"), !passes, "{text}");
    }
}

/// action.yml, as far as we stand in for GitHub.
#[derive(Deserialize)]
struct Manifest {
    inputs: BTreeMap<String, Input>,
    runs: Runs,
}

#[derive(Deserialize)]
struct Input {
    default: String,
}

#[derive(Deserialize)]
struct Runs {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: Option<String>,
    uses: Option<String>,
    run: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

type Outputs = BTreeMap<String, BTreeMap<String, String>>;

/// A run of the action: the last step's output, and what the steps left for each other.
struct Run {
    output: Output,
    outputs: Outputs,
}

impl Run {
    fn text(&self) -> String {
        text(&self.output)
    }
}

/// A runner for action.yml, with folders of its own.
struct Action {
    home: PathBuf,
    workspace: PathBuf,
    temp: PathBuf,
    bin: PathBuf,
    inputs: BTreeMap<String, String>,
}

impl Action {
    fn new(name: &str) -> Self {
        let home = scratch(&format!("action-{name}"));
        let [workspace, temp, bin] = ["workspace", "temp", "bin"].map(|name| home.join(name));
        for folder in [&workspace, &temp, &bin] {
            fs::create_dir(folder).expect("the scratch folder is empty");
        }
        Self { home, workspace, temp, bin, inputs: BTreeMap::new() }
    }

    /// A mesh-lint of the right version that writes down its arguments.
    fn fake_mesh_lint(&self) {
        let script = format!(
            "#!/bin/bash\nif [[ $1 == --version ]]; then echo 'mesh-lint {}'; exit; fi\n\
             printf '%s\\0' \"$@\" >arguments\n",
            env!("CARGO_PKG_VERSION")
        );
        let path = self.bin.join("mesh-lint");
        fs::write(&path, script).expect("the scratch folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    fn use_real_mesh_lint(&self) {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mesh-lint"), self.bin.join("mesh-lint"))
            .expect("the scratch folder is ours");
    }

    /// Runs the steps in order until one fails, as GitHub does.
    fn run(&self) -> Run {
        let text = fs::read_to_string(Path::new(ROOT).join("action.yml")).expect("it is there");
        let manifest: Manifest = serde_yaml::from_str(&text).expect("it is an action");
        let mut outputs = Outputs::new();
        let mut last = None;
        for (i, step) in manifest.runs.steps.iter().enumerate() {
            if let Some(uses) = &step.uses {
                let (_, pin) = uses.split_once('@').expect("an action of others is pinned");
                assert_eq!(pin.len(), 40, "{uses} is not pinned by its hash");
                continue;
            }
            let said = self.home.join(format!("outputs-{i}"));
            let output = self.step(step, &manifest.inputs, &outputs, &said);
            let failed = !output.status.success();
            last = Some(output);
            if let Some(id) = &step.id {
                let text = fs::read_to_string(&said).unwrap_or_default();
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
                outputs.insert(id.clone(), pairs.collect());
            }
            if failed {
                break;
            }
        }
        Run { output: last.expect("the action has steps"), outputs }
    }

    fn step(
        &self,
        step: &Step,
        inputs: &BTreeMap<String, Input>,
        outputs: &Outputs,
        said: &Path,
    ) -> Output {
        let script = step.run.as_deref().expect("a step that uses nothing runs something");
        assert!(!script.contains("${{"), "an expression inside a script: {script}");
        let path = self.home.join("step.sh");
        fs::write(&path, script).expect("the scratch folder is ours");
        let _ = fs::remove_file(said);
        let search = format!("{}:{}", self.bin.display(), env!("PATH"));
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&path)
            .current_dir(&self.workspace)
            .env("PATH", search)
            .env("GITHUB_ACTION_PATH", ROOT)
            .env("GITHUB_WORKSPACE", &self.workspace)
            .env("GITHUB_OUTPUT", said)
            .env("GITHUB_PATH", self.home.join("path"))
            .env("GITHUB_STEP_SUMMARY", self.home.join("summary"))
            .env("RUNNER_TEMP", &self.temp)
            .envs(step.env.iter().map(|(k, v)| (k, self.evaluate(v, inputs, outputs))))
            .output()
            .expect("bash is there")
    }

    /// The value of `${{ inputs.x }}` or `${{ steps.x.outputs.y }}`.
    fn evaluate(&self, text: &str, inputs: &BTreeMap<String, Input>, outputs: &Outputs) -> String {
        let inner = text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}"));
        let path: Vec<&str> = inner.expect("a single expression").split('.').collect();
        match path[..] {
            ["inputs", name] => {
                self.inputs.get(name).unwrap_or_else(|| &inputs[name].default).clone()
            }
            ["steps", id, "outputs", name] => outputs[id][name].clone(),
            _ => panic!("what is `{text}`?"),
        }
    }
}

/// A tool that `tests/tools.sh` installs.
fn tool(name: &str) -> Option<PathBuf> {
    let path = target().join("tools/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "`{name}` is missing: run tests/tools.sh");
    eprintln!("skipped: `{name}` is missing, tests/tools.sh installs it");
    None
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder")
}

/// An empty folder.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("the target folder is ours");
    path
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry.expect("fixtures can be read");
        let target = to.join(entry.path().strip_prefix(from).expect("it lies below"));
        if entry.file_type().is_dir() {
            fs::create_dir(target).expect("the scratch folder is empty");
        } else {
            fs::copy(entry.path(), target).expect("the scratch folder is ours");
        }
    }
}

fn files_named(root: &Path, name: &str) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    all.filter(|entry| entry.file_name() == name).map(walkdir::DirEntry::into_path).collect()
}

fn git(repository: &Path, arguments: &[&str]) {
    let out = Command::new("git").current_dir(repository).args(arguments).output();
    let out = out.expect("git is there");
    assert!(out.status.success(), "{}", text(&out));
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}
