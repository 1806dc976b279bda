//! What istiod proves itself with, and how the server proves itself to istiod.

use std::collections::BTreeMap;

use super::texts::{Kept, kept};
use crate::access::{
    Access, Expiry, Kind, certificate, claims, expiry, is_not_allowed, refusal, used,
};
use crate::finding::{Findings, Severity};
use crate::rules::SHOWN;
use crate::trust::Time;

/// Days before the end of a credential at which to speak.
const DAYS: i64 = 30;

/// A token that lives shorter is made for a job, not for istiod.
const SHORT: i64 = 90;

pub(super) fn insecure_tls(access: &Access<'_>, found: &mut Findings) {
    for kept in kept(access) {
        let skips = |skip: &&crate::source::Spanned<bool>| skip.value;
        let mut told = kept
            .config
            .clusters
            .iter()
            .filter_map(|c| c.it.insecure_skip_tls_verify.as_ref().filter(skips));
        let Some(skip) = told.next() else { continue };
        let refused = refusal(kept.config).filter(|r| r.kind == Kind::Contradiction);
        let at = kept.at(refused.as_ref().map_or(Some(skip.span), |r| r.at));
        match refused {
            Some(_) => found
                .say(
                    format!("istiod refuses the kubeconfig {}", kept.what()),
                    at,
                    "there are certificates to check the server by, and this says not to",
                )
                .help("drop `insecure-skip-tls-verify`"),
            None => found
                .say(
                    format!(
                        "istiod hands its token for `{}` to whoever answers at that address",
                        kept.held.key
                    ),
                    at,
                    "the certificate of the server is not verified",
                )
                .help("put the cluster's CA into `certificate-authority-data`, and drop this")
                .lower(Severity::Warning),
        };
    }
}

pub(super) fn auth_not_allowed(access: &Access<'_>, found: &mut Findings) {
    for kept in kept(access) {
        let Some(refusal) = is_not_allowed(kept.config, &[]) else { continue };
        let Kind::NotAllowed(option) = refusal.kind else { continue };
        let allowed = access.allowed(kept.remote.holder);
        let remaining = is_not_allowed(kept.config, allowed.as_deref().unwrap_or_default());
        let is_allowed = allowed.is_some() && remaining.is_none();
        let is_exec = option == "exec";
        let finding = found.say(
            format!("istiod refuses the kubeconfig {}", kept.what()),
            kept.at(refusal.at),
            if is_allowed {
                "whoever may write remote secrets decides what istiod runs or reads".to_owned()
            } else if is_exec {
                "istiod runs no programs that a Secret names".to_owned()
            } else {
                format!("{}, which istiod does not use", refusal.why)
            },
        );
        finding.help(
            "use the token of a ServiceAccount, as `istioctl create-remote-secret` does: the kubeconfig \
             of a cloud is made for people",
        );
        if allowed.is_none() {
            finding.milder(Severity::Warning, ", unless it is told to allow it");
        } else if is_allowed {
            finding.message = format!(
                "istiod is told to allow the kubeconfig {}, and all of its sort in remote secrets",
                kept.what()
            );
            finding.lower(Severity::Warning);
        }
    }
}

/// What ends at one time for one cluster: copies of one credential in several secrets.
type SameEnd<'a, 'm> = Vec<(Kept<'a, 'm>, Expiry)>;

/// Credentials with an end that a test picks out, copies together.
fn ending<'a, 'm>(access: &'a Access<'m>, wanted: impl Fn(Time) -> bool) -> Vec<SameEnd<'a, 'm>> {
    let mut found: BTreeMap<(String, i64, &str), SameEnd<'a, 'm>> = BTreeMap::new();
    for kept in kept(access) {
        let Some(ends) = used(kept.config).and_then(|(_, user)| expiry(&user.it)) else { continue };
        if wanted(ends.at) {
            let key = (kept.held.key.value.clone(), ends.at.0, ends.what);
            found.entry(key).or_default().push((kept, ends));
        }
    }
    let mut all: Vec<SameEnd<'a, 'm>> = found.into_values().collect();
    all.sort_by_key(|same| same[0].1.span);
    all
}

