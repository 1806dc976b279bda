//! The one pipeline `lint(&Sources, &Config) -> Report`: build, run rules in parallel, suppress, sort.

mod faults;
mod fingerprint;
mod resources;
mod settings;
mod silence;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;

use crate::clusters::{self, Fleet, Placed};
use crate::config::Config;
use crate::config::suppress::{self, Suppression};
use crate::finding::{Finding, Findings, Label, Severity};
use crate::kinds::file::{self, Manifests};
use crate::kinds::is_placeholder;
use crate::mesh::{Faulty, Input, Mesh};
use crate::page::Page;
use crate::rules::{After, Evidence, Naming, Rule};
use crate::source::{FileId, Skipped, Sources, Span, Text};

use resources::Resources;
use settings::Settings;
use silence::Silence;

pub use settings::mistakes;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings, sorted by place, then by rule.
    pub findings: Vec<Reported>,
    /// How many findings were suppressed by comments and annotations.
    pub suppressed: usize,
    /// The clusters as understood, by name.
    pub clusters: Vec<ClusterSummary>,
    /// Files that were seen and not analysed.
    pub skipped: Vec<Skipped>,
    /// How many files were analysed.
    pub files: usize,
    /// How many resources they hold.
    pub resources: usize,
    /// Rules that failed in themselves, so that nobody knows what they would have said.
    pub failed: Vec<&'static str>,
    /// What must not be shown of the texts, in order: values of Secrets, keys, passwords.
    pub hidden: Vec<Span>,
}

/// A cluster in the summary.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClusterSummary {
    /// Its name.
    pub name: String,
    /// Files that belong to it; one may belong to several clusters.
    pub files: usize,
    /// Resources that belong to it.
    pub resources: usize,
}

/// A finding with what every report says of it.
#[derive(Clone, Debug)]
pub struct Reported {
    /// `room/name` of the rule.
    pub rule: &'static str,
    /// Other names of the rule that users know: istioctl's and Kiali's codes.
    pub aliases: Vec<String>,
    /// How bad it is, after configuration and lowering.
    pub severity: Severity,
    /// What was said.
    pub finding: Finding,
    /// Stays the same when lines move: made of the rule, the resource and the labelled texts.
    pub fingerprint: String,
    /// The cluster of the primary label, where there is just one.
    pub cluster: Option<String>,
    /// The resource in which each label lies, the primary one first.
    pub resources: Vec<Option<Arc<ResourceName>>>,
}

impl Reported {
    /// The resource in which the primary label lies.
    pub fn resource(&self) -> Option<&ResourceName> {
        self.resources.first()?.as_deref()
    }
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceName {
    /// `group/version`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped resources.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Report {
    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}

/// A mesh with what a report says about its input.
pub struct Model {
    /// The mesh.
    pub mesh: Mesh,
    /// Files that were read and not analysed.
    pub skipped: Vec<Skipped>,
    /// How many files were analysed.
    pub files: usize,
    /// Whose each file is, and how we know.
    pub placed: Vec<Placed>,
    /// Paths in kustomizations that lead nowhere within the input.
    pub missing: Vec<Text>,
    resources: Resources,
    suppressions: Vec<Suppression>,
    settings: Settings,
    hidden: Vec<Span>,
}

/// Reads all texts, in parallel.
pub fn parse(sources: &Sources) -> Vec<Manifests> {
    let ids: Vec<FileId> = sources.files().map(|(id, _)| id).collect();
    ids.into_par_iter().map(|id| file::manifests(sources, id)).collect()
}

/// Builds the mesh from all texts.
pub fn build(sources: &Sources, config: &Config) -> Model {
    let files = parse(sources);
    let fleet = clusters::assign(sources, &files, config);
    let mut skipped: Vec<Skipped> = files
        .iter()
        .filter_map(|f| {
            Some(Skipped { file: sources.file(f.file).name.clone(), reason: f.skipped? })
        })
        .collect();
    skipped.extend(fleet.skipped.iter().cloned());
    skipped.sort();
    let resources = Resources::of(&files, &fleet);
    let suppressions = suppressions(sources, &files);
    // The configuration is neither analysed nor passed over.
    let told = config.file.map(|file| sources.file(file).name.as_str());
    let is_config = |name: &str| {
        Some(name) == told
            || matches!(name.rsplit('/').next(), Some("mesh-lint.yaml" | "mesh-lint.yml"))
    };
    let files_read = files.len() - skipped.len();
    skipped.retain(|s| !is_config(&s.file));
    let (placed, missing) = (fleet.placed.clone(), fleet.missing.clone());
    let faults = hold_to_api(&fleet);
    let settings = Settings::of(config);
    let hidden = files.iter().flat_map(|f| f.hidden.iter().copied()).collect();
    let mesh = Mesh::build(Input {
        sources,
        files,
        fleet,
        faults,
        config,
        options: settings.options.clone(),
    });
    Model {
        mesh,
        skipped,
        files: files_read,
        placed,
        missing,
        resources,
        suppressions,
        settings,
        hidden,
    }
}

/// What is wrong with the resources of all clusters by their APIs, in parallel. One that several clusters
/// share is looked at once.
pub fn hold_to_api(fleet: &Fleet) -> Vec<Faulty> {
    faults::of(fleet)
}

fn suppressions(sources: &Sources, files: &[Manifests]) -> Vec<Suppression> {
    let comments = files.iter().flat_map(|f| &f.comments);
    let comments = comments.filter_map(|c| suppress::in_comment(sources, *c));
    let asks: [(&str, fn(&Sources, &Text, Span) -> Suppression); 3] = [
        (suppress::ANNOTATION, suppress::in_annotation),
        (suppress::ISTIO_ANNOTATION, suppress::in_istio_annotation),
        (suppress::KIALI_ANNOTATION, suppress::in_kiali_annotation),
    ];
    let metas = files.iter().flat_map(|f| &f.objects).map(|o| &o.meta);
    let annotations = metas.flat_map(|meta| {
        asks.iter()
            .filter_map(|(name, read)| Some(read(sources, meta.annotation(name)?, meta.span)))
    });
    comments.chain(annotations).collect()
}

/// Reads, builds, runs the rules, suppresses, sorts.
pub fn lint(sources: &Sources, config: &Config) -> Report {
    check(&build(sources, config), sources, config)
}

impl Model {
    /// The clusters with their numbers of files and resources.
    pub fn summary(&self) -> Vec<ClusterSummary> {
        self.resources.summary(&self.mesh)
    }

