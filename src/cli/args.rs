//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::finding::Severity;
use crate::report::Format;

/// A policy linter and static analyzer for Istio service meshes that span several clusters.
///
/// Reads the manifests of all clusters at once, offline, and says what will go wrong between them.
#[derive(Debug, Parser)]
#[command(
    name = "mesh-lint",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// What to do; `check` where a path is given alone.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// What `check` takes.
    #[command(flatten)]
    pub check: Check,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check manifests: the main job.
    Check(Box<Check>),
    /// Show the clusters as understood: facts, where they come from, what is complete.
    Clusters(Clusters),
    /// Show the mesh as a graph.
    Graph(Graph),
    /// Compute where requests go, why, and where they go after a loss.
    Traffic(Box<Traffic>),
    /// Show which clusters accept each other's certificates, and how far a rotation of the root is.
    Trust(Trust),
    /// Show the ordered way to a mesh of several clusters: what is done, what is to do, and how.
    Migrate(Migrate),
    /// Show the page of a rule.
    Explain {
        /// A rule's name, the last part of it, or an alias such as IST0101.
        rule: String,
    },
    /// List the rules.
    Rules {
        /// Only rules that match (name or a part of it, room, alias, regular expression).
        #[arg(value_name = "WORD")]
        only: Vec<String>,
        /// How they are written.
        #[command(flatten)]
        writing: Writing,
        /// The codes of `istioctl analyze`, each with the rules that say the same.
        #[arg(long)]
        istio: bool,
        /// The codes of Kiali's validations, each with the rules that say the same.
        #[arg(long, conflicts_with = "istio")]
        kiali: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How a table is written.
#[derive(Clone, Copy, Debug, Args)]
pub struct Writing {
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: TableFormat,
    /// The former word for `--format json`.
    #[arg(long, hide = true)]
    pub json: bool,
}

impl Writing {
    /// Whether it is for programs.
    pub fn is_json(self) -> bool {
        self.json || self.format == TableFormat::Json
    }
}

/// What is read, and how it is divided into clusters.
#[derive(Debug, Args)]
pub struct Reading {
    /// Files and folders; `-` is standard input.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The configuration; found upward from the first path where not given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A cluster and its file or folder, such as `east=clusters/east`, instead of the configuration's
    /// clusters; repeatable.
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_path)]
    pub cluster: Vec<(String, PathBuf)>,
    /// Namespace of objects that name none.
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
}

