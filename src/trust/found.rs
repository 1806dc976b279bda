//! The CA of each cluster of a mesh, from Secrets, ConfigMaps and PEM files.

use std::collections::BTreeMap;

use super::{CaMaterial, Certificate, Origin, Value, from_files};
use crate::clusters::ClusterId;
use crate::kinds::Meta;
use crate::kinds::core::{ConfigMap, Secret};
use crate::mesh::{In, Mesh};
use crate::source::{SourceFile, Text};

/// The CA of a cluster, and where it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The cluster.
    pub cluster: ClusterId,
    /// What is there.
    pub ca: CaMaterial,
    /// Whether nobody can tell that it is really so in the cluster.
    pub assumed: bool,
}

/// The CA of each cluster for which something of it is in the input, ordered by cluster.
///
/// A `cacerts` Secret goes before istiod's own Secret, that before the root that proxies get, and files
/// come last: they are what a Secret was made from.
pub(super) fn cas(mesh: &Mesh) -> Vec<Found> {
    let files = by_folder(mesh);
    mesh.clusters().iter().filter_map(|c| of(mesh, c.id, &files)).collect()
}

fn of(mesh: &Mesh, cluster: ClusterId, files: &[Folder]) -> Option<Found> {
    let namespace = mesh.cluster(cluster).facts.system_namespace();
    let secret = |name: &str, origin| {
        let secrets = mesh.secrets.of_namespace(cluster, namespace);
        let mut secrets = secrets.filter(|s| s.name() == name);
        secrets.next().map(|s| (from_secret(mesh, s, origin), mesh.is_assumed(&s.meta)))
    };
    let file = || {
        let folders = files.iter().filter(|folder| folder.clusters.contains(&cluster));
        let nearest = folders.min_by_key(|folder| folder.clusters.len())?;
        Some((nearest.ca.clone(), nearest.assumed))
    };
    let (ca, assumed) = secret("cacerts", Origin::Cacerts)
        .or_else(|| secret("istio-ca-secret", Origin::IstioCaSecret))
        .or_else(|| root_map(mesh, cluster))
        .or_else(file)?;
    Some(Found { cluster, ca, assumed })
}

/// The root that the proxies of a cluster get, and whether it is only assumed to be so.
pub(super) fn root_map(mesh: &Mesh, cluster: ClusterId) -> Option<(CaMaterial, bool)> {
    let mut maps = mesh.config_maps.of_cluster(cluster).iter().filter(|m| is_root_map(m));
    maps.next().map(|m| (from_config_map(mesh, m), mesh.is_assumed(&m.meta)))
}

/// Whether it is the ConfigMap in which istiod hands out its roots.
pub fn is_root_map(map: &In<ConfigMap>) -> bool {
    map.name() == "istio-ca-root-cert"
}

/// The certificates of one value of a MeshConfig's `caCertificates`.
pub fn certificates_of(mesh: &Mesh, pem: &Text) -> CaMaterial {
    let value = Value::string(pem, mesh.raw(pem.span), pem.span);
    CaMaterial::new(Origin::RootConfigMap, pem.span, &[("root-cert.pem", value)])
}

/// The roots that the MeshConfig of a cluster lists beside the CA's own. istiod hands them to proxies
/// where `ISTIO_MULTIROOT_MESH` is on.
pub fn further_roots(mesh: &Mesh, cluster: ClusterId) -> Vec<Certificate> {
    let listed = mesh.cluster(cluster).facts.mesh_config.iter().flat_map(|c| &c.ca_certificates);
    listed
        .filter_map(|listed| listed.pem.as_ref())
        .flat_map(|pem| certificates_of(mesh, pem).roots)
        .collect()
}

/// What a Secret holds of a CA.
pub fn from_secret(mesh: &Mesh, secret: &In<Secret>, origin: Origin) -> CaMaterial {
    let values: Vec<_> = values_of(mesh, secret).collect();
    CaMaterial::new(origin, secret.named_at(), &values)
}

/// The values of a Secret. What stands in `stringData` wins, as in the API server.
pub fn values_of<'m>(
    mesh: &'m Mesh,
    secret: &'m In<Secret>,
) -> impl Iterator<Item = (&'m str, Value<'m>)> {
    let plain = secret.string_data.iter();
    let plain = plain.map(|(k, v)| (k.as_str(), Value::string(v, mesh.raw(v.span), v.span)));
    plain.chain(secret.data.iter().map(|(k, v)| (k.as_str(), Value::base64(v, v.span))))
}

/// The roots in a ConfigMap.
pub fn from_config_map(mesh: &Mesh, map: &In<ConfigMap>) -> CaMaterial {
    let values = map.data.iter();
    let values: Vec<_> =
        values.map(|(k, v)| (k.as_str(), Value::string(v, mesh.raw(v.span), v.span))).collect();
    CaMaterial::new(Origin::RootConfigMap, map.named_at(), &values)
}

/// A CA in the files of a folder.
struct Folder {
    clusters: Vec<ClusterId>,
    ca: CaMaterial,
    assumed: bool,
}

fn by_folder(mesh: &Mesh) -> Vec<Folder> {
    let mut of: BTreeMap<String, (Vec<ClusterId>, bool)> = BTreeMap::new();
    for pem in mesh.pem_files() {
        let folder = pem.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        of.entry(folder.to_owned()).or_insert_with(|| {
            let meta = Meta { file: Some(pem.file), ..Meta::default() };
            (pem.clusters.clone(), mesh.is_assumed(&meta))
        });
    }
    let files: Vec<SourceFile> =
        mesh.pem_files().iter().map(|p| SourceFile::new(&p.name, p.text.clone(), p.base)).collect();
    let folder = |(name, ca): (String, CaMaterial)| {
        let (clusters, assumed) = of.remove(&name).unwrap_or_default();
        Folder { clusters, ca, assumed }
    };
    from_files(files.iter()).into_iter().map(folder).collect()
}
