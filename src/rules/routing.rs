//! Routing: hosts, routes and matches of VirtualServices, and what routes of the Gateway API name.

mod backends;
mod bindings;
mod claims;
mod delegates;
mod hosts;
mod impossible;
mod matches;
mod order;
mod parents;
mod patterns;
mod rules;
mod shares;
mod visibility;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule!("routing/backend-not-granted", backends::backend_not_granted),
    rule!("routing/claims-without-authentication", claims::claims_without_authentication),
    rule!("routing/conflicting-hosts", bindings::conflicting_hosts),
    rule!("routing/destination-without-port", hosts::destination_without_port),
    rule!("routing/destination-twice", shares::destination_twice),
    rule!("routing/exported-to-unknown-namespace", visibility::exported_to_unknown_namespace),
    rule!("routing/gateway-route-skips-subsets", bindings::gateway_route_skips_subsets),
    rule!("routing/grant-for-unknown-namespace", visibility::grant_for_unknown_namespace),
    rule!("routing/host-not-in-gateway", bindings::host_not_in_gateway),
    rule!("routing/impossible-match", impossible::impossible_match),
    rule!("routing/ineffective-match", order::ineffective_match),
    rule!("routing/internal-gateway", bindings::internal_gateway),
    rule!("routing/parent-refuses-route", parents::parent_refuses_route),
    rule!("routing/parent-without-group", backends::parent_without_group),
    rule!("routing/rule-for-unknown-host", hosts::rule_for_unknown_host),
    rule!("routing/rule-for-unknown-port", rules::rule_for_unknown_port),
    rule!("routing/rule-selects-no-workload", rules::rule_selects_no_workload),
    rule!("routing/unknown-backend", backends::unknown_backend),
    rule!("routing/unknown-delegate", delegates::unknown_delegate),
    rule!("routing/unknown-gateway", bindings::unknown_gateway),
    rule!("routing/unknown-host", hosts::unknown_host),
    rule!("routing/unknown-parent", parents::unknown_parent),
    rule!("routing/unknown-port", hosts::unknown_port),
    rule!("routing/unreachable-rule", order::unreachable_rule),
    rule!("routing/weight-of-only-destination", shares::weight_of_only_destination),
];