/// What `check` takes.
#[derive(Debug, Args)]
pub struct Check {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// Only these rules: name, room, alias or regular expression.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Not these rules.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Fail (exit code 1) from this severity on; `error` where not given.
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Severity>,
    /// The point in time for expiry: a date, or a date and time in UTC; today where not given.
    #[arg(long, value_name = "DATE", value_parser = super::time::parse)]
    pub now: Option<i64>,
    /// How findings are shown.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Format,
    /// Write one more format to a file; repeatable. A name alone takes the format from its ending.
    #[arg(long, value_name = "[FORMAT=]FILE", value_parser = super::output::parse)]
    pub output: Vec<super::output::Output>,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What `clusters` takes.
#[derive(Debug, Args)]
pub struct Clusters {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// How it is written.
    #[command(flatten)]
    pub writing: Writing,
    /// List the files of each cluster too.
    #[arg(long)]
    pub files: bool,
    /// Show who may read whose API server, by what, and whether that holds, in place of the facts.
    #[arg(long, conflicts_with = "files")]
    pub reach: bool,
    /// Show what happens where this cluster is lost or its API server silent, in place of the facts: who
    /// fails, what to do, what not to do.
    #[arg(long, value_name = "CLUSTER", conflicts_with_all = ["files", "reach"])]
    pub lose: Option<String>,
    /// The point in time for expiry: a date, or a date and time in UTC; today where not given.
    #[arg(long, value_name = "DATE", value_parser = super::time::parse)]
    pub now: Option<i64>,
}

/// What `graph` takes.
#[derive(Debug, Args)]
pub struct Graph {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// How the graph is written.
    #[arg(long, value_name = "FORMAT", default_value = "mermaid")]
    pub format: GraphFormat,
    /// Only what belongs to this host (`cart.shop`, or the full name).
    #[arg(long)]
    pub host: Option<String>,
    /// Only what belongs to this cluster.
    #[arg(long, value_name = "CLUSTER")]
    pub only: Option<String>,
}

/// What `traffic` takes.
#[derive(Debug, Args)]
pub struct Traffic {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// Where the client runs: a cluster, and perhaps a region or zone of it; all where not given.
    #[arg(long, value_name = "CLUSTER[/REGION[/ZONE]]")]
    pub from: Option<String>,
    /// Who the client is; some pod of the host's namespace where not given.
    #[arg(long = "as", value_name = "NAMESPACE[/WORKLOAD]")]
    pub client: Option<String>,
    /// The host that is called: `cart.shop`, or the full name.
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        required_unless_present_any = ["matrix", "requests"]
    )]
    pub to: Option<String>,
    /// The path of the request; routes that look at it stay open where not given.
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// A header of the request; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// The method of the request.
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// What is lost: a zone, a region or a cluster; repeatable, each by itself, and in a matrix all together.
    #[arg(long, value_name = "ZONE|REGION|CLUSTER")]
    pub lose: Vec<String>,
    /// Zones against zones for one host, or what stays, leaves and fails for all hosts.
    #[arg(long)]
    pub matrix: bool,
    /// Requests by host, to tell bytes: lines of `host,requests per second,bytes per request`. They are
    /// taken to come from all zones alike.
    #[arg(long, value_name = "FILE")]
    pub requests: Option<PathBuf>,
    /// What a gigabyte costs that leaves its zone.
    #[arg(long, value_name = "PRICE", requires = "requests", value_parser = price)]
    pub price: Option<f64>,
    /// The version of all control planes, `1.30`; what manifests tell where not given.
    #[arg(long, value_name = "VERSION", value_parser = istio_version)]
    pub istio_version: Option<String>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: TrafficFormat,
}

/// How traffic is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrafficFormat {
    /// Reasons and tables for people.
    Human,
    /// For programs.
    Json,
    /// For Markdown.
    Mermaid,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// For programs.
    Json,
}

/// What `trust` takes.
#[derive(Debug, Args)]
pub struct Trust {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// The point in time for expiry: a date, or a date and time in UTC; today where not given.
    #[arg(long, value_name = "DATE", value_parser = super::time::parse)]
    pub now: Option<i64>,
    /// How it is written.
    #[command(flatten)]
    pub writing: Writing,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// Tables for people.
    Human,
    /// For programs.
    Json,
}

/// What `migrate` takes.
#[derive(Debug, Args)]
pub struct Migrate {
    /// What is read.
    #[command(flatten)]
    pub reading: Reading,
    /// Who is to run control planes; what the files tell where not given.
    #[arg(long, value_name = "SHAPE")]
    pub to: Option<ShapeArg>,
    /// Whether pods of all clusters are to reach each other directly; what the files tell where not
    /// given, several where they tell nothing.
    #[arg(long, value_name = "NETWORKS")]
    pub networks: Option<NetworksArg>,
    /// The point in time for expiry: a date, or a date and time in UTC; today where not given.
    #[arg(long, value_name = "DATE", value_parser = super::time::parse)]
    pub now: Option<i64>,
    /// How it is written.
    #[command(flatten)]
    pub writing: Writing,
}

/// Who runs control planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShapeArg {
    /// Every cluster its own.
    MultiPrimary,
    /// One for all.
    PrimaryRemote,
}

/// How pods of different clusters reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworksArg {
    /// Directly.
    One,
    /// Through gateways.
    Several,
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "a price is a number".to_owned())?;
    if price.is_finite() && price >= 0.0 {
        Ok(price)
    } else {
        Err("a price is 0 or more".to_owned())
    }
}

fn istio_version(text: &str) -> Result<String, String> {
    match crate::api::version(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("a version is a major and a minor, such as `1.30`".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected NAME=PATH, such as `east=clusters/east`".to_owned()),
    }
}
