//! Which clusters trust each other, and how a rotation looks on its way.

use mesh_lint::trust::{Groups, Why, in_use, istiod_accepts};
use rcgen::{DnType, KeyPair, KeyUsagePurpose, date_time_ymd};

use crate::make::*;

#[test]
fn a_rotation_never_breaks_and_says_so() {
    let (old, new) = (root(), make("New root", None, asis));
    let (before, after) = (values(&signer(&old), &old), values(&signer(&new), &new));
    let roots = format!("{}{}", old.pem, new.pem);
    let prepared = Values { root: roots.clone(), ..before.clone() };
    let switched = Values { root: roots, ..after.clone() };
    let pair = |a: &Values, b: &Values| {
        let (a, b) = (a.ca(), b.ca());
        let groups = Groups::of(&[("a", &a), ("b", &b)]);
        let refused: Vec<_> = groups.refused.iter().map(|r| (r.presenter, r.one_way)).collect();
        (groups.groups.len(), refused)
    };
    assert_eq!(pair(&before, &prepared), (1, vec![]));
    assert_eq!(pair(&prepared, &switched), (1, vec![]));
    assert_eq!(pair(&switched, &after), (1, vec![]));
    assert_eq!(pair(&before, &switched), (2, vec![("b", true)]));
    assert_eq!(pair(&before, &after), (2, vec![("a", false), ("b", false)]));
    // The expired half of a rotation does no harm, and is not in use.
    let expired = make("Old root", None, |p| p.not_after = date_time_ymd(2026, 2, 1));
    let late = Values { root: format!("{}{}", expired.pem, new.pem), ..after }.ca();
    assert_eq!(both(&late, NOW), ["ok", "ok"]);
    assert!(in_use(&late, NOW).iter().all(|certificate| certificate.is_valid_at(NOW)));
}

#[test]
fn a_root_renewed_with_its_key_is_the_same_anchor() {
    let old = root();
    let key = KeyPair::from_pem(&old.key.serialize_pem()).unwrap();
    let renewed = make_with(key, "Root CA", None, |p| p.not_after = date_time_ymd(2027, 6, 1));
    let (a, b) = (values(&signer(&old), &old).ca(), values(&signer(&renewed), &renewed).ca());
    assert!(a.roots[0] != b.roots[0] && a.roots[0].same_anchor(&b.roots[0]));
    assert_eq!(Groups::of(&[(1, &a), (2, &b)]).groups, [[1, 2]]);
}

#[test]
fn lookalike_roots_part_clusters() {
    let (east, west) = (root(), root());
    let cas = [&east, &east, &west].map(|root| values(&signer(root), root).ca());
    let groups = Groups::of(&[("east", &cas[0]), ("north", &cas[1]), ("west", &cas[2])]);
    assert_eq!(groups.groups, [vec!["east", "north"], vec!["west"]]);
    assert_eq!(groups.refused.len(), 2);
    assert_eq!((groups.refused[0].presenter, groups.refused[0].verifier), ("east", "west"));
    let Why::NoPathToRoot { lookalike: Some(lookalike), .. } = &groups.refused[0].why else {
        panic!("{groups:?}")
    };
    assert!(lookalike.looks_like(&cas[0].roots[0]) && *lookalike == cas[2].roots[0]);
}

#[test]
fn an_intermediate_as_root_trusts_one_way_only() {
    let root = root();
    let (east, west) = (signer(&root), signer(&root));
    let a = values(&east, &root).ca();
    let b = Values { root: west.pem.clone(), ..values(&west, &root) }.ca();
    let groups = Groups::of(&[("a", &a), ("b", &b)]);
    assert_eq!(groups.refused.len(), 1);
    assert_eq!((groups.refused[0].presenter, groups.refused[0].one_way), ("a", true));
}

#[test]
fn what_is_broken_at_home_is_not_told_again_between_clusters() {
    let (root, other) = (root(), make("Other", None, asis));
    let broken = Values { chain: root.pem.clone(), ..values(&signer(&root), &root) }.ca();
    let (same, foreign) =
        (values(&signer(&root), &root).ca(), values(&signer(&other), &other).ca());
    let groups = Groups::of(&[("broken", &broken), ("same", &same), ("foreign", &foreign)]);
    assert_eq!(groups.groups, [vec!["broken", "same"], vec!["foreign"]]);
}

#[test]
fn roots_alone_say_whom_a_cluster_accepts() {
    let root = root();
    let istiod = make("", None, |p| {
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::OrganizationName, "cluster.local");
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let east = values(&signer(&root), &root).ca();
    let (north, west) = (root_config_map(&root.pem), root_config_map(&istiod.pem));
    assert!(istiod_accepts(&west, NOW).is_none());
    assert!(west.made_by_istiod().is_some() && north.made_by_istiod().is_none());
    assert_eq!(in_use(&west, NOW).len(), 1);
    let unseen = root_config_map("{{ .Values.root }}");
    let clusters = [("east", &east), ("north", &north), ("west", &west), ("unseen", &unseen)];
    let groups = Groups::of(&clusters);
    assert_eq!(groups.groups, [vec!["east", "north"], vec!["west"]]);
    assert_eq!(groups.unseen, ["unseen"]);
}

#[test]
fn a_hundred_clusters() {
    let root = root();
    let shared: Vec<_> = (0..100).map(|_| values(&signer(&root), &root).ca()).collect();
    let clusters: Vec<_> = shared.iter().enumerate().collect();
    assert_eq!(Groups::of(&clusters).groups.len(), 1);
    let own: Vec<_> =
        (0..100).map(|_| self::root()).map(|root| values(&root, &root).ca()).collect();
    let clusters: Vec<_> = own.iter().enumerate().collect();
    assert_eq!(Groups::of(&clusters).groups.len(), 100);
}
