//! What one cluster's CA is made of: signer, key, chain and roots, from a manifest or from files.

use std::collections::{BTreeMap, HashMap};

use super::certificate::Certificate;
use super::digest::Digest;
use super::key::PrivateKey;
use super::pem::{Block, Fault, Pem, Value};
use super::revocation::RevocationList;
use crate::source::{SourceFile, Span};

/// Where the material was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Secret `cacerts`: all there is, so that what is missing is missing.
    Cacerts,
    /// Secret `istio-ca-secret`, in which istiod keeps the root it made for itself.
    IstioCaSecret,
    /// `ConfigMap` `istio-ca-root-cert`: the roots that proxies trust, and nothing else.
    RootConfigMap,
    /// PEM files of one folder; others may be kept elsewhere, above all the key.
    Files,
}

/// Which names of values are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// `ca-cert.pem`, `ca-key.pem`, `root-cert.pem`, `cert-chain.pem`.
    Classic,
    /// `tls.crt`, `tls.key`, `ca.crt`; istiod prefers it wherever there is a `tls.crt`.
    Tls,
    /// `ca-cert.pem` and `ca-key.pem` of a CA that is its own root.
    SelfSigned,
    /// `root-cert.pem` alone.
    RootsOnly,
    /// No name that istiod knows: it silently makes a root for itself.
    Unknown,
}

impl Layout {
    const fn signer(self) -> Option<&'static str> {
        match self {
            Self::Classic | Self::SelfSigned => Some("ca-cert.pem"),
            Self::Tls => Some("tls.crt"),
            Self::RootsOnly | Self::Unknown => None,
        }
    }

    const fn key(self) -> Option<&'static str> {
        match self {
            Self::Classic | Self::SelfSigned => Some("ca-key.pem"),
            Self::Tls => Some("tls.key"),
            Self::RootsOnly | Self::Unknown => None,
        }
    }

    const fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Classic | Self::RootsOnly => &["root-cert.pem"],
            Self::Tls => &["ca.crt"],
            Self::SelfSigned => &["ca-cert.pem"],
            Self::Unknown => &[],
        }
    }

    /// What istiod sends after each certificate it signs.
    const fn chain(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &["cert-chain.pem"],
            Self::Tls => &["tls.crt", "ca.crt"],
            Self::SelfSigned | Self::RootsOnly | Self::Unknown => &[],
        }
    }

    /// All names of values that istiod reads.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"],
            Self::Tls => &["tls.crt", "tls.key", "ca.crt"],
            Self::SelfSigned => &["ca-cert.pem", "ca-key.pem"],
            Self::RootsOnly => &["root-cert.pem"],
            Self::Unknown => &[],
        }
    }

    /// The one that istiod chooses by the names it finds.
    fn of(origin: Origin, has: impl Fn(&str) -> bool) -> Self {
        let classic = Self::Classic.names().iter().any(|name| has(name));
        let only_roots = !["ca-cert.pem", "ca-key.pem", "cert-chain.pem"].into_iter().any(&has);
        match origin {
            Origin::RootConfigMap => Self::RootsOnly,
            Origin::IstioCaSecret => Self::SelfSigned,
            _ if has("tls.crt") => Self::Tls,
            Origin::Files if classic && only_roots => Self::RootsOnly,
            _ if classic => Self::Classic,
            _ => Self::Unknown,
        }
    }
}

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the value: `cert-chain.pem`.
    pub name: &'static str,
    /// What.
    pub fault: Fault,
    /// Where.
    pub span: Span,
}

