//! DestinationRules: the clients they choose, and the ports that they have settings for.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::kinds::networking::DestinationRule;
use crate::mesh::{In, Mesh, Named, list, short};
use crate::rules::selected::Selecting;
use crate::source::Spanned;

pub(super) fn rule_selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for rule in &mesh.destination_rules {
        let labels = rule.workload_selector.as_ref().map(|chosen| &chosen.match_labels);
        let says = [
            "no client goes by it",
            "; `workloadSelector` chooses the clients, in the rule's own namespace",
        ];
        Selecting::new(rule, labels).tell_of_nobody(mesh, found, &mut told, says);
    }
}

/// The ports that a rule has settings for, those of its subsets included.
fn ports(rule: &DestinationRule) -> impl Iterator<Item = &Spanned<u32>> {
    let of_subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
    let all = rule.traffic_policy.iter().chain(of_subsets);
    let all = all.flat_map(|policy| &policy.port_level_settings);
    all.filter_map(|settings| settings.port.as_ref()?.number.as_ref())
}

pub(super) fn rule_for_unknown_port(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let read =
        |rule: &&In<DestinationRule>| mesh.is_read_in(rule.cluster) && !mesh.is_assumed(&rule.meta);
    for rule in mesh.destination_rules.iter().filter(read) {
        let Some(host) = &rule.host else { continue };
        if host.contains('*') || is_placeholder(host) || ports(rule).next().is_none() {
            continue;
        }
        let Named::Seen(known) = mesh.named_host(host, rule, None) else { continue };
        let services = known.services.iter().map(|s| s.told());
        let mut defining = services.chain(known.entries.iter().map(|e| e.told()));
        let apart = defining.any(|it| mesh.may_be_apart(rule.cluster, it, rule.told()));
        let Some(all) = known.ports().filter(|_| !apart && !known.is_assumed(mesh)) else {
            continue;
        };
        let all: BTreeSet<u32> = all.concat().into_iter().collect();
        for port in ports(rule).filter(|port| !all.contains(&port.value)) {
            if all.is_empty() || !told.insert(port.span) {
                continue;
            }
            let names: Vec<String> = all.iter().map(ToString::to_string).collect();
            let finding = found.say(
                format!("`{}` has no port {port}, for which this rule has settings", short(host)),
                port.span,
                "no request goes there: the settings have no effect",
            );
            if let Some(service) = known.services.first() {
                finding.also(service.named_at(), "defined here");
            }
            finding.help(format!(
                "its ports are {}; a rule names the port of the Service, and not the `targetPort`",
                list(names.iter().map(String::as_str))
            ));
        }
    }
}
