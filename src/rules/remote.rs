//! Remote secrets: can each control plane read the API servers of the other clusters?

mod credentials;
mod inventory;
mod keys;
pub(super) mod pairs;
mod secrets;
mod texts;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule!("remote/asymmetric", access: pairs::asymmetric),
    rule!("remote/auth-not-allowed", access: credentials::auth_not_allowed),
    rule!("remote/duplicate-id", access: keys::duplicate_id),
    rule!("remote/empty", access: secrets::empty),
    rule!("remote/expired", access: credentials::expired),
    rule!("remote/expiring", access: credentials::expiring),
    rule!("remote/for-self", access: keys::for_self),
    rule!("remote/insecure-tls", access: credentials::insecure_tls),
    rule!("remote/kubeconfig-broken", access: secrets::kubeconfig_broken),
    rule!("remote/label-missing", access: secrets::label_missing),
    rule!("remote/many-clusters", access: keys::many_clusters),
    rule!("remote/missing-for-pair", access: pairs::missing_for_pair),
    rule!("remote/names-disagree", access: keys::names_disagree),
    rule!("remote/overprivileged", access: credentials::overprivileged),
    rule!("remote/plaintext-in-git", access: secrets::plaintext_in_git),
    rule!("remote/reader-rbac-missing", access: pairs::reader_rbac_missing),
    rule!("remote/same-apiserver-two-ids", access: keys::same_apiserver_two_ids),
    rule!("remote/server-unreachable", access: secrets::server_unreachable),
    rule!("remote/stale", access: inventory::stale),
    rule!("remote/token-short-lived", access: credentials::token_short_lived),
    rule!("remote/unknown-cluster", access: keys::unknown_cluster),
    rule!("remote/wrong-namespace", access: secrets::wrong_namespace),
];