fn say_end(found: &mut Findings, same: &SameEnd<'_, '_>, when: &str, effect: &str) {
    let (first, ends) = &same[0];
    let finding = found.say(
        format!("the {} for `{}` {when}", ends.what, first.held.key),
        first.at(Some(ends.span)),
        effect,
    );
    for (kept, ends) in same.iter().skip(1).take(SHOWN) {
        finding.also(kept.at(Some(ends.span)), format!("the same in `{}`", kept.remote.name()));
    }
    finding.help(
        "make the Secret anew with `istioctl create-remote-secret`; a token from a Secret of type \
         `kubernetes.io/service-account-token` does not end",
    );
}

pub(super) fn expired(access: &Access<'_>, found: &mut Findings) {
    let now = Time(access.mesh().now());
    for same in ending(access, |end| end <= now) {
        let when = format!("expired on {}", same[0].1.at);
        say_end(
            found,
            &same,
            &when,
            "the API server refuses it: no endpoints of that cluster after the next restart of istiod",
        );
    }
}

pub(super) fn expiring(access: &Access<'_>, found: &mut Findings) {
    let now = Time(access.mesh().now());
    let days = access.mesh().option("remote/expiring", "days").and_then(|d| d.parse().ok());
    let days = days.unwrap_or(DAYS);
    for same in ending(access, |end| end > now && now.days_until(end) < days) {
        let end = same[0].1.at;
        let when = match now.days_until(end) {
            0 => format!("expires on {end}, in less than a day"),
            1 => format!("expires on {end}, in a day"),
            left => format!("expires on {end}, in {left} days"),
        };
        say_end(found, &same, &when, "nothing renews what stands in a file");
    }
}

pub(super) fn token_short_lived(access: &Access<'_>, found: &mut Findings) {
    let now = Time(access.mesh().now());
    for kept in kept(access) {
        let Some((claims, span)) = used(kept.config).and_then(|(_, user)| claims(&user.it)) else {
            continue;
        };
        let (Some(made), Some(_)) = (claims.iat, claims.exp) else { continue };
        let Some(ends) = used(kept.config).and_then(|(_, user)| expiry(&user.it)) else { continue };
        let life = crate::access::seconds(made).days_until(ends.at);
        // What ends soon, or has ended, is said by other rules.
        if life >= SHORT || now.days_until(ends.at) < DAYS {
            continue;
        }
        found
            .say(
                format!("the token for `{}` lives for {life} days", kept.held.key),
                kept.at(Some(span)),
                format!("ends on {}, and nothing renews it", ends.at),
            )
            .help(
                "take the token of a Secret of type `kubernetes.io/service-account-token`, or let \
                 something renew it (an ExternalSecret, say)",
            );
    }
}

pub(super) fn overprivileged(access: &Access<'_>, found: &mut Findings) {
    for kept in kept(access) {
        let Some((_, user)) = used(kept.config) else { continue };
        let user = &user.it;
        let (at, who, is_admin) = if let Some((claims, span)) = claims(user) {
            let Some(account) = claims.sub.as_deref().and_then(account) else { continue };
            if is_reader(account) {
                continue;
            }
            (span, format!("ServiceAccount `{account}`"), account.contains("admin"))
        } else if let Some(password) = user.password.as_ref().filter(|p| !p.is_empty && !p.is_open)
        {
            (password.span, "a user with a password".to_owned(), true)
        } else if let Some(certificate) = certificate(user) {
            let subject = &certificate.subject;
            let is_admin = subject.contains("O=system:masters") || subject.contains("-admin");
            if !is_admin {
                continue;
            }
            (certificate.span, format!("`{subject}`"), true)
        } else {
            continue;
        };
        let finding = found.say(
            format!("istiod reads the API server of `{}` as {who}", kept.held.key),
            kept.at(Some(at)),
            if is_admin {
                "whoever may read Secrets of istiod's namespace is administrator of that cluster"
            } else {
                "not the reader that Istio's charts make: what it may do is not limited by them"
            },
        );
        finding.help(
            "use the token of `istio-reader-service-account`: `istioctl create-remote-secret` does",
        );
        if !is_admin {
            finding.milder(Severity::Note, ", whose rights the input does not show");
        }
    }
}

/// The name of a ServiceAccount in the subject of a token, where it looks like one.
fn account(subject: &str) -> Option<&str> {
    let name = subject.strip_prefix("system:serviceaccount:")?.split(':').nth(1)?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    is_name.then_some(name)
}

/// Whether it is an account of Istio's own charts, or is called like one.
fn is_reader(account: &str) -> bool {
    account.contains("istio-reader") || account.starts_with("istiod")
}
