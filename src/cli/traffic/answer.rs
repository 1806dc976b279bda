//! What is computed for a client in one place: its journey, and the shares now and after losses.

use super::super::Failed;
use super::Asked;
use crate::mesh::{Client, Host, Locality, Order};
use crate::traffic::Traffic;
use crate::traffic::flow::Counted;
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
    /// What it would be if what files do not tell were otherwise.
    pub(super) otherwise: Vec<Otherwise<'m>>,
}

/// The same if what files do not tell were otherwise.
pub(super) struct Otherwise<'m> {
    pub(super) what: What,
    pub(super) journey: Journey<'m>,
    /// For each way of the journey; empty where the shares are the same as they are.
    pub(super) columns: Vec<Vec<Column>>,
}

/// What decides, and files do not tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Which of several rules is older.
    Age,
    /// Which locality a gateway counts in that leads to several.
    Gateway,
}

impl What {
    /// The other case, as a clause.
    pub(super) fn clause(self) -> &'static str {
        match self {
            Self::Age => "were the rules created in the other order",
            Self::Gateway => {
                "did gateways count in the last of their localities, by name, and not in the first"
            }
        }
    }
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
    let sender = Sender { traffic, client, at: &at, losses };
    let journey_by = |order| traffic.journey_by(order, client, host, port, &asked.request());
    let journey = journey_by(Order::Names);
    let columns = sender.columns(&journey, Counted::First);
    let mut otherwise = Vec::new();
    if journey.order_decides() {
        let other = journey_by(Order::Reversed);
        let shares = sender.columns(&other, Counted::First);
        otherwise.push(Otherwise { what: What::Age, journey: other, columns: shares });
    }
    if !traffic.gateways(client.cluster).is_empty() {
        let shares = sender.columns(&journey, Counted::Last);
        let journey = journey.clone();
        otherwise.push(Otherwise { what: What::Gateway, journey, columns: shares });
    }
    for other in &mut otherwise {
        if are_alike(&other.columns, &columns) {
            other.columns.clear();
        }
    }
    // Which of its localities a gateway counts in seldom matters.
    otherwise.retain(|other| other.what == What::Age || !other.columns.is_empty());
    Answer { client, at, journey, columns, otherwise }
}

/// Whether shares look the same.
fn are_alike(some: &[Vec<Column>], others: &[Vec<Column>]) -> bool {
    let shown = |columns: &[Vec<Column>]| -> Vec<Option<Vec<(String, String)>>> {
        columns.iter().flatten().map(|column| column.range.as_ref().map(shares)).collect()
    };
    some.len() == others.len() && shown(some) == shown(others)
}

/// Shares by where they go, as a reader sees them.
fn shares(range: &Range) -> Vec<(String, String)> {
    let arrivals = range.arrivals.iter().map(|(to, share)| (format!("{to:?}"), share));
    let failures = range.failures.iter().map(|(to, share)| (to.to_string(), share));
    let elsewhere = range.elsewhere.iter().map(|share| (String::new(), share));
    let unseen = range.unseen.iter().map(|share| ("?".to_owned(), share));
    let all = arrivals.chain(failures).chain(elsewhere).chain(unseen);
    all.filter(|(_, share)| share.most > 0.0).map(|(to, share)| (to, share.to_string())).collect()
}

/// Who sends, and after which losses.
struct Sender<'a, 'm> {
    traffic: &'a Traffic<'m>,
    client: Client<'m>,
    at: &'a Locality,
    losses: &'a [Lost],
}

impl<'m> Sender<'_, 'm> {
    /// Shares by way: now, and until and after each loss is noticed.
    fn columns(&self, journey: &Journey<'m>, counted: Counted) -> Vec<Vec<Column>> {
        let columns = journey.ways.iter().map(|way| {
            let after = self.losses.iter().flat_map(|lost| {
                [Phase::Unnoticed, Phase::Noticed].map(|phase| Some((lost.clone(), phase)))
            });
            let all = std::iter::once(None).chain(after);
            all.map(|loss| self.column(way, loss, counted)).collect()
        });
        columns.collect()
    }

    fn column(&self, way: &Way<'m>, loss: Option<(Lost, Phase)>, counted: Counted) -> Column {
        let gone: Vec<Lost> = loss.iter().map(|(what, _)| what.clone()).collect();
        let phase = loss.as_ref().map_or(Phase::Noticed, |(_, phase)| *phase);
        let with_client = gone.iter().any(|what| what.covers(self.client.cluster, self.at));
        let range = (!with_client).then(|| {
            self.traffic.range_counted(&self.client, self.at, way, (&gone, phase), counted)
        });
        Column { loss, range }
    }
}
