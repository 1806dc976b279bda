//! What the injectors of a cluster are told: the ConfigMaps that istiod's charts write.

use super::{In, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::core::ConfigMap;
use crate::source::Text;

/// The start of the name of an injector's ConfigMap; `-REVISION` follows.
const NAME: &str = "istio-sidecar-injector";

/// An injector of a cluster, as its ConfigMap tells of it.
#[derive(Clone, Debug)]
pub struct Injector<'m> {
    /// Its ConfigMap.
    pub map: &'m In<ConfigMap>,
    /// Its revision; `default` for the one without.
    pub revision: &'m str,
    /// `true`, where it takes namespaces without a label.
    pub by_default: Option<&'m Text>,
    /// The image of its proxies; none where the values do not tell it.
    pub image: Option<String>,
}

impl Mesh {
    /// The injectors of a cluster, in the order of the input.
    pub fn injectors(&self, cluster: ClusterId) -> impl Iterator<Item = Injector<'_>> {
        let maps = self.injector_maps.iter().map(|&i| &self.config_maps[i]);
        maps.filter(move |map| map.cluster == cluster).filter_map(Injector::of)
    }

    /// Where their ConfigMaps stand among all.
    pub(super) fn find_injector_maps(&self) -> Vec<usize> {
        let is = |i: &usize| Injector::of(&self.config_maps[*i]).is_some();
        (0..self.config_maps.len()).filter(is).collect()
    }
}

impl<'m> Injector<'m> {
    fn of(map: &'m In<ConfigMap>) -> Option<Self> {
        let rest = map.name().strip_prefix(NAME)?;
        let revision = if rest.is_empty() { "default" } else { rest.strip_prefix('-')? };
        let values = map.injector.as_deref()?;
        let told = values.sidecar_injector_webhook.enable_namespaces_by_default.as_ref();
        Some(Self {
            map,
            revision,
            by_default: told.filter(|told| told.as_str() == "true"),
            image: values.image(),
        })
    }
}
