//! Webhooks of a cluster whose control plane runs elsewhere: where do they lead?

use core::net::IpAddr;

use crate::finding::Findings;
use crate::kinds::control_plane::{Webhook, Webhooks};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, value};
use crate::source::Span;

/// Configurations by which a cluster asks its control plane, with their webhooks.
fn webhooks(mesh: &Mesh) -> impl Iterator<Item = (&In<Webhooks>, &Webhook)> {
    let of_istio = mesh.webhooks.iter().filter(|of| match of.meta.kind.as_str() {
        "MutatingWebhookConfiguration" => of.name().starts_with("istio-sidecar-injector"),
        _ => of.name() == "istiod-default-validator" || of.name().starts_with("istio-validator"),
    });
    of_istio.flat_map(|of| of.webhooks.iter().map(move |hook| (of, hook)))
}

/// The host of a URL, without its port; `None` where it is no URL.
fn host(url: &str) -> Option<&str> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) => {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
            (is_scheme && scheme.chars().all(word)).then_some(rest)?
        }
        // Go takes it for a path, as long as nothing before the first slash has a colon.
        None if url.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        None => return Some(""),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => host.split_once(':').map_or((host, ""), |(host, port)| (host, port)),
    };
    let port = port.trim_start_matches(':');
    let is_clean =
        !host.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
    (is_clean && port.bytes().all(|b| b.is_ascii_digit())).then_some(host)
}

fn named_at(of: &In<Webhooks>, hook: &Webhook) -> Span {
    hook.name.as_ref().map_or(of.named_at(), |name| name.span)
}

pub(super) fn webhook_without_address(mesh: &Mesh, found: &mut Findings) {
    for (of, hook) in webhooks(mesh) {
        let name = value(hook.name.as_ref()).unwrap_or_default();
        let told = "its control plane is never asked";
        let finding = match &hook.client_config.url {
            Some(url) if is_placeholder(url) || host(url).is_some() => continue,
            Some(url) => found.say(
                format!("the URL of webhook `{name}` cannot be read"),
                url.span,
                format!("no URL: {told}"),
            ),
            None if hook.client_config.service.is_some() || of.meta.is_unread("webhooks") => {
                continue;
            }
            None => found.say(
                format!("webhook `{name}` has neither a URL nor a Service"),
                named_at(of, hook),
                told,
            ),
        };
        finding.help("write the control plane's address: `clientConfig.url: https://istiod.example.com:15017/inject`");
    }
}

pub(super) fn webhook_address_is_ip(mesh: &Mesh, found: &mut Findings) {
    for (_, hook) in webhooks(mesh) {
        let Some(url) = &hook.client_config.url else { continue };
        if host(url).is_none_or(|host| host.parse::<IpAddr>().is_err()) {
            continue;
        }
        let name = value(hook.name.as_ref()).unwrap_or_default();
        found
            .say(
                format!("webhook `{name}` reaches its control plane by an IP address"),
                url.span,
                "the API server wants the certificate to be for this address",
            )
            .help("use a host name that the control plane's certificate is for");
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_a_url() {
        assert_eq!(host("https://istiod.example.com:15017/inject"), Some("istiod.example.com"));
        assert_eq!(host("https://10.0.0.1:15017/inject"), Some("10.0.0.1"));
        assert_eq!(host("https://[fd00::1]:15017/inject"), Some("fd00::1"));
        assert_eq!(host("/inject"), Some(""));
        assert_eq!(host("https://istiod.example.com:port/"), None);
        assert_eq!(host("https://an istiod/"), None);
        assert_eq!(host("10.0.0.1:15017/inject"), None);
    }
}
