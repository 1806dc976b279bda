//! Locality settings as texts: each once, with all control planes that read it.

use std::collections::BTreeMap;

use crate::api::Cause;
use crate::clusters::ClusterId;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{Distribute, LocalityLb};
use crate::mesh::{Host, LocalityPattern, LocalitySetting, Mesh, Subset, Whereabouts, list};
use crate::rules::SHOWN;
use crate::source::{Span, Text};

/// A locality setting that is switched on.
pub(super) struct SettingText<'m> {
    pub(super) setting: LocalitySetting<'m>,
    /// The clusters whose control planes read it.
    pub(super) planes: Vec<ClusterId>,
}

/// All settings that are switched on, ordered by place. One that several clusters share comes once.
pub(super) fn settings(mesh: &Mesh) -> Vec<SettingText<'_>> {
    let mut found: BTreeMap<Vec<Span>, SettingText<'_>> = BTreeMap::new();
    for setting in mesh.locality_settings() {
        let mut key = vec![setting.setting.span];
        key.extend(parts(setting.setting));
        let text = found.entry(key).or_insert(SettingText { setting, planes: Vec::new() });
        if !text.planes.contains(&setting.cluster) {
            text.planes.push(setting.cluster);
        }
    }
    found.into_values().collect()
}

/// The places of all values: where a patch changes one of them for a cluster, these differ.
fn parts(setting: &LocalityLb) -> impl Iterator<Item = Span> {
    let of_entry = |entry: &Distribute| {
        let from = entry.from.as_ref().map(|from| from.span);
        let to = entry.to.iter().flat_map(|(to, weight)| [to.span, weight.span]);
        from.into_iter().chain(to).collect::<Vec<_>>()
    };
    let distribute = setting.distribute.iter().flat_map(of_entry);
    let failover = setting.failover.iter().flat_map(|f| [&f.from, &f.to]).flatten();
    let names = failover.chain(&setting.failover_priority).map(|text| text.span);
    distribute.chain(names)
}

impl<'m> SettingText<'m> {
    /// The entries of `distribute` that say whose they are.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'m>> + use<'m> {
        let entries = self.setting.setting.value.distribute.iter();
        entries.filter_map(|entry| Some(Entry { from: entry.from.as_ref()?, entry }))
    }

    /// The host it is for, if that is one and the input has it.
    pub(super) fn host(&self, mesh: &'m Mesh) -> Option<Host<'m>> {
        mesh.host(&self.setting.host()?)
    }

    /// The subset it is for, where it is for one alone.
    pub(super) fn subset(&self, mesh: &'m Mesh, host: Host<'m>) -> Option<Subset<'m>> {
        let name = self.setting.subset?;
        let all = mesh.subsets_of(host.name, self.setting.cluster);
        all.into_iter().find(|subset| subset.name.span == name.span)
    }

    /// What it is for, in words.
    pub(super) fn subject(&self) -> String {
        match self.setting.host() {
            Some(host) => format!("`{}`", crate::mesh::short(&host)),
            None => "the mesh's default".to_owned(),
        }
    }

    /// Who refuses it where it does not hold, as the beginning of a sentence.
    pub(super) fn refusal(&self) -> &'static str {
        match self.setting.rule {
            Some(_) => "the API server refuses it",
            None => "istiod does not load such a MeshConfig and keeps the one it had",
        }
    }

    /// Whether a rule may build on it that something is missing: it is really there, and all of it can be
    /// read.
    pub(super) fn is_certain(&self, mesh: &Mesh) -> bool {
        let assumed = |rule: &crate::mesh::In<_>| mesh.is_assumed(&rule.meta);
        !self.setting.rule.is_some_and(assumed) && self.is_legible(mesh)
    }

    /// Whether all its fields could be read.
    pub(super) fn is_legible(&self, mesh: &Mesh) -> bool {
        let span = self.setting.setting.span;
        let problems = mesh.problems();
        let mut unread = problems.mismatches.iter().map(|wrong| wrong.span).chain(
            problems
                .faults
                .iter()
                .filter(|f| matches!(f.fault.cause, Cause::WrongType | Cause::Misfit))
                .map(|f| f.fault.span),
        );
        !is_placeholder(mesh.raw(span)) && !unread.any(|wrong| span.contains(wrong))
    }
}

/// An entry of `distribute`.
#[derive(Clone, Copy)]
pub(super) struct Entry<'m> {
    pub(super) from: &'m Text,
    pub(super) entry: &'m Distribute,
}

impl<'m> Entry<'m> {
    /// Localities that get anything, with the weight.
    pub(super) fn to(self) -> impl Iterator<Item = (&'m Text, u32)> {
        let all = self.entry.to.iter().map(|(to, weight)| (to, weight.value));
        all.filter(|(_, weight)| *weight > 0)
    }

    pub(super) fn clients(self) -> LocalityPattern {
        LocalityPattern::parse(self.from)
    }

    /// What is wrong with its weights, and where. Source: `ValidateLocalityLbSetting`.
    pub(super) fn wrong_weights(self) -> Option<(Span, String)> {
        let weights = self.entry.to.iter().map(|(_, weight)| weight);
        if let Some(wrong) = weights.clone().find(|w| !(1..=100).contains(&w.value)) {
            return Some((wrong.span, format!("a weight of {}", wrong.value)));
        }
        let sum: u64 = weights.map(|w| u64::from(w.value)).sum();
        (sum != 100).then(|| (self.from.span, format!("the weights of this entry make {sum}")))
    }
}

/// `the zones of the mesh are ...`; its regions, where no zone is known.
pub(super) fn known_zones(all: &Whereabouts) -> String {
    let zones = all.zones();
    let (what, names): (_, Vec<String>) = if zones.is_empty() {
        ("regions", all.regions().into_iter().map(str::to_owned).collect())
    } else {
        ("zones", zones.iter().map(ToString::to_string).collect())
    };
    let more = if names.len() > 2 * SHOWN { ", and more" } else { "" };
    let shown = list(names.iter().take(2 * SHOWN).map(String::as_str));
    format!("the {what} of the mesh are {shown}{more}")
}
