//! The walk through messages that stand where any may: Protobuf's `Any`.

use super::{Reader, Walk};
use crate::api::nearest::nearest;
use crate::api::table;
use crate::kinds::is_placeholder;
use crate::yaml::{Shape, Value};

impl Walk<'_, '_> {
    /// A message that says itself which it is. Whether its `@type` may be left out, others ask.
    pub(super) fn typed(&mut self, value: Value<'_>) {
        debug_assert_eq!(self.reader, Reader::OfEnvoy, "only Envoy's messages have such fields");
        if value.shape() != Shape::Mapping {
            return self.wrong_type(value, "a mapping with its `@type`");
        }
        let Some(kind) = value.get("@type").filter(|kind| !kind.is_null()) else { return };
        let Some(url) = self.string(kind, "the name of a type").filter(|it| !is_placeholder(it))
        else {
            return;
        };
        let name = url.rsplit('/').next().unwrap_or_default();
        if table::block(name).is_some() {
            self.block(value, name);
        } else if !is_second_api(name) {
            self.unknown_type(kind, name);
        }
    }

    /// Envoy can be built with further types, so only a slip of the pen is told, and what a package lacks
    /// that is known as a whole.
    fn unknown_type(&mut self, kind: Value<'_>, name: &str) {
        if !OF_ENVOY.iter().any(|start| name.starts_with(start)) {
            return;
        }
        if let Some(similar) = nearest(name, table::messages_of_envoy()) {
            let what = format!("is no type that Istio knows: did you mean `{similar}`?");
            let help = format!(
                "write `type.googleapis.com/{similar}`: Istio refuses the patch, or drops it"
            );
            self.faults.invalid(kind, what, help);
            return;
        }
        let package = |name: &str| name.rsplit_once('.').map(|(package, _)| package.to_owned());
        let own = package(name);
        let mut there: Vec<_> = table::messages_of_envoy()
            .filter(|it| package(it) == own)
            .map(|it| format!("`{it}`"))
            .collect();
        if !there.is_empty() {
            there.sort_unstable();
            there.truncate(SHOWN);
            let help =
                format!("that package has {}, up to {}", there.join(", "), table::ENVOY_KNOWN);
            self.faults.invalid(kind, "is no type that Istio knows", help).is_mild = true;
        }
    }
}

/// How the names of Envoy's own messages begin.
const OF_ENVOY: &[&str] = &["envoy.", "udpa.", "xds."];

/// So many types are named in a help.
const SHOWN: usize = 5;

/// Whether a type is one of Envoy's second API.
pub(in crate::api) fn is_second_api(name: &str) -> bool {
    name.starts_with("envoy.") && (name.contains(".v2.") || name.contains(".v2alpha"))
}
