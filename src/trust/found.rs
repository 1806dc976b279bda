//! The CA of each cluster of a mesh, from Secrets, ConfigMaps and PEM files.

use std::collections::BTreeMap;

use super::{CaMaterial, Certificate, Origin, Value, from_files};
use crate::clusters::ClusterId;
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
}

/// The CA of each cluster for which something of it is in the input, ordered by cluster.
///
/// A `cacerts` Secret goes before istiod's own Secret, that before the root that proxies get, and files
/// come last: they are what a Secret was made from.
pub fn cas(mesh: &Mesh) -> Vec<Found> {
    let files = by_folder(mesh);
    let of = |cluster: ClusterId| {
        let namespace = mesh.cluster(cluster).facts.system_namespace();
        let secret = |name: &str, origin| {
            let secrets =
                mesh.secrets.iter().filter(|s| s.cluster == cluster && s.namespace == namespace);
            secrets.filter(|s| s.name() == name).map(|s| from_secret(mesh, s, origin)).next()
        };
        let root = || {
            let maps = mesh.config_maps.iter().filter(|m| m.cluster == cluster);
            let mut maps = maps.filter(|m| m.name() == "istio-ca-root-cert");
            maps.next().map(|m| from_config_map(mesh, m))
        };
        let file = || {
            let folders = files.iter().filter(|(clusters, _)| clusters.contains(&cluster));
            folders.min_by_key(|(clusters, _)| clusters.len()).map(|(_, ca)| ca.clone())
        };
        let ca = secret("cacerts", Origin::Cacerts)
            .or_else(|| secret("istio-ca-secret", Origin::IstioCaSecret))
            .or_else(root)
            .or_else(file)?;
        Some(Found { cluster, ca })
    };
    mesh.clusters().iter().filter_map(|c| of(c.id)).collect()
}

/// The roots that the MeshConfig of a cluster lists beside the CA's own. istiod hands them to proxies
/// where `ISTIO_MULTIROOT_MESH` is on.
pub fn further_roots(mesh: &Mesh, cluster: ClusterId) -> Vec<Certificate> {
    let listed = mesh.cluster(cluster).facts.mesh_config.iter().flat_map(|c| &c.ca_certificates);
    let read = |pem: &Text| {
        let value = Value::string(pem, mesh.raw(pem.span), pem.span);
        CaMaterial::new(Origin::RootConfigMap, pem.span, &[("root-cert.pem", value)]).roots
    };
    listed.filter_map(|listed| listed.pem.as_ref()).flat_map(read).collect()
}

fn from_secret(mesh: &Mesh, secret: &In<Secret>, origin: Origin) -> CaMaterial {
    let encoded = secret.data.iter().map(|(k, v)| (k.as_str(), Value::base64(v, v.span)));
    let plain = secret.string_data.iter();
    let plain = plain.map(|(k, v)| (k.as_str(), Value::string(v, mesh.raw(v.span), v.span)));
    // What stands in `stringData` wins, as in the API server.
    let values: Vec<_> = plain.chain(encoded).collect();
    CaMaterial::new(origin, secret.named_at(), &values)
}

fn from_config_map(mesh: &Mesh, map: &In<ConfigMap>) -> CaMaterial {
    let values = map.data.iter();
    let values: Vec<_> =
        values.map(|(k, v)| (k.as_str(), Value::string(v, mesh.raw(v.span), v.span))).collect();
    CaMaterial::new(Origin::RootConfigMap, map.named_at(), &values)
}

/// CAs in files, by folder, with the clusters of the folder.
fn by_folder(mesh: &Mesh) -> Vec<(Vec<ClusterId>, CaMaterial)> {
    let mut clusters: BTreeMap<String, Vec<ClusterId>> = BTreeMap::new();
    for pem in mesh.pem_files() {
        let folder = pem.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        clusters.entry(folder.to_owned()).or_insert_with(|| pem.clusters.clone());
    }
    let files: Vec<SourceFile> =
        mesh.pem_files().iter().map(|p| SourceFile::new(&p.name, p.text.clone(), p.base)).collect();
    let found = from_files(files.iter());
    found
        .into_iter()
        .map(|(folder, ca)| (clusters.remove(&folder).unwrap_or_default(), ca))
        .collect()
}