    /// A finding whose words tell nothing of what must not be shown: what was found there.
    fn without_hidden(&self, mut finding: Finding, sources: &Sources) -> Finding {
        let hides =
            |label: &Label| !label.span.is_empty() && self.visible(label.span, sources).is_empty();
        if finding.labels.iter().any(hides) {
            let words = finding.labels.iter_mut().map(|label| &mut label.text);
            for text in words.chain([&mut finding.message]) {
                text.truncate(text.find(", found").unwrap_or(text.len()));
            }
        }
        finding
    }

    /// The text of a span; nothing where a report may not show it, since a hash tells short values too.
    fn visible<'s>(&self, span: Span, sources: &'s Sources) -> &'s str {
        let next = self.hidden.partition_point(|hidden| hidden.end <= span.start);
        let is_hidden = self.hidden.get(next).is_some_and(|hidden| hidden.start < span.end);
        if is_hidden { "" } else { sources.slice(span) }
    }
}

/// Runs the rules over a mesh.
pub fn check(model: &Model, sources: &Sources, config: &Config) -> Report {
    let rules: Vec<Rule> =
        crate::rules::all().filter(|rule| is_selected(rule, model, config)).collect();
    let (last, rules): (Vec<Rule>, Vec<Rule>) =
        rules.into_iter().partition(|rule| rule.after == After::Suppressions);
    let mut evidence = Evidence::of(&model.mesh);
    // What fails here fails again in each rule that asks for it, and is told there.
    let _ = catch_unwind(AssertUnwindSafe(|| evidence.prepare(&rules)));
    let said: Vec<Said> =
        rules.par_iter().map(|rule| run(rule, &evidence, model, sources)).collect();
    let mut failed: Vec<&'static str> = said.iter().filter_map(|said| said.failed).collect();
    let mut findings: Vec<Reported> = said.into_iter().flat_map(|said| said.findings).collect();
    sort(&mut findings);
    drop_told_better(&mut findings);
    let silence = Silence::of(&model.suppressions);
    let ran = rules.iter().map(|rule| rule.name).collect();
    evidence.suppressions =
        silence.judge(&findings, &ran, |s| model.has_all_of(s, sources, config));
    for said in last.iter().map(|rule| run(rule, &evidence, model, sources)) {
        failed.extend(said.failed);
        findings.extend(said.findings);
    }
    sort(&mut findings);
    let all = findings.len();
    findings.retain(|found| !silence.covers(found));
    let suppressed = all - findings.len();
    fingerprint::number(&mut findings);
    Report {
        findings,
        suppressed,
        clusters: model.resources.summary(&model.mesh),
        skipped: model.skipped.clone(),
        files: model.files,
        resources: model.resources.count(),
        failed,
        hidden: model.hidden.clone(),
    }
}

/// What one rule said.
struct Said {
    findings: Vec<Reported>,
    /// Its name, where it failed in itself.
    failed: Option<&'static str>,
}

