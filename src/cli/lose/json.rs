//! The same for programs: nothing is counted or left out.

use serde_json::{Value, json};

use super::{Shown, commands};
use crate::access::{OF_CA, OF_CLUSTERS};
use crate::outage::{Harm, Orphan, Plane, Sight, Stay, Wait};
use crate::source::Span;
use crate::traffic::counts::Interval;

pub(super) fn of(shown: &Shown<'_, '_>) -> Value {
    let outage = shown.outage;
    let mesh = shown.mesh;
    let entrances = outage.entrances.iter().map(|service| {
        let mut value = place(shown, Some(service.named_at()));
        value["name"] = json!(service.name());
        value["namespace"] = json!(service.namespace);
        value
    });
    json!({
        "version": 1,
        "lost": outage.lost.name,
        "role": outage.lost.role().map(|role| role.to_string()),
        "servedBy": outage.served_by.map(|id| mesh.cluster_name(id)),
        "foreignCa": outage.has_foreign_ca,
        "controlPlanes": outage.planes.iter().map(|p| plane(shown, p)).collect::<Vec<_>>(),
        "withoutControlPlane": outage.orphans.iter().map(|o| orphan(shown, o)).collect::<Vec<_>>(),
        "services": outage.harms.iter().map(|h| harm(shown, h)).collect::<Vec<_>>(),
        "unknownServices": outage.unknown,
        "entrances": entrances.collect::<Vec<_>>(),
        "metrics": OF_CLUSTERS.iter().chain(&OF_CA).map(|metric| metric.name).collect::<Vec<_>>(),
    })
}

fn place(shown: &Shown<'_, '_>, at: Option<Span>) -> Value {
    let at = at.filter(|span| !span.is_empty());
    let file = at.and_then(|span| shown.sources.file_at(span.start)).map(|(_, f)| f.name.as_str());
    let line = at.and_then(|span| shown.sources.place(span.start)).map(|place| place.line);
    json!({"file": file, "line": line})
}

fn plane(shown: &Shown<'_, '_>, plane: &Plane<'_>) -> Value {
    let (wait, at) = match plane.wait {
        Wait::Default => (json!("30s"), None),
        Wait::Set(told) => (json!(told.as_str()), Some(told.span)),
        Wait::Forever(told) => (json!("forever"), Some(told.span)),
        Wait::Open(told) => (Value::Null, Some(told.span)),
    };
    let reads = match plane.sight {
        Sight::By(_) => json!(true),
        Sight::Not => json!(false),
        Sight::Unseen => Value::Null,
    };
    let secrets = commands::ways(plane).iter().map(|way| {
        let mut value = place(shown, Some(way.at()));
        value["name"] = json!(way.remote.name());
        value["namespace"] = json!(way.remote.namespace);
        value["shared"] = json!(way.is_shared);
        value["state"] = json!(way.edge.as_ref().map(|edge| edge.state.word()));
        value["isolate"] = json!(commands::command(shown.context(plane), way).text);
        value
    });
    json!({
        "cluster": plane.cluster.name,
        "reads": reads,
        "waitAtStart": wait,
        "waitSetAt": place(shown, at),
        "secrets": secrets.collect::<Vec<_>>(),
    })
}

fn orphan(shown: &Shown<'_, '_>, orphan: &Orphan<'_>) -> Value {
    let mut value = place(shown, orphan.at);
    value["cluster"] = json!(orphan.cluster.name);
    value["injectsItself"] = json!(orphan.injects_itself);
    value["readBy"] = json!(orphan.heirs.iter().map(|c| c.name.as_str()).collect::<Vec<_>>());
    value
}

fn harm(shown: &Shown<'_, '_>, harm: &Harm<'_>) -> Value {
    let interval = |share: Interval| json!({"least": share.least, "most": share.most});
    let clients = harm.shares.iter().map(|(cluster, shares)| {
        json!({
            "cluster": shown.mesh.cluster_name(*cluster),
            "now": interval(shares.now),
            "whileListed": interval(shares.listed),
            "afterRetries": interval(shares.at_last),
            "onceTakenOut": interval(shares.taken_out),
            "outlierDetection": shares.ejects,
            "known": shares.is_known,
        })
    });
    let left = match harm.stay {
        Stay::Nowhere => json!(false),
        Stay::Elsewhere => json!(true),
        Stay::Unseen => Value::Null,
    };
    json!({
        "host": harm.host.name,
        "leftElsewhere": left,
        "headless": harm.is_headless,
        "clients": clients.collect::<Vec<_>>(),
    })
}
