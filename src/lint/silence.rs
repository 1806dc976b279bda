//! What suppressions silence, and which of their words silence nothing.

use std::collections::BTreeSet;

use super::{Model, Reported};
use crate::clusters::ClusterId;
use crate::config::Config;
use crate::config::suppress::{By, Suppression};
use crate::rules::{self, IDLE_SUPPRESSION, Judged, Rule};
use crate::source::{FileId, Sources, Span};

/// A word of a suppression and the rules it means; the suppression itself, where it means all.
struct Word {
    at: Span,
    rules: BTreeSet<&'static str>,
}

/// A suppression, word by word.
struct Named<'m> {
    suppression: &'m Suppression,
    words: Vec<Word>,
}

/// All suppressions of a run.
pub(super) struct Silence<'m>(Vec<Named<'m>>);

impl<'m> Silence<'m> {
    pub(super) fn of(suppressions: &'m [Suppression]) -> Self {
        Self(suppressions.iter().map(Named::of).collect())
    }

    /// Whether a finding is silenced.
    pub(super) fn covers(&self, found: &Reported) -> bool {
        self.0.iter().any(|named| named.silences(found))
    }

    /// Suppressions whose words silenced none of the findings, though the rules they mean were run over
    /// all that the words are about.
    pub(super) fn judge(
        &self,
        findings: &[Reported],
        ran: &BTreeSet<&str>,
        seen: impl Fn(&Suppression) -> bool,
    ) -> Vec<Judged<'m>> {
        let judge = |named: &Named<'m>| {
            let suppression = named.suppression;
            let seen = suppression.by == By::Us && seen(suppression);
            let of = |word: &&Word| seen && word.is_judged(ran);
            let idle = |word: &&Word| !findings.iter().any(|f| word.silences(suppression, f));
            let idle: Vec<&Word> = named.words.iter().filter(of).filter(idle).collect();
            let elsewhere =
                idle.iter().find_map(|word| word.begins_elsewhere(suppression, findings));
            let idle = idle.into_iter().map(|word| word.at).collect();
            Judged { suppression, idle, elsewhere }
        };
        self.0.iter().map(judge).collect()
    }
}

impl<'m> Named<'m> {
    fn of(suppression: &'m Suppression) -> Self {
        let codes: Option<fn(&Rule) -> Vec<String>> = match suppression.by {
            By::Us => None,
            By::Istio => Some(Rule::istio_codes),
            By::Kiali => Some(Rule::kiali_codes),
        };
        if let Some(codes) = codes {
            return Self { suppression, words: vec![Word::of_codes(suppression, codes)] };
        }
        let words = suppression.rules.iter().map(|word| {
            let called = rules::all().filter(|rule| rule.is_called(word));
            Word { at: word.span, rules: called.map(|rule| rule.name).collect() }
        });
        let mut words: Vec<Word> = words.collect();
        if suppression.rules.is_empty() {
            // What has to be asked for is not what it was written for.
            let rules = rules::all().filter(|rule| !rule.is_opt_in());
            words.push(Word { at: suppression.span, rules: rules.map(|rule| rule.name).collect() });
        }
        Self { suppression, words }
    }

    fn silences(&self, found: &Reported) -> bool {
        // One that is for all rules would hide that it is idle itself.
        let of_itself = found.rule == IDLE_SUPPRESSION
            && self.suppression.is_for_all()
            && self.suppression.span.contains(found.finding.span());
        let silences_all =
            || self.suppression.is_for_all() && self.suppression.covers(found.finding.span());
        let silences = |word: &Word| word.silences(self.suppression, found);
        !of_itself && (silences_all() || self.words.iter().any(silences))
    }
}

impl Word {
    /// The rules that have one of the codes; that have any, where none is named.
    fn of_codes(suppression: &Suppression, codes: fn(&Rule) -> Vec<String>) -> Self {
        let words = &suppression.rules;
        let told = |code: &String| words.is_empty() || words.iter().any(|word| word.value == *code);
        let called = rules::all().filter(|rule| codes(rule).iter().any(told));
        Self { at: suppression.span, rules: called.map(|rule| rule.name).collect() }
    }

    fn silences(&self, of: &Suppression, found: &Reported) -> bool {
        of.covers(found.finding.span()) && self.rules.contains(found.rule)
    }

    /// Whether all rules it means were run. Whether it silences what is said of suppressions depends on
    /// that being said.
    fn is_judged(&self, ran: &BTreeSet<&str>) -> bool {
        let mut others = self.rules.iter().filter(|rule| **rule != IDLE_SUPPRESSION).peekable();
        others.peek().is_some() && others.all(|rule| ran.contains(rule))
    }

    /// Where a finding begins that has just a further label where the suppression counts.
    fn begins_elsewhere(&self, of: &Suppression, findings: &[Reported]) -> Option<Span> {
        let mut meant = findings.iter().filter(|f| self.rules.contains(f.rule));
        let near = |f: &&Reported| f.finding.labels.iter().any(|label| of.covers(label.span));
        meant.find(near).map(|f| f.finding.span())
    }
}

impl Model {
    /// Whether all is in the input that a suppression may be about. Of a part of a repository, and of a
    /// mesh that something brings more to, other runs may see more.
    pub(super) fn has_all_of(
        &self,
        suppression: &Suppression,
        sources: &Sources,
        config: &Config,
    ) -> bool {
        let Some((file, _)) = sources.file_at(suppression.span.start) else { return false };
        let clusters = self.clusters_of(file);
        let is_whole = |id: &ClusterId| self.mesh.is_whole(*id);
        !config.is_part && !clusters.is_empty() && clusters.iter().all(is_whole)
    }

    fn clusters_of(&self, file: FileId) -> &[ClusterId] {
        let at = self.placed.binary_search_by_key(&file, |placed| placed.file);
        at.map_or(&[], |at| &self.placed[at].clusters)
    }
}
