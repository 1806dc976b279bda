//! View of what an injector is told: the values in its ConfigMap.

use serde::Deserialize;

use crate::source::Text;

/// What an injector is told, under the key `values` of its ConfigMap.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InjectorValues {
    /// Values all charts share.
    pub global: InjectorGlobal,
    /// Whom it injects.
    pub sidecar_injector_webhook: InjectorWebhook,
}

/// `global` of an injector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InjectorGlobal {
    /// Where images come from.
    pub hub: Option<Text>,
    /// Their tag.
    pub tag: Option<Text>,
    /// The proxies.
    pub proxy: InjectorProxy,
}

/// `global.proxy` of an injector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InjectorProxy {
    /// A name that follows the hub, or a whole image.
    pub image: Option<Text>,
}

/// `sidecarInjectorWebhook` of an injector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InjectorWebhook {
    /// Whether it takes namespaces without a label.
    pub enable_namespaces_by_default: Option<Text>,
}

impl InjectorValues {
    /// The image of the proxies, without a variant.
    pub fn image(&self) -> Option<String> {
        let image = self.global.proxy.image.as_ref()?;
        if image.contains('/') {
            return Some(image.value.clone());
        }
        Some(format!("{}/{image}:{}", self.global.hub.as_ref()?, self.global.tag.as_ref()?))
    }
}