/// The CA of one cluster, as far as the input shows it.
#[derive(Clone, Debug)]
pub struct CaMaterial {
    /// Where it was found.
    pub origin: Origin,
    /// Which names of values are used.
    pub layout: Layout,
    /// Where it stands as a whole.
    pub span: Span,
    /// The certificate whose key signs workloads.
    pub signer: Option<Certificate>,
    /// What istiod sends after each certificate it signs.
    pub chain: Vec<Certificate>,
    /// What the proxies of this cluster trust.
    pub roots: Vec<Certificate>,
    /// The signer's key.
    pub key: Option<PrivateKey>,
    /// The revocation lists of `ca-crl.pem`; none where one of them cannot be read.
    pub lists: Vec<RevocationList>,
    /// Names of the layout that are absent or empty.
    pub missing: Vec<&'static str>,
    /// Names whose content is a placeholder: templates, encrypted values.
    pub unseen: Vec<&'static str>,
    /// Values of the classic layout that stand beside the other one and are ignored.
    pub ignored: Vec<Span>,
    /// Has the value `istio-generated`: istiod wrote it, and treats it as its own self-signed CA.
    pub istio_generated: bool,
    /// What is wrong with its values, in the order of the layout's names.
    pub problems: Vec<Problem>,
}

impl CaMaterial {
    /// Reads named values. Never fails: what is wrong becomes a problem with its place.
    pub fn new(origin: Origin, span: Span, values: &[(&str, Value<'_>)]) -> Self {
        let find = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
        let layout = Layout::of(origin, |name| find(name).is_some());
        let mut reading = Reading::default();
        for &name in layout.names() {
            reading.value(name, find(name));
        }
        let signer = layout.signer().and_then(|name| reading.first_certificate(name));
        let roots = reading.certificates(layout.roots());
        let chain = reading.certificates(layout.chain());
        let key = layout.key().and_then(|name| PrivateKey::read(reading.pems.get(name)?));
        let lists = find("ca-crl.pem").and_then(lists).unwrap_or_default();
        let hidden = |name: &&str| find(name).map(Value::span);
        let ignored = match layout {
            Layout::Tls => Layout::Classic.names().iter().filter_map(hidden).collect(),
            _ => Vec::new(),
        };
        let istio_generated = find("istio-generated").is_some();
        let Reading { missing, unseen, mut problems, .. } = reading;
        problems.dedup();
        Self {
            origin,
            layout,
            span,
            signer,
            chain,
            roots,
            key,
            lists,
            missing,
            unseen,
            ignored,
            istio_generated,
            problems,
        }
    }

    /// All certificates, signer first, each once.
    pub fn certificates(&self) -> Vec<&Certificate> {
        let mut all: Vec<&Certificate> = Vec::new();
        for certificate in self.signer.iter().chain(&self.chain).chain(&self.roots) {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        all
    }

    /// Lets its certificates share what is known of the same ones elsewhere.
    pub(super) fn share(&mut self, known: &mut HashMap<Digest, Certificate>) {
        let all = self.signer.iter_mut().chain(&mut self.chain).chain(&mut self.roots);
        all.for_each(|certificate| certificate.share(known));
    }

    /// The same, taking the key to be kept elsewhere where it is absent or empty.
    #[must_use]
    pub fn with_key_elsewhere(mut self) -> Self {
        if let Some(key) = self.layout.key().filter(|key| self.missing.contains(key)) {
            self.missing.retain(|name| *name != key);
            self.unseen.push(key);
        }
        self
    }

    /// The same, taking all that is absent or empty to be kept elsewhere: what is there is looked at alone.
    #[must_use]
    pub fn with_rest_elsewhere(mut self) -> Self {
        self.unseen.append(&mut self.missing);
        self
    }

    /// The root istiod seems to have made for itself, if this is one.
    pub fn made_by_istiod(&self) -> Option<&Certificate> {
        self.roots.iter().find(|root| root.looks_made_by_istiod())
    }

    pub(super) fn shows_signer(&self) -> bool {
        self.layout.signer().is_some_and(|name| self.shows(name))
    }

    pub(super) fn shows_key(&self) -> bool {
        self.layout.key().is_some_and(|name| self.shows(name))
    }

    pub(super) fn shows_roots(&self) -> bool {
        self.layout != Layout::Unknown && self.layout.roots().iter().all(|name| self.shows(name))
    }

    pub(super) fn shows_chain(&self) -> bool {
        self.layout.chain().iter().all(|name| self.shows(name))
    }

    fn shows(&self, name: &str) -> bool {
        !self.missing.contains(&name) && !self.unseen.contains(&name)
    }
}

/// All revocation lists of a value; `None` where some of it cannot be read.
fn lists(value: &Value<'_>) -> Option<Vec<RevocationList>> {
    let pem = Pem::read(value);
    let read = pem.blocks.iter().map(RevocationList::parse);
    read.collect::<Option<Vec<_>>>().filter(|_| pem.faults.is_empty())
}

/// Values on their way to become material.
#[derive(Default)]
struct Reading {
    pems: BTreeMap<&'static str, Pem>,
    missing: Vec<&'static str>,
    unseen: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Reading {
    fn value(&mut self, name: &'static str, value: Option<&Value<'_>>) {
        let Some(pem) = value.map(Pem::read) else { return self.missing.push(name) };
        for &(fault, span) in &pem.faults {
            match fault {
                Fault::Empty => self.missing.push(name),
                Fault::Placeholder => self.unseen.push(name),
                _ => self.problems.push(Problem { name, fault, span }),
            }
        }
        self.pems.insert(name, pem);
    }

    /// The first block, whatever its label: istiod looks no further.
    fn first_certificate(&mut self, name: &'static str) -> Option<Certificate> {
        let block = self.pems.get(name)?.blocks.first()?.clone();
        self.certificate(name, &block)
    }

    /// All certificates of these values; other blocks are passed over as Go passes over them.
    fn certificates(&mut self, names: &[&'static str]) -> Vec<Certificate> {
        let blocks =
            names.iter().filter_map(|&name| Some((name, self.pems.get(name)?.blocks.clone())));
        let blocks: Vec<_> = blocks.collect();
        let mut all = Vec::new();
        for (name, blocks) in blocks {
            for block in
                blocks.iter().filter(|block| block.label == "CERTIFICATE" && !block.headers)
            {
                all.extend(self.certificate(name, block));
            }
        }
        all
    }

    fn certificate(&mut self, name: &'static str, block: &Block) -> Option<Certificate> {
        let read = Certificate::parse(&block.der, block.span).ok();
        let problem = Problem { name, fault: Fault::NotCertificate, span: block.span };
        if read.is_none() && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        read
    }
}

/// Gathers PEM files by folder: `certs/east/{ca-cert,ca-key,root-cert,cert-chain}.pem` and alike.
///
/// A folder with `tls.crt` counts only if that is a CA, as other certificates have the same name.
pub fn from_files<'f>(
    files: impl IntoIterator<Item = &'f SourceFile>,
) -> BTreeMap<String, CaMaterial> {
    let mut folders: BTreeMap<&str, Vec<(&str, Value<'f>)>> = BTreeMap::new();
    for file in files {
        let (folder, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let known =
            [Layout::Classic, Layout::Tls].iter().any(|layout| layout.names().contains(&name));
        if known {
            folders.entry(folder).or_default().push((name, Value::file(&file.text, file.base)));
        }
    }
    let material = |(folder, mut values): (&str, Vec<(&str, Value<'f>)>)| {
        let read = |values: &[(&str, Value<'f>)]| {
            let spans = values.iter().map(|(_, value)| value.span());
            CaMaterial::new(Origin::Files, spans.min().unwrap_or_default(), values)
        };
        let mut ca = read(&values);
        if ca.layout == Layout::Tls && !ca.signer.as_ref().is_some_and(|signer| signer.is_ca) {
            values.retain(|(name, _)| Layout::Classic.names().contains(name));
            ca = read(&values);
        }
        (ca.layout != Layout::Unknown).then(|| (folder.to_owned(), ca))
    };
    folders.into_iter().filter_map(material).collect()
}
