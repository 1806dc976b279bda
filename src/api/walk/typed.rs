//! The walk through messages that stand where any may: Protobuf's `Any`.

use super::Walk;
use crate::api::nearest::nearest;
use crate::api::table;
use crate::kinds::is_placeholder;
use crate::yaml::{Shape, Value};

impl Walk<'_, '_> {
    /// A message that says itself which it is.
    pub(super) fn typed(&mut self, value: Value<'_>) {
        debug_assert!(self.reader.is_of_envoy(), "only Envoy's messages have such fields");
        if value.shape() != Shape::Mapping {
            return self.wrong_type(value, "a mapping with its `@type`");
        }
        let Some(kind) = value.get("@type") else {
            let is_open = |key: Value<'_>| key.text().is_none_or(|it| is_placeholder(&it));
            if !value.entries().any(|(key, _)| is_open(key)) {
                let help =
                    "say of what type it is, such as `type.googleapis.com/envoy.extensions...`";
                self.faults.missing(value, "@type", help);
            }
            return;
        };
        let Some(url) = self.string(kind, "the name of a type").filter(|it| !is_placeholder(it))
        else {
            return;
        };
        let name = url.rsplit('/').next().unwrap_or_default();
        if table::block(name).is_some() {
            self.block(value, name);
        } else {
            self.unknown_type(kind, name);
        }
    }

    /// An istiod may be built with further types, or be a later one: so only what is surely meant
    /// otherwise is an error.
    fn unknown_type(&mut self, kind: Value<'_>, name: &str) {
        if name.starts_with("google.protobuf.") {
            return;
        }
        if name.starts_with("envoy.") && (name.contains(".v2.") || name.contains(".v2alpha")) {
            let help = "write the type of Envoy's third API (`...v3...`)";
            self.faults.invalid(kind, "is a type of Envoy's second API, which is gone", help);
            return;
        }
        let lost = "Istio refuses the patch, or drops it";
        if let Some(similar) = nearest(name, table::messages_of_envoy()) {
            let what = format!("is no type that istiod knows: did you mean `{similar}`?");
            let help = format!("write `type.googleapis.com/{similar}`: {lost}");
            self.faults.invalid(kind, what, help);
        } else {
            let help = format!(
                "write it as a `TypedStruct`, unless it came after {}: {lost}",
                table::ENVOY_KNOWN
            );
            self.faults.invalid(kind, "is no type that istiod knows", help).is_mild = true;
        }
    }
}
