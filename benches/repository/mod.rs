//! Writes a repository of manifests of any size: the same files on every run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CLUSTERS: [(&str, &str); 4] =
    [("east", "us-east-1"), ("west", "us-west-2"), ("north", "eu-north-1"), ("south", "sa-east-1")];
const ZONES: [&str; 3] = ["a", "b", "c"];
const SERVICES_PER_TEAM: usize = 12;
const NODES_PER_ZONE: usize = 4;
const FIELDS_PER_CRD: usize = 40;

const WORKLOAD: &str = include_str!("workload.yaml");
const SERVICE: &str = include_str!("service.yaml");
const SCALING: &str = include_str!("scaling.yaml");
const EXTRAS: &str = include_str!("extras.yaml");
const TRAFFIC: &str = include_str!("traffic.yaml");
const TENANT: &str = include_str!("tenant.yaml");
const TEAM: &str = include_str!("team.yaml");
const GATEWAY: &str = include_str!("gateway.yaml");
const CONTROL_PLANE: &str = include_str!("control-plane.yaml");
const NODE: &str = include_str!("node.yaml");
const VALUES: &str = include_str!("values.yaml");
const CRD: &str = include_str!("crd.yaml");
const CRD_PROPERTY: &str = include_str!("crd-property.yaml");

/// What was written.
#[derive(Debug, Default)]
pub struct Repository {
    /// Where.
    pub root: PathBuf,
    /// YAML documents with an `apiVersion` and a `kind`.
    pub manifests: usize,
    /// Files, those without a manifest included.
    pub files: usize,
    /// Names and regions of the clusters.
    clusters: Vec<(String, String)>,
    /// Whether each cluster is in a network of its own, with a gateway.
    networks: bool,
}

impl Repository {
    /// Writes at least `manifests` manifests of four clusters into `root`, which is emptied first.
    ///
    /// What every cluster shares lies in `base/`, the rest in `clusters/NAME/`.
    pub fn write(root: &Path, manifests: usize) -> io::Result<Self> {
        let mut repository = Self::begin(root, CLUSTERS.len(), false)?;
        let mut number = 0;
        while repository.manifests < manifests {
            repository.service(number)?;
            number += 1;
        }
        Ok(repository)
    }

    /// Writes so many services of so many clusters, each of which may be in a network of its own.
    pub fn services(
        root: &Path,
        services: usize,
        clusters: usize,
        networks: bool,
    ) -> io::Result<Self> {
        let mut repository = Self::begin(root, clusters, networks)?;
        for number in 0..services {
            repository.service(number)?;
        }
        Ok(repository)
    }

    /// Writes so many namespaces of three clusters, each with objects of every kind that rules compare.
    pub fn tenants(root: &Path, tenants: usize) -> io::Result<Self> {
        let mut repository = Self::begin(root, 3, true)?;
        let name = |number: usize| format!("tenant-{:04}", number % tenants);
        for (cluster, _) in repository.clusters.clone() {
            for number in 0..tenants {
                let text = TENANT.replace("$TENANT", &name(number));
                let text = text.replace("$BEFORE", &name(number + tenants - 1));
                let text = text.replace("$AFTER", &name(number + 1));
                let text = text.replace("$HIGH", &(number / 250).to_string());
                let text = text.replace("$LOW", &(number % 250 + 1).to_string());
                repository.file(&format!("clusters/{cluster}/{}.yaml", name(number)), &text)?;
            }
        }
        Ok(repository)
    }

    /// Writes a Secret `cacerts` for each cluster, by its number.
    pub fn certificates(&mut self, of: impl Fn(usize) -> String) -> io::Result<()> {
        for (number, (cluster, _)) in self.clusters.clone().into_iter().enumerate() {
            self.file(&format!("clusters/{cluster}/cacerts.yaml"), &of(number))?;
        }
        Ok(())
    }

    fn begin(root: &Path, clusters: usize, networks: bool) -> io::Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        let named =
            CLUSTERS.iter().map(|(name, region)| ((*name).to_owned(), (*region).to_owned()));
        let more = (CLUSTERS.len()..).map(|n| (format!("cluster-{n}"), format!("region-{n}")));
        let clusters = named.chain(more).take(clusters).collect();
        let mut repository = Self { root: root.to_owned(), clusters, networks, ..Self::default() };
        repository.platform()?;
        Ok(repository)
    }

    /// Control planes and nodes.
    fn platform(&mut self) -> io::Result<()> {
        for (cluster, region) in &self.clusters.clone() {
            let network = if self.networks { cluster } else { "backbone" };
            let control_plane =
                CONTROL_PLANE.replace("$CLUSTER", cluster).replace("$NETWORK", network);
            self.file(&format!("clusters/{cluster}/istio.yaml"), &control_plane)?;
            if self.networks {
                let gateway = GATEWAY.replace("$NETWORK", network);
                self.file(&format!("clusters/{cluster}/gateway.yaml"), &gateway)?;
            }
            let mut nodes = Vec::new();
            for zone in ZONES {
                for i in 0..NODES_PER_ZONE {
                    let name = format!("{cluster}-{zone}-{i}");
                    nodes.push(
                        NODE.replace("$NAME", &name)
                            .replace("$REGION", region)
                            .replace("$ZONE", zone),
                    );
                }
            }
            self.file(&format!("clusters/{cluster}/nodes.yaml"), &nodes.join("---\n"))?;
        }
        Ok(())
    }

    /// One service: its traffic policy in the base, its workload in every cluster. The first of a team
    /// brings the namespace and a custom resource definition, so the mixture is the same at any size.
    fn service(&mut self, number: usize) -> io::Result<()> {
        let team = format!("team-{:03}", number / SERVICES_PER_TEAM);
        let name = format!("service-{number:04}");
        let fill = |template: &str, cluster: &str| {
            let text = template.replace("$NAME", &name).replace("$TEAM", &team);
            text.replace("$CLUSTER", cluster).replace("$NUMBER", &(number % 97 + 1).to_string())
        };
        if number.is_multiple_of(SERVICES_PER_TEAM) {
            self.file(&format!("base/{team}/namespace.yaml"), &fill(TEAM, ""))?;
            let field = |f: usize| CRD_PROPERTY.replace("$NUMBER", &f.to_string());
            let fields: String = (0..FIELDS_PER_CRD).map(field).collect();
            self.file(&format!("base/{team}/crd.yaml"), &(fill(CRD, "") + &fields))?;
        }
        self.file(&format!("base/{team}/{name}.yaml"), &fill(TRAFFIC, ""))?;
        for (cluster, _) in &self.clusters.clone() {
            let folder = format!("clusters/{cluster}/apps/{team}/{name}");
            for (file, template) in [
                ("deployment.yaml", WORKLOAD),
                ("service.yaml", SERVICE),
                ("scaling.yaml", SCALING),
                ("extras.yaml", EXTRAS),
                ("values.yaml", VALUES),
            ] {
                self.file(&format!("{folder}/{file}"), &fill(template, cluster))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("a name lies below the root"))?;
        fs::write(path, text)?;
        self.files += 1;
        self.manifests += text.lines().filter(|line| line.starts_with("kind: ")).count();
        Ok(())
    }
}
