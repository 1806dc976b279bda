//! The walk at its leaves: words, strings, numbers and durations.

use super::{Reader, Walk};
use crate::api::duration::{self, MILLISECOND, SECOND};
use crate::api::fault::Cause;
use crate::api::nearest::nearest;
use crate::api::table::{self, Wanted};
use crate::yaml::{Scalar, Value};

impl Walk<'_, '_> {
    pub(super) fn word(&mut self, value: Value<'_>, words: &[&'static str]) {
        if self.reader.is_lenient() && matches!(value.scalar(), Some(Scalar::Int(_))) {
            return;
        }
        let Some(text) = self.string(value, "a word") else { return };
        let is_default = self.reader == Reader::Kubernetes && text.is_empty();
        if is_default || words.contains(&&*text) {
            return;
        }
        let list = words.iter().filter(|word| !word.is_empty()).map(|word| format!("`{word}`"));
        let help = format!("it takes {}", list.collect::<Vec<_>>().join(", "));
        let same = words.iter().copied().find(|word| word.eq_ignore_ascii_case(&text));
        let similar = same.or_else(|| nearest(&text, words.iter().copied()));
        let what = match similar {
            Some(similar) => format!("does not know `{text}`: did you mean `{similar}`?"),
            None => format!("does not know `{text}`"),
        };
        let fault = self.faults.say(Cause::UnknownValue, value, what, help);
        fault.meant(&text, similar);
    }

    /// The text of a string, said to be wrong where it is none.
    pub(super) fn string<'v>(
        &mut self,
        value: Value<'v>,
        wanted: &str,
    ) -> Option<std::borrow::Cow<'v, str>> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(value, wanted);
        }
        text
    }

    /// Length and format of a string or key.
    pub(super) fn form(&mut self, value: Value<'_>, wanted: &Wanted) {
        let Some(text) = value.text() else { return };
        if self.size(value, wanted, || text.chars().count(), "characters") {
            self.format(value, wanted, &text);
        }
    }

    /// Whether a string has as many characters, a list as many items, as it has to have.
    pub(super) fn size(
        &mut self,
        value: Value<'_>,
        wanted: &Wanted,
        len: impl Fn() -> usize,
        unit: &str,
    ) -> bool {
        let Some(bounds) = wanted.bounds else { return true };
        let len = len();
        #[expect(clippy::cast_precision_loss, reason = "no document has 2^52 items")]
        if bounds.hold(len as f64) || (len == 0 && self.reader.merges()) {
            return true;
        }
        let what = if len == 0 { "is empty".to_owned() } else { format!("has {len} {unit}") };
        self.beyond(value, what, format!("it has to have {} {unit}", bounds.in_words()));
        false
    }

    /// Istio does not look at the bounds that Envoy has.
    fn beyond(&mut self, value: Value<'_>, what: String, help: String) {
        let is_mild = self.reader.is_of_envoy();
        self.faults.invalid(value, what, help).is_mild = is_mild;
    }

    pub(super) fn format(&mut self, value: Value<'_>, wanted: &Wanted, text: &str) {
        if let Some(format) = wanted.format
            && (wanted.is_part || !text.is_empty())
            && !(format.holds)(text)
        {
            self.faults.invalid(value, format!("is not {}", format.what), format.help);
        }
    }

    pub(super) fn int_or_string(&mut self, value: Value<'_>, wanted: &Wanted) {
        match value.scalar() {
            Some(Scalar::Str(text)) => self.format(value, wanted, &text),
            Some(Scalar::Int(_) | Scalar::UInt(_) | Scalar::Float(_)) => {
                self.number(value, wanted, Some(table::INT32));
            }
            _ => self.wrong_type(value, "a whole number or a string"),
        }
    }

    pub(super) fn number(
        &mut self,
        value: Value<'_>,
        wanted: &Wanted,
        width: Option<(i128, i128)>,
    ) {
        let kind = if width.is_some() { "a whole number" } else { "a number" };
        let number = match value.scalar() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "compared with 32 bits and small bounds"
            )]
            Some(Scalar::Int(number)) => number as f64,
            #[expect(
                clippy::cast_precision_loss,
                reason = "compared with 32 bits and small bounds"
            )]
            Some(Scalar::UInt(number)) => number as f64,
            Some(Scalar::Float(number)) if width.is_none() || number.fract() == 0.0 => number,
            Some(Scalar::Str(text)) if self.reader.is_lenient() => {
                let whole = || text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
                match text.parse() {
                    Ok(number) if width.is_none() || whole() => number,
                    _ => return self.wrong_type(value, kind),
                }
            }
            _ => return self.wrong_type(value, kind),
        };
        #[expect(clippy::cast_precision_loss, reason = "the bounds of 32 bits are exact")]
        let fits =
            width.is_none_or(|(least, most)| number >= least as f64 && number <= most as f64);
        if !fits {
            let (least, most) = width.unwrap_or_default();
            let help = format!("it has to be from {least} to {most}");
            self.faults.say(Cause::Misfit, value, "does not fit", help);
        } else if let Some(bounds) = wanted.bounds.filter(|bounds| !bounds.hold(number)) {
            let what = match (bounds.least, bounds.most) {
                (Some(least), None) => format!("is below {least}"),
                (None, Some(most)) => format!("is above {most}"),
                _ => format!("is not {}", bounds.in_words()),
            };
            self.beyond(value, what, format!("it has to be {}", bounds.in_words()));
        }
    }

    pub(super) fn duration(&mut self, value: Value<'_>, at_least_1ms: bool, whole_seconds: bool) {
        let Some(text) = self.string(value, "a duration such as `1.5s`") else { return };
        let help = "write a number with a unit, such as `500ms`, `1.5s` or `1h30m`";
        match duration::nanoseconds(&text) {
            None => drop(self.faults.invalid(value, "is not a duration", help)),
            Some(it) if at_least_1ms && it < MILLISECOND => {
                self.faults.invalid(value, "is shorter than 1ms", "it has to be at least 1ms");
            }
            Some(it) if at_least_1ms && it % MILLISECOND != 0 => {
                let what = "is no whole number of milliseconds";
                self.faults.invalid(value, what, "Istio counts in milliseconds: round it");
            }
            Some(it) if whole_seconds && it % SECOND != 0 => {
                let what = "is no whole number of seconds";
                self.faults.invalid(value, what, "round it to seconds");
            }
            Some(_) => {}
        }
    }
}
