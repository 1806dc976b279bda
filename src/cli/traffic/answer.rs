//! What is computed for a client in one place: its journey, and the shares now and after losses.

use super::super::Failed;
use super::Asked;
use crate::mesh::{Client, Host, Locality};
use crate::traffic::journey::{Journey, Way};
use crate::traffic::loss::{Lost, Phase};
use crate::traffic::range::Range;

/// What is computed for a client in one place.
pub(super) struct Answer<'m> {
    pub(super) client: Client<'m>,
    pub(super) at: Locality,
    pub(super) journey: Journey<'m>,
    /// For each way of the journey.
    pub(super) columns: Vec<Vec<Column>>,
}

/// Shares now, or after a loss.
pub(super) struct Column {
    /// What is lost, and how far that has come; nothing now.
    pub(super) loss: Option<(Lost, Phase)>,
    /// The shares; nothing where the client is lost too.
    pub(super) range: Option<Range>,
}

/// The answers for all clients that are asked about.
pub(super) fn answers<'m>(
    asked: &Asked<'_, 'm>,
    host: Host<'m>,
    port: u32,
) -> Result<Vec<Answer<'m>>, Failed> {
    let losses = asked.losses()?;
    let mut answers = Vec::new();
    for (cluster, localities) in asked.senders()? {
        let client = asked.client(cluster, host)?;
        for at in localities {
            answers.push(answer(asked, client, at, host.name, port, &losses));
        }
    }
    Ok(answers)
}

fn answer<'m>(
    asked: &Asked<'_, 'm>,
    client: Client<'m>,
    at: Locality,
    host: &str,
    port: u32,
    losses: &[Lost],
) -> Answer<'m> {
    let traffic = asked.traffic;
    // The mesh outlives this call, a locality made here does not; so labels of the place are those of a
    // place of the mesh, or unknown.
    let places = asked.mesh().places(client.cluster);
    let known = places.iter().map(|p| &p.locality);
    let locality = known.clone().find(|l| **l == at);
    let locality = locality.or_else(|| known.clone().find(|l| l.without_subzone() == at));
    let client = Client { locality, ..client };
    let journey = traffic.journey(client, host, port, &asked.request());
    let column = |way: &Way<'m>, loss: Option<(Lost, Phase)>| {
        let lost: Vec<Lost> = loss.iter().map(|(lost, _)| lost.clone()).collect();
        let phase = loss.as_ref().map_or(Phase::Noticed, |(_, phase)| *phase);
        let gone = lost.iter().any(|lost| lost.covers(client.cluster, &at));
        let range = (!gone).then(|| traffic.range(&client, &at, way, &lost, phase));
        Column { loss, range }
    };
    let columns = journey.ways.iter().map(|way| {
        let after = losses.iter().flat_map(|lost| {
            [Phase::Unnoticed, Phase::Noticed].map(|phase| column(way, Some((lost.clone(), phase))))
        });
        std::iter::once(column(way, None)).chain(after).collect()
    });
    let columns = columns.collect();
    Answer { client, at, journey, columns }
}
