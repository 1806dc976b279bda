//! Topologies drawn by chance, the same ones on every run, in the words of the tables.

use std::fmt::Write;

/// A linear congruential generator (Knuth's MMIX).
pub struct Draw(u64);

impl Draw {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Once in `n`.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A row: one to three clusters, in one network or each in its own.
    pub fn row(&mut self, number: usize) -> String {
        let clusters = 1 + self.below(3);
        let networks = clusters > 1 && self.once_in(2);
        let network = |c: usize| if networks { format!("@n{c}") } else { String::new() };
        let client = format!("c1{} version=v1 {}", network(1), self.of(&PLACES));
        let pods: Vec<String> =
            (1..=clusters).map(|c| self.pods(&format!("c{c}{}", network(c)))).collect();
        let mut settings = self.preference(clusters);
        if networks {
            settings.push(self.gateways(clusters));
        }
        if clusters > 1 && self.once_in(4) {
            let part = |c| format!(" c{c}={}", 10 + self.below(90));
            settings.push(format!("split{}", (1..=clusters).map(part).collect::<String>()));
        }
        if self.once_in(5) {
            settings.push(format!("min-health {}", 10 * (1 + self.below(9))));
        }
        format!("drawn {number} | {client} | {} | {}", pods.join("; "), settings.join("; "))
    }

    /// Some places with up to four ready pods, and sometimes unready ones.
    fn pods(&mut self, owner: &str) -> String {
        let mut text = format!("{owner} version=v{}", 1 + self.below(2));
        let first = self.below(PLACES.len());
        for i in 0..=self.below(4) {
            let place = PLACES[(first + i) % PLACES.len()];
            let ready = self.below(5);
            write!(text, " {place}:{ready}").unwrap();
            if self.once_in(2) {
                write!(text, "+{}u", 1 + self.below(4)).unwrap();
            }
        }
        text
    }

    fn preference(&mut self, clusters: usize) -> Vec<String> {
        let outliers = || "outliers 100".to_owned();
        match self.below(7) {
            0 => vec![],
            1 => vec!["same-zone".to_owned()],
            2 => vec![outliers(), self.labels()],
            3 => vec![self.distribute()],
            4 => vec![
                outliers(),
                format!("locality failover: [{{from: r1, to: r{}}}]", 2 + self.below(2)),
            ],
            // Fails in one locality, hence in one group; chance then only says which hosts stay.
            5 if clusters < 3 => {
                let most = self.of(&["10", "20", "25", "34", "50", "100"]);
                vec![format!("outliers {most}"), format!("failing {}", self.of(&PLACES))]
            }
            _ => vec![outliers()],
        }
    }

    fn labels(&mut self) -> String {
        let first = self.below(LABELS.len());
        let some: Vec<&str> =
            (0..=self.below(3)).map(|i| LABELS[(first + 2 * i) % LABELS.len()]).collect();
        format!("locality failoverPriority: [{}]", some.join(", "))
    }

    fn distribute(&mut self) -> String {
        let first = self.below(PLACES.len());
        let part = 1 + self.below(99);
        let (a, b) = (PLACES[first], PLACES[(first + 1) % PLACES.len()]);
        format!("locality distribute: [{{from: '*', to: {{{a}: {part}, {b}: {}}}}}]", 100 - part)
    }

    fn gateways(&mut self, clusters: usize) -> String {
        let mut text = "gateways".to_owned();
        for c in 1..=clusters {
            for address in 0..=self.below(2) {
                write!(text, " n{c}/c{c}/gw{c}-{address}").unwrap();
            }
        }
        text
    }
}

const PLACES: [&str; 6] = ["r1/a/x", "r1/a/y", "r1/b", "r1/c", "r2/d", "r3/e"];

const LABELS: [&str; 5] = [
    "topology.istio.io/network",
    "topology.kubernetes.io/region",
    "topology.istio.io/cluster",
    "topology.kubernetes.io/zone",
    "version",
];
