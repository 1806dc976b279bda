//! When outlier detection ejects a host.
//!
//! Source: `pilot/pkg/networking/core/cluster_traffic_policy.go`, `applyOutlierDetection`.

use crate::kinds::networking::OutlierDetection;
use crate::source::Spanned;

/// How many failures in a row eject a host, by sort, as Envoy is told; `None` where none ever does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers of the class 5xx; failures of connections too, unless they are counted apart.
    pub errors: Option<u32>,
    /// The answers 502, 503 and 504; failures of connections too, unless they are counted apart.
    pub gateway_errors: Option<u32>,
    /// Failures of connections, where they are counted apart.
    pub failures: Option<u32>,
    /// Whether failures of connections are counted apart.
    pub apart: bool,
}

impl Counters {
    /// What a policy sets; what it leaves open is Envoy's own, and 0 switches a sort off.
    pub fn of(policy: &OutlierDetection) -> Self {
        let told = |field: &Option<Spanned<u32>>, unset: Option<u32>| {
            field.as_ref().map_or(unset, |count| Some(count.value)).filter(|count| *count > 0)
        };
        let apart = policy.split_external_local_origin_errors.as_ref().is_some_and(|s| s.value);
        Self {
            errors: told(&policy.consecutive_5xx_errors, Some(5)),
            gateway_errors: told(&policy.consecutive_gateway_errors, None),
            failures: told(&policy.consecutive_local_origin_failures, Some(5)).filter(|_| apart),
            apart,
        }
    }

    /// Whether a host is ever ejected that does not answer at all.
    pub fn ejects_the_silent(&self) -> bool {
        if self.apart {
            self.failures.is_some()
        } else {
            self.errors.or(self.gateway_errors).is_some()
        }
    }
}
