//! The same for programs.

use serde_json::{Value, json};

use super::view::View;
use crate::source::{Sources, Span};
use crate::trust::{Certificate, Domain, Signer, Trust};

pub(super) fn of(trust: &Trust<'_>, views: &[View], sources: &Sources) -> Value {
    let meshes: Vec<Value> = views.iter().map(|view| mesh(trust, view, sources)).collect();
    json!({"version": 1, "meshes": meshes})
}

fn mesh(trust: &Trust<'_>, view: &View, sources: &Sources) -> Value {
    let name = |at: usize| view.name(trust, at);
    let names = |class: &[usize]| class.iter().map(|&at| name(at)).collect::<Vec<_>>();
    let clusters: Vec<Value> =
        (0..view.clusters.len()).map(|at| cluster(trust, view, at, sources)).collect();
    let mut accepts = Vec::new();
    for from in &view.classes {
        for to in &view.classes {
            let other = if from == to { to.get(1).unwrap_or(&to[0]) } else { &to[0] };
            let answer = view.answer(trust, from[0], *other);
            accepts.push(json!({
                "from": names(from),
                "to": names(to),
                "accepted": answer.word(),
                "why": answer.why(),
            }));
        }
    }
    let called = |id: &_| trust.mesh.cluster_name(*id);
    let groups: Vec<Vec<&str>> =
        view.groups.groups.iter().map(|group| group.iter().map(called).collect()).collect();
    let rotation = view.rotation.as_ref().map(|rotation| {
        let (step, at) = rotation.next();
        json!({
            "old": certificate(&rotation.old, sources),
            "new": certificate(&rotation.new, sources),
            "next": step,
            "in": names(&at),
        })
    });
    json!({"clusters": clusters, "groups": groups, "accepts": accepts, "rotation": rotation})
}

fn cluster(trust: &Trust<'_>, view: &View, at: usize, sources: &Sources) -> Value {
    let id = view.clusters[at];
    let signer = trust.signer(id);
    let by = if let Signer::Remote(primary) = signer {
        Some(trust.mesh.cluster_name(primary))
    } else {
        None
    };
    let ca = trust.ca_of(id).and_then(|found| found.ca.signer.as_ref());
    let roots: Vec<Value> =
        trust.accepted(id).iter().map(|root| certificate(root, sources)).collect();
    let domain = trust.domain(id);
    json!({
        "name": view.name(trust, at),
        "signedBy": signer.to_string(),
        "controlPlane": by,
        "ca": ca.map(|ca| certificate(ca, sources)),
        "accepts": roots,
        "trustDomain": domain.name(),
        "trustDomainTold": matches!(domain, Domain::Told(_)),
        "aliases": trust.aliases(id).iter().map(|alias| alias.as_str()).collect::<Vec<_>>(),
        "rotation": view.phase(at).map(|phase| phase.to_string()),
    })
}

fn certificate(certificate: &Certificate, sources: &Sources) -> Value {
    let (file, line) = place(certificate.span, sources);
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "algorithm": certificate.public_key.kind.to_string(),
        "publicKeySha256": certificate.public_key.spki.to_string(),
        "notBefore": certificate.not_before.to_string(),
        "notAfter": certificate.not_after.to_string(),
        "file": file,
        "line": line,
    })
}

fn place(span: Span, sources: &Sources) -> (Option<&str>, Option<usize>) {
    let file = sources.file_at(span.start).map(|(_, file)| file.name.as_str());
    (file, sources.place(span.start).map(|place| place.line))
}
