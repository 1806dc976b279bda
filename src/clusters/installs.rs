//! The texts that install control planes, as they stand: what a rule asks of one text and not of a cluster.

use super::origin::Origin;
use crate::kinds::Meta;
use crate::kinds::control_plane::{Install, Values};
use crate::kinds::delivery::{HelmRelease, Source};
use crate::source::{Span, Text};

/// A text that installs a control plane, or a part of one.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What sort of text.
    pub origin: Origin,
    /// The resource; `None` for a file of Helm values.
    pub meta: Option<Meta>,
    /// What it tells.
    pub install: Install,
    /// The chart, where one is named.
    pub chart: Option<Text>,
    /// The chart's version.
    pub chart_version: Option<Text>,
    /// Whether what it leaves out has its default: nothing is laid under or over it.
    pub is_whole: bool,
    /// Whether it installs an external control plane, in another cluster than the one it is told of.
    pub is_hosted: bool,
}

impl Installed {
    /// Where it stands.
    pub fn at(&self) -> Span {
        self.meta.as_ref().map_or(Span::default(), |meta| {
            if meta.name.is_empty() { meta.kind.span } else { meta.name.span }
        })
    }

    /// Whether it installs istiod, or what stands for it in a remote cluster.
    pub fn is_control_plane(&self) -> bool {
        match self.origin {
            Origin::IstioOperator => {
                self.install.profile.as_ref().is_none_or(|p| p.as_str() != "empty")
            }
            Origin::Sail => true,
            _ => self.chart_name() == Some("istiod"),
        }
    }

    /// The chart's name without its repository.
    pub fn chart_name(&self) -> Option<&str> {
        self.chart.as_ref().and_then(|chart| chart.rsplit('/').next())
    }

    /// The profile, of the installation or of its values.
    pub fn profile(&self) -> Option<&Text> {
        self.install.profile.as_ref().or(self.install.values.profile.as_ref())
    }

    /// The revision that it makes or asks for, of the installation or of its values; none is the default one.
    pub fn revision(&self) -> Option<&Text> {
        let told = self.install.revision.as_ref().or(self.install.values.revision.as_ref());
        told.filter(|told| !told.is_empty())
    }

    /// The values.
    pub fn values(&self) -> &Values {
        &self.install.values
    }

    /// An IstioOperator or an `Istio`.
    pub(super) fn of_install(meta: &Meta, install: &Install, origin: Origin) -> Self {
        let (meta, install) = (Some(meta.clone()), install.clone());
        let (chart, chart_version) = (None, None);
        Self { origin, meta, install, chart, chart_version, is_whole: true, is_hosted: false }
    }

    /// A HelmRelease.
    pub(super) fn of_release(meta: &Meta, release: &HelmRelease) -> Self {
        Self {
            origin: Origin::HelmValues,
            meta: Some(meta.clone()),
            install: Install { values: release.values.clone(), ..Install::default() },
            chart: release.chart.spec.chart.clone(),
            chart_version: release.chart.spec.version.clone(),
            is_whole: release.values_from.is_empty(),
            is_hosted: false,
        }
    }

    /// A chart of an Application.
    pub(super) fn of_source(meta: &Meta, source: &Source) -> Self {
        let values = source.values().cloned().unwrap_or_default();
        Self {
            origin: Origin::HelmValues,
            meta: Some(meta.clone()),
            install: Install { values, ..Install::default() },
            chart: source.chart.clone(),
            chart_version: source.target_revision.clone(),
            is_whole: source.helm.value_files.is_empty() && source.helm.parameters.is_empty(),
            is_hosted: false,
        }
    }

    /// Helm values of which nobody tells what is laid over them.
    pub(super) fn of_values(values: &Values) -> Self {
        let install = Install { values: values.clone(), ..Install::default() };
        let (origin, meta, chart, chart_version) = (Origin::HelmValues, None, None, None);
        Self { origin, meta, install, chart, chart_version, is_whole: false, is_hosted: false }
    }

    /// What is told twice by one text is told once.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let span = |i: &Self| i.meta.as_ref().map(|m| (m.span, m.layers.clone()));
        self.meta.is_some() && span(self) == span(other)
    }
}