fn run(rule: &Rule, evidence: &Evidence<'_>, model: &Model, sources: &Sources) -> Said {
    let mut found = Findings::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| (rule.check)(evidence, &mut found)));
    let mut said = found.into_vec();
    let failed = outcome.is_err().then_some(rule.name);
    if failed.is_some() {
        let mut failed = Findings::default();
        failed
            .say(format!("the rule `{}` failed in itself", rule.name), Span::default(), "")
            .help("this is a fault of mesh-lint, not of the manifests: please report it")
            .lower(Severity::Warning);
        said.extend(failed.into_vec());
    }
    if said.is_empty() {
        return Said { findings: Vec::new(), failed };
    }
    let page = Page::parse(rule.page).expect("a test holds every page to the format");
    let aliases: Vec<String> = page.aliases().map(str::to_owned).collect();
    let findings =
        said.into_iter()
            .map(|finding| {
                let mut finding = model.without_hidden(finding, sources);
                finding.withhold_tokens();
                // What a delivery fills in is not mended where it is filled in.
                let is_written = |span: Span| !is_placeholder(sources.slice(span));
                finding.fixes.retain(|fix| fix.edits.iter().all(|(span, _)| is_written(*span)));
                let severity = model.settings.severity(rule).unwrap_or_else(|| {
                    finding.lowered.map_or(page.severity, |l| l.min(page.severity))
                });
                let (resource, cluster) = model.resources.at(finding.span(), &model.mesh);
                let others = finding.labels.iter().skip(1);
                let others = others.map(|label| model.resources.at(label.span, &model.mesh).0);
                let resources: Vec<_> = [resource].into_iter().chain(others).collect();
                let fingerprint =
                    fingerprint::of(rule.name, resources[0].as_deref(), &finding, |span| {
                        model.visible(span, sources)
                    });
                let aliases = aliases.clone();
                Reported {
                    rule: rule.name,
                    aliases,
                    severity,
                    finding,
                    fingerprint,
                    cluster,
                    resources,
                }
            })
            .collect();
    Said { findings, failed }
}

/// Drops what another rule says better: of the API's own checks what is told of the same text, and no
/// milder; of differences between clusters those whose effect is told.
fn drop_told_better(findings: &mut Vec<Reported>) {
    let is_of_the_api = |rule: &str| rule.starts_with("fields/");
    let better = labels_of(findings, |f| f.severity >= Severity::Warning && !is_of_the_api(f.rule));
    let undefined = labels_of(findings, |f| f.rule == "subsets/undefined-subset");
    findings.retain(|found| {
        let mut labels = found.finding.labels.iter().map(|label| label.span);
        match found.rule {
            "fields/invalid" => !labels.any(|span| tells(&better, span, found.severity)),
            "clusters/config-drift" => !labels.all(|span| tells(&undefined, span, found.severity)),
            _ => true,
        }
    });
}

/// Where some of the findings have labels, in order, and how bad what is said there is.
fn labels_of(findings: &[Reported], counts: impl Fn(&Reported) -> bool) -> Vec<(Span, Severity)> {
    let counting = findings.iter().filter(|f| counts(f));
    let mut labels: Vec<_> = counting
        .flat_map(|f| f.finding.labels.iter().map(|label| (label.span, f.severity)))
        .collect();
    labels.sort_unstable();
    labels
}

/// Whether one of the labels lies in a text and says nothing milder.
fn tells(labels: &[(Span, Severity)], span: Span, severity: Severity) -> bool {
    let within = &labels[labels.partition_point(|(other, _)| other.start < span.start)..];
    let mut within = within.iter().take_while(|(other, _)| other.start <= span.end);
    within.any(|(other, told)| span.contains(*other) && *told >= severity)
}

/// By place, then by rule; what is said twice is said once.
fn sort(findings: &mut Vec<Reported>) {
    findings.sort_by(|a, b| {
        let key = |f: &Reported| (f.finding.span(), f.rule);
        key(a).cmp(&key(b)).then_with(|| a.finding.message.cmp(&b.finding.message))
    });
    findings.dedup_by(|a, b| a.rule == b.rule && a.finding == b.finding);
}

/// Whether a rule runs: selected (or nothing is), not ignored, not switched off. One that has to be asked
/// for runs where a word selects it by its name or alias, or the configuration says so.
fn is_selected(rule: &Rule, model: &Model, config: &Config) -> bool {
    let asked = |word: &Text| {
        let naming = rule.named_by(word);
        if rule.is_opt_in() {
            naming <= Some(Naming::LastPart) && naming.is_some()
        } else {
            naming.is_some()
        }
    };
    let by_words = config.select.iter().any(asked);
    let by_default =
        config.select.is_empty() && (!rule.is_opt_in() || model.settings.is_told(rule));
    (by_words || by_default)
        && !config.ignore.iter().any(|word| rule.is_called(word))
        && !model.settings.is_off(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_fails_in_itself_is_told_and_hides_no_other() {
        let mut sources = Sources::default();
        sources
            .add("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
            .expect("small");
        let model = build(&sources, &Config::default());
        let evidence = Evidence::of(&model.mesh);
        let sound = crate::rules::all().next().expect("there are rules");
        let broken = Rule { check: |_, _| panic!("a fault"), ..sound };
        let said = run(&broken, &evidence, &model, &sources);
        assert_eq!(said.failed, Some(sound.name));
        assert_eq!(said.findings.len(), 1);
        assert_eq!(run(&sound, &evidence, &model, &sources).failed, None);
    }
}
