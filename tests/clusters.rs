//! Which manifest belongs to which cluster, layout by layout as they are met in repositories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use mesh_lint::access::Access;
use mesh_lint::clusters::{Cluster, Role};
use mesh_lint::config::Config;
use mesh_lint::lint::{self, Model};
use mesh_lint::mesh::Lookup;
use mesh_lint::source::Sources;
use mesh_lint::trust::{Signer, Trust};

const CART: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec:\n  replicas: 2\n  \
                    selector: {matchLabels: {app: cart}}\n  template:\n    metadata: {labels: {app: cart}}\n    \
                    spec:\n      containers: [{name: cart, image: cart:1}]\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {selector: {app: cart}, \
                       ports: [{name: http, port: 80}]}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n";

fn istio(name: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio, namespace: \
         istio-system}}\nspec:\n  values:\n    global:\n      meshID: shop\n      network: net-{name}\n      \
         multiCluster: {{clusterName: {name}}}\n"
    )
}

fn kustomization(text: &str) -> String {
    format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{text}")
}

fn build(files: &[(&str, &str)]) -> (Sources, Model) {
    let mut sources = Sources::default();
    let mut config = Config::default();
    for (name, text) in files {
        let id = sources.add(*name, *text).unwrap();
        if *name == "mesh-lint.yaml" {
            config = Config::parse(&sources, id, "").unwrap();
        }
    }
    let model = lint::build(&sources, &config);
    (sources, model)
}

/// Files and the clusters they belong to, joined by `+`.
fn owners(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let (sources, model) = build(files);
    let owners = model.placed.iter().map(|p| {
        let names: Vec<&str> = p.clusters.iter().map(|c| model.mesh.cluster_name(*c)).collect();
        (sources.file(p.file).name.clone(), names.join("+"))
    });
    owners.collect()
}

fn expect(files: &[(&str, &str)], expected: &[(&str, &str)]) {
    let owners = owners(files);
    for (file, clusters) in expected {
        assert_eq!(owners.get(*file).map(String::as_str), Some(*clusters), "{file} in {owners:#?}");
    }
}

#[test]
fn one_folder_is_one_cluster() {
    let files = [("app/cart.yaml", CART), ("istio/ns.yaml", NAMESPACE)];
    let (_, model) = build(&files);
    assert_eq!(model.mesh.clusters().len(), 1);
}

#[test]
fn folders_below_clusters_are_clusters_and_the_rest_is_shared() {
    let (east, west) = (istio("east"), istio("west"));
    let files = [
        ("clusters/east/istio.yaml", east.as_str()),
        ("clusters/west/istio.yaml", &west),
        ("apps/cart.yaml", CART),
    ];
    let expected = [
        ("clusters/east/istio.yaml", "east"),
        ("clusters/west/istio.yaml", "west"),
        ("apps/cart.yaml", "east+west"),
    ];
    expect(&files, &expected);
    let (_, model) = build(&files);
    assert_eq!(model.mesh.meshes().len(), 1);
    let facts: Vec<_> =
        model.mesh.clusters().iter().map(|c| c.network().unwrap().as_str()).collect();
    assert_eq!(facts, ["net-east", "net-west"]);
    assert!(model.mesh.clusters().iter().all(|c| c.role() == Some(Role::Primary)));
}

#[test]
fn what_cannot_be_read_may_be_of_the_cluster_for_the_rest_too() {
    let (east, west) = (istio("east"), istio("west"));
    let sample = ["cart", "till", "shelf"]
        .map(|name| SERVICE.replace("name: cart", &format!("name: {name}")));
    let sample = sample.join("---\n");
    let files = [
        ("clusters/east/istio.yaml", east.as_str()),
        ("clusters/west/istio.yaml", &west),
        ("samples/one.yaml", &sample),
        ("samples/two.yaml", &sample),
        ("samples/more.yaml", "{{ range .Values.all }}\nkind: Service\n{{ end }}\n"),
    ];
    let (_, model) = build(&files);
    let clusters = model.mesh.clusters();
    assert_eq!(clusters.len(), 3, "{:?}", owners(&files));
    let open = |c: &Cluster| model.mesh.may_have_more(c.id, "Service", "shop");
    assert!(clusters.iter().all(open));
}

#[test]
fn a_base_belongs_to_every_overlay_that_uses_it() {
    let base = kustomization("resources: [cart.yaml]\n");
    let overlay = kustomization("namespace: shop\nresources: [../../base]\n");
    let files = [
        ("base/kustomization.yaml", base.as_str()),
        ("base/cart.yaml", CART),
        ("overlays/east/kustomization.yaml", &overlay),
        ("overlays/west/kustomization.yaml", &overlay),
    ];
    expect(&files, &[("base/cart.yaml", "east+west")]);
    let (_, model) = build(&files);
    let namespaces: Vec<_> = model.mesh.workloads.iter().map(|w| w.namespace.as_str()).collect();
    assert_eq!(namespaces, ["shop", "shop"], "kustomize's namespace is taken over");
}

#[test]
fn patches_and_replicas_change_the_copy_of_their_cluster_alone() {
    let base = kustomization("resources: [cart.yaml]\n");
    let plain = kustomization("namespace: shop\nresources: [../../base]\n");
    let more =
        kustomization("namespace: shop\nresources: [../../base]\npatches: [{path: more.yaml}]\n");
    let patch =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec:\n  replicas: 7\n";
    let files = [
        ("base/kustomization.yaml", base.as_str()),
        ("base/cart.yaml", CART),
        ("clusters/east/kustomization.yaml", &more),
        ("clusters/east/more.yaml", patch),
        ("clusters/west/kustomization.yaml", &plain),
    ];
    let (sources, model) = build(&files);
    let replicas: Vec<_> = model
        .mesh
        .workloads
        .iter()
        .map(|w| {
            let replicas = w.replicas.as_ref().unwrap();
            let file = &sources.file_at(replicas.span.start).unwrap().1.name;
            (model.mesh.cluster_name(w.cluster), replicas.value, file.as_str())
        })
        .collect();
    assert_eq!(replicas, [("east", 7, "clusters/east/more.yaml"), ("west", 2, "base/cart.yaml")]);
    assert!(
        model
            .skipped
            .iter()
            .any(|s| s.file.ends_with("more.yaml") && s.reason == "kustomize patch")
    );
}

#[test]
fn a_cycle_of_kustomizations_ends() {
    let a = kustomization("resources: [../b, cart.yaml]\n");
    let b = kustomization("resources: [../a, https://example.com/base, missing.yaml]\n");
    let files =
        [("a/kustomization.yaml", a.as_str()), ("a/cart.yaml", CART), ("b/kustomization.yaml", &b)];
    let (_, model) = build(&files);
    assert_eq!(model.mesh.clusters().len(), 1);
}

#[test]
fn kustomizations_that_double_at_each_level_end_and_are_told() {
    let mut files = Vec::new();
    for level in 0..24 {
        let next = level + 1;
        for (side, prefix) in [("l", "a"), ("m", "b")] {
            let text = format!("resources: [../l{next}, ../m{next}]\nnamePrefix: {prefix}\n");
            files.push((format!("{side}{level}/kustomization.yaml"), kustomization(&text)));
        }
    }
    for side in ["l24", "m24"] {
        let text = kustomization("resources: [cart.yaml]\n");
        files.push((format!("{side}/kustomization.yaml"), text));
        files.push((format!("{side}/cart.yaml"), CART.to_owned()));
    }
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (_, model) = build(&files);
    assert!(model.mesh.workloads.len() < 100_000, "{}", model.mesh.workloads.len());
    assert!(model.missing.iter().any(|path| path.as_str() == "../l1"), "{:?}", model.missing);
}

#[test]
fn files_side_by_side_can_be_clusters() {
    let (one, two) = (istio("cluster1"), istio("cluster2"));
    let files = [
        ("install/cluster1.yaml", one.as_str()),
        ("install/cluster2.yaml", &two),
        ("app/cart.yaml", CART),
    ];
    let expected = [
        ("install/cluster1.yaml", "cluster1"),
        ("install/cluster2.yaml", "cluster2"),
        ("app/cart.yaml", "cluster1+cluster2"),
    ];
    expect(&files, &expected);
}

#[test]
fn values_files_per_cluster_tell_facts() {
    let values = |name: &str| {
        format!("global:\n  network: n-{name}\n  multiCluster: {{clusterName: {name}}}\n")
    };
    let (one, two) = (values("one"), values("two"));
    let files = [("istiod/values-one.yaml", one.as_str()), ("istiod/values-two.yaml", &two)];
    let (_, model) = build(&files);
    let names: Vec<_> =
        model.mesh.clusters().iter().map(|c| c.istio_name().unwrap().as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn values_files_that_tell_one_name_are_two_clusters_all_the_same() {
    let values = |network: &str| {
        format!(
            "global: {{meshID: shop, network: {network}, multiCluster: {{clusterName: east}}}}\n"
        )
    };
    let (east, west) = (values("net-east"), values("net-west"));
    let files =
        [("istio/values-east.yaml", east.as_str()), ("istio/values-west.yaml", west.as_str())];
    expect(&files, &[("istio/values-east.yaml", "east"), ("istio/values-west.yaml", "west")]);
    let (_, model) = build(&files);
    assert_eq!(model.mesh.meshes().len(), 1);
}

#[test]
fn the_name_of_a_folder_need_not_be_istio_s() {
    let (one, two) = (istio("app-one"), istio("app-two"));
    let files = [("clusters/one/istio.yaml", one.as_str()), ("clusters/two/istio.yaml", &two)];
    let (_, model) = build(&files);
    let from = model.mesh.clusters()[0].id;
    for name in ["one", "app-one"] {
        assert!(matches!(model.mesh.cluster_called(name, from), Lookup::Found(_)), "{name}");
    }
    assert!(model.mesh.cluster_called("three", from).is_absent());
}

#[test]
fn a_remote_reads_the_configuration_of_its_primary() {
    let main = istio("main");
    let edge = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: istio-system\n  annotations: \
                {topology.istio.io/controlPlaneClusters: main}\n";
    let files = [("clusters/main/istio.yaml", main.as_str()), ("clusters/edge/ns.yaml", edge)];
    let (_, model) = build(&files);
    let named = |name: &str| model.mesh.clusters().iter().find(|c| c.name == name).unwrap();
    assert_eq!(named("edge").role(), Some(Role::Remote));
    assert_eq!(model.mesh.config_cluster(named("edge").id), Lookup::Found(named("main").id));
}

#[test]
fn an_empty_address_of_a_control_plane_makes_no_remote() {
    let values = "global:\n  multiCluster: {clusterName: east}\n  remotePilotAddress: \"\"\n";
    let (_, model) = build(&[("east/values.yaml", values), ("east/cart.yaml", SERVICE)]);
    assert_eq!(model.mesh.clusters()[0].role(), None);
    let defaults = "global:\n  meshID: \"\"\n  remotePilotAddress: \"\"\n";
    let (_, model) = build(&[("east/values.yaml", defaults), ("east/cart.yaml", SERVICE)]);
    assert_eq!(model.skipped[0].reason, "not Kubernetes");
}

#[test]
fn clusters_without_a_sign_of_each_other_are_meshes_of_their_own() {
    let files = [("clusters/east/cart.yaml", CART), ("clusters/west/cart.yaml", CART)];
    let (_, model) = build(&files);
    assert_eq!((model.mesh.clusters().len(), model.mesh.meshes().len()), (2, 2));
}

#[test]
fn environments_are_different_meshes() {
    let (east, staging) = (istio("east"), istio("staging"));
    let files = [
        ("clusters/prod-east/istio.yaml", east.as_str()),
        ("clusters/staging-east/istio.yaml", &staging),
        ("clusters/prod-east/cart.yaml", CART),
        ("clusters/prod-west/cart.yaml", CART),
        ("clusters/staging-east/cart.yaml", CART),
    ];
    let (_, model) = build(&files);
    let meshes: Vec<Vec<&str>> = model
        .mesh
        .meshes()
        .into_iter()
        .map(|m| m.into_iter().map(|c| c.name.as_str()).collect())
        .collect();
    assert_eq!(meshes, [vec!["prod-east", "prod-west"], vec!["staging-east"]]);
}

#[test]
fn flux_says_which_folders_a_cluster_applies() {
    let (east, west) = (flux("apps", "apps/blue", ""), flux("apps", "apps/green", ""));
    let files = [
        ("clusters/east/apps.yaml", east.as_str()),
        ("clusters/west/apps.yaml", &west),
        ("apps/blue/cart.yaml", CART),
        ("apps/green/cart.yaml", CART),
    ];
    expect(&files, &[("apps/blue/cart.yaml", "east"), ("apps/green/cart.yaml", "west")]);
}

/// A Kustomization of Flux; `more` stands in its `spec`.
fn flux(name: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: \
         flux-system}}\nspec: {{path: './{path}', sourceRef: {{kind: GitRepository, name: flux-system}}{more}}}\n"
    )
}

#[test]
fn flux_fills_in_and_patches_what_it_is_to_bring_next() {
    let fill = |tone: &str| format!(", postBuild: {{substitute: {{tone: {tone}}}}}");
    let (east, west) =
        (flux("tenants", "tenants", &fill("blue")), flux("tenants", "tenants", &fill("green")));
    let inner = flux("apps", "apps/${tone}", ", postBuild: {substitute: {tone: '${tone}'}}");
    let innermost = flux("cart", "cart/${tone}", "");
    let files = [
        ("clusters/east/tenants.yaml", east.as_str()),
        ("clusters/west/tenants.yaml", &west),
        ("tenants/apps.yaml", &inner),
        ("apps/blue/cart.yaml", &innermost),
        ("apps/green/cart.yaml", &innermost),
        ("cart/blue/cart.yaml", CART),
        ("cart/green/cart.yaml", CART),
    ];
    let tenants = ("tenants/apps.yaml", "east+west");
    expect(&files, &[("cart/blue/cart.yaml", "east"), ("cart/green/cart.yaml", "west"), tenants]);

    let base = kustomization("resources: [apps.yaml]\n");
    let own = |path: &str| {
        kustomization(&format!(
            "resources: [../../base]\npatches:\n- target: {{kind: Kustomization}}\n  patch: |\n    - {{op: replace, \
             path: /spec/path, value: ./apps/{path}}}\n"
        ))
    };
    let (east, west) = (own("blue"), own("green"));
    let apps = flux("apps", "apps/blue", "");
    let files = [
        ("base/kustomization.yaml", base.as_str()),
        ("base/apps.yaml", &apps),
        ("clusters/east/kustomization.yaml", &east),
        ("clusters/west/kustomization.yaml", &west),
        ("apps/blue/cart.yaml", CART),
        ("apps/green/cart.yaml", CART),
    ];
    expect(&files, &[("apps/blue/cart.yaml", "east"), ("apps/green/cart.yaml", "west")]);
}

#[test]
fn what_brings_itself_ends() {
    let own = flux("flux-system", "clusters/east", ", postBuild: {substitute: {x: y}}");
    let loops = |of: &str| flux(of, "${x}", ", postBuild: {substitute: {x: clusters/east}}");
    let (a, b) = (loops("a"), loops("b"));
    let files = [
        ("clusters/east/flux-system/gotk-sync.yaml", own.as_str()),
        ("clusters/east/a.yaml", &a),
        ("clusters/east/b.yaml", &b),
        ("clusters/east/cart.yaml", CART),
        ("clusters/west/cart.yaml", CART),
    ];
    expect(&files, &[("clusters/east/cart.yaml", "east"), ("clusters/west/cart.yaml", "west")]);
}

#[test]
fn what_is_brought_from_a_folder_reaches_the_kustomizations_below_it() {
    let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\nspec: \
                {path: ./apps, targetNamespace: shop, postBuild: {substitute: {TEAM: red}}}\n";
    let cart = CART.replace("name: cart}", "name: cart, labels: {team: '${TEAM}'}}");
    let build_of = kustomization("resources: [cart.yaml]\n");
    let (_, model) = build(&[
        ("clusters/east/apps.yaml", flux),
        ("apps/cart/kustomization.yaml", &build_of),
        ("apps/cart/cart.yaml", &cart),
        ("apps/web.yaml", &cart.replace("cart", "web")),
    ]);
    let told =
        model.mesh.workloads.iter().map(|w| {
            (w.namespace.clone(), w.meta.label("team").map(|team| team.as_str().to_owned()))
        });
    let want = ("shop".to_owned(), Some("red".to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), [want.clone(), want]);
}

#[test]
fn what_stands_in_a_list_is_patched_and_filled_in_as_what_stands_alone() {
    let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\nspec: \
                {path: ./apps, postBuild: {substitute: {TEAM: red}}}\n";
    let item = |name: &str| {
        let label = "labels: {team: '${TEAM}'}";
        format!(
            "- apiVersion: v1\n  kind: Service\n  metadata: {{name: {name}, namespace: shop, {label}}}\n"
        )
    };
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item("cart"), item("web"));
    let patch = "apiVersion: v1\n    kind: Service\n    metadata: {name: web}\n    spec: {type: ExternalName}\n";
    let build_of =
        kustomization(&format!("resources: [services.yaml]\npatches:\n- patch: |\n    {patch}"));
    let (_, model) = build(&[
        ("clusters/east/apps.yaml", flux),
        ("apps/kustomization.yaml", &build_of),
        ("apps/services.yaml", &list),
    ]);
    let told =
        model.mesh.services.iter().map(|s| {
            (s.name(), s.type_name(), s.meta.label("team").map(|team| team.value.as_str()))
        });
    let want = [("cart", "ClusterIP", Some("red")), ("web", "ExternalName", Some("red"))];
    assert_eq!(told.collect::<Vec<_>>(), want);
}

#[test]
fn argo_says_where_an_application_goes() {
    let set = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: cart, namespace: argocd}\n\
               spec:\n  generators:\n  - list:\n      elements:\n      - {cluster: east}\n      - {cluster: west}\n  \
               template:\n    spec:\n      source: {path: 'apps/{{cluster}}'}\n      destination: {name: '{{cluster}}'}\n";
    let files =
        [("argo/set.yaml", set), ("apps/east/cart.yaml", CART), ("apps/west/cart.yaml", CART)];
    expect(&files, &[("apps/east/cart.yaml", "east"), ("apps/west/cart.yaml", "west")]);
}

#[test]
fn an_object_that_may_be_of_any_cluster_is_of_the_one_whose_folder_it_brings() {
    let app = |path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: a, namespace: argocd}}\nspec:\n  \
             source: {{path: {path}, directory: {{recurse: true}}}}\n  destination: {{server: \
             'https://kubernetes.default.svc'}}\n"
        )
    };
    let (east, west) = (istio("east"), istio("west"));
    let files = [
        ("clusters/east/infra/istio.yaml", east.as_str()),
        ("clusters/west/infra/istio.yaml", &west),
        ("apps/east.yaml", &app("clusters/east/infra")),
        ("apps/cart.yaml", &app("services/cart")),
        ("services/cart/cart.yaml", CART),
    ];
    expect(
        &files,
        &[
            ("clusters/east/infra/istio.yaml", "east"),
            ("clusters/west/infra/istio.yaml", "west"),
            ("services/cart/cart.yaml", "east+west"),
        ],
    );
}

#[test]
fn control_planes_and_remote_secrets_tell_what_names_of_folders_do_not() {
    let (hub, apps) = (istio("hub"), istio("apps"));
    let files = [("gitops/istio/mesh.yaml", hub.as_str()), ("gitops/source/mesh.yaml", &apps)];
    expect(&files, &[("gitops/istio/mesh.yaml", "istio"), ("gitops/source/mesh.yaml", "source")]);

    let secret = |to: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-{to}\n  namespace: istio-system\n  \
             labels: {{istio/multiCluster: 'true'}}\n  annotations: {{networking.istio.io/cluster: {to}}}\n"
        )
    };
    let (to_paris, to_rome) = (secret("paris"), secret("rome"));
    let files = [
        ("argocd/paris/cart.yaml", CART),
        ("argocd/paris/rome.yaml", to_rome.as_str()),
        ("argocd/rome/cart.yaml", CART),
        ("argocd/rome/paris.yaml", &to_paris),
    ];
    expect(&files, &[("argocd/paris/cart.yaml", "paris"), ("argocd/rome/cart.yaml", "rome")]);
}

#[test]
fn what_tells_another_cluster_is_not_shared_by_those_beside_it() {
    let (east, west, lone) = (istio("east"), istio("west"), istio("lone"));
    let files = [
        ("several/east/istio.yaml", east.as_str()),
        ("several/west/istio.yaml", &west),
        ("single/istio.yaml", &lone),
        ("single/cart.yaml", CART),
        ("common/service.yaml", SERVICE),
    ];
    expect(
        &files,
        &[
            ("single/istio.yaml", "single"),
            ("single/cart.yaml", "single"),
            ("several/east/istio.yaml", "east"),
        ],
    );
}

#[test]
fn a_matrix_brings_each_application_to_each_cluster_and_its_namespace() {
    let matrix = |git: &str, path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: apps, namespace: argocd}}\nspec:\n  \
             goTemplate: true\n  generators:\n  - matrix:\n      generators:\n      - list: {{elements: [{{cluster: \
             frankfurt}}, {{cluster: dublin}}]}}\n      - git: {{directories: [{{path: \"{git}\"}}, {{path: apps/old, exclude: \
             true}}]}}\n  template:\n    metadata: {{name: app}}\n    spec:\n      source: {{repoURL: u, path: '{path}'}}\n      \
             destination: {{name: '{{{{.cluster}}}}', namespace: shop}}\n"
        )
    };
    let base = kustomization("resources: [app.yaml]\n");
    let overlay = kustomization("resources: [../../base]\n");
    let set = matrix("apps/*", "{{.path.path}}/overlays/{{.cluster}}");
    let files = [
        ("apps/cart/base/app.yaml", CART),
        ("apps/cart/base/kustomization.yaml", base.as_str()),
        ("apps/cart/overlays/dublin/kustomization.yaml", overlay.as_str()),
        ("apps/cart/overlays/frankfurt/kustomization.yaml", overlay.as_str()),
        ("argo/apps.yaml", set.as_str()),
    ];
    expect(&files, &[("apps/cart/base/app.yaml", "dublin+frankfurt")]);
    let (_, model) = build(&files);
    let places = model.mesh.workloads.iter().map(|w| w.namespace.as_str());
    assert_eq!(places.collect::<Vec<_>>(), ["shop", "shop"]);
    assert!(model.mesh.clusters().iter().all(|c| model.mesh.supplies(c.id).is_empty()));
}

#[test]
fn the_configuration_goes_first() {
    let config = "clusters:\n  blue: {paths: [a/**, common/**], network: n1}\n  green: {paths: [b/**, common/**]}\n";
    let files = [
        ("mesh-lint.yaml", config),
        ("a/istio.yaml", NAMESPACE),
        ("b/istio.yaml", NAMESPACE),
        ("common/cart.yaml", CART),
        ("elsewhere/cart.yaml", CART),
    ];
    let expected = [
        ("a/istio.yaml", "blue"),
        ("b/istio.yaml", "green"),
        ("common/cart.yaml", "blue+green"),
        ("elsewhere/cart.yaml", ""),
    ];
    expect(&files, &expected);
}

#[test]
fn what_a_kustomization_leaves_out_is_not_applied() {
    let listed = kustomization("resources: [listed.yaml]\n");
    let flux = |path: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: a}}\nspec: {{path: \
             {path}, kubeConfig: {{secretRef: {{name: east-kubeconfig}}}}}}\n"
        )
    };
    let argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: argocd}\nspec:\n  \
                source: {path: apps/east, directory: {recurse: true}}\n  destination: {name: east}\n";
    let config = |paths: &str| format!("clusters:\n  east: {{paths: [{paths}]}}\n");
    let (whole, direct) = (flux("./apps/east"), flux("./apps/east/mesh"));
    let (glob, named) = (config("apps/**"), config("apps/**, apps/east/mesh/left.yaml"));
    for (how, text, is_applied) in [
        ("flux/a.yaml", "", false),
        ("flux/a.yaml", whole.as_str(), false),
        ("flux/a.yaml", &direct, false),
        ("argo/a.yaml", argo, true),
        ("mesh-lint.yaml", &glob, false),
        ("mesh-lint.yaml", &named, true),
    ] {
        let files = [
            ("apps/east/mesh/kustomization.yaml", listed.as_str()),
            ("apps/east/mesh/listed.yaml", CART),
            ("apps/east/mesh/left.yaml", SERVICE),
            (how, text),
        ];
        let (_, model) = build(&files);
        assert_eq!(model.mesh.workloads.len(), 1, "{text}");
        assert_eq!(!model.mesh.services.is_empty(), is_applied, "{text}");
        assert_eq!(model.skipped.is_empty(), is_applied, "{text}");
    }
    let fetched =
        kustomization("resources: ['https://example.com/a.yaml']\npatches: [{path: one.yaml}]\n");
    let (_, model) = build(&[
        ("apps/kustomization.yaml", &fetched),
        ("apps/one.yaml", SERVICE),
        ("apps/other.yaml", SERVICE),
    ]);
    assert!(model.mesh.services.is_empty(), "one patch or the other");
}

/// A folder without a kustomization, below one that does not list it.
#[test]
fn what_a_kustomization_above_leaves_out_is_not_applied_where_that_is_built() {
    let listed = kustomization("resources: [listed.yaml]\n");
    let lists_folder = kustomization("resources: [listed.yaml, old]\n");
    let (whole, direct) = (flux("a", "apps", ""), flux("a", "apps/mesh", ""));
    let both = format!("{direct}---\n{}", flux("b", "apps/mesh/old", ""));
    let overlay = kustomization("resources: [../../apps/mesh]\n");
    let argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: argocd}\nspec:\n  \
                source: {path: apps/mesh}\n  destination: {name: east}\n";
    for (build_of, how, text, is_applied) in [
        (&listed, "clusters/east/a.yaml", whole.as_str(), false),
        (&listed, "clusters/east/a.yaml", &direct, false),
        (&listed, "clusters/east/a.yaml", &both, true),
        (&listed, "clusters/east/kustomization.yaml", &overlay, false),
        (&listed, "argo/a.yaml", argo, false),
        // Nobody in the input has it built.
        (&listed, "clusters/east/a.yaml", NAMESPACE, true),
        // What kustomize refuses is still worth a look.
        (&lists_folder, "clusters/east/a.yaml", &direct, true),
    ] {
        let files = [
            ("apps/mesh/kustomization.yaml", build_of.as_str()),
            ("apps/mesh/listed.yaml", CART),
            ("apps/mesh/old/left.yaml", SERVICE),
            (how, text),
        ];
        let (_, model) = build(&files);
        assert_eq!(model.mesh.workloads.len(), 1, "{text}");
        assert_eq!(!model.mesh.services.is_empty(), is_applied, "{text}");
        assert_eq!(model.skipped.is_empty(), is_applied, "{text}");
    }
}

#[test]
fn contradictions_are_told() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: \
                     {topology.istio.io/network: other}}\n";
    let east = istio("east");
    let files = [("clusters/east/istio.yaml", east.as_str()), ("clusters/east/ns.yaml", namespace)];
    let (_, model) = build(&files);
    let told: Vec<_> = model.mesh.clusters()[0].contradictions().iter().map(|c| c.what).collect();
    assert_eq!(told, ["network"]);
}

#[test]
fn mesh_networks_tell_the_network_of_each_cluster() {
    let main = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  \
                meshNetworks: |-\n    networks:\n      lan: {endpoints: [{fromRegistry: main}]}\n      \
                wan: {endpoints: [{fromRegistry: edge}]}\n";
    let files = [("clusters/main/istio.yaml", main), ("clusters/edge/cart.yaml", CART)];
    let (sources, model) = build(&files);
    let told = model.mesh.clusters().iter().map(|c| {
        let network = c.network().unwrap();
        (c.name.as_str(), network.as_str(), sources.slice(network.span))
    });
    assert_eq!(told.collect::<Vec<_>>(), [("edge", "wan", "wan"), ("main", "lan", "lan")]);
    assert_eq!(model.mesh.meshes().len(), 1);
}

#[test]
fn variables_tell_nothing() {
    let open = istio("${CLUSTER}");
    let (_, model) = build(&[("istio.yaml", &open)]);
    assert_eq!(model.mesh.clusters()[0].istio_name(), None);
}

#[test]
fn what_is_not_in_the_input_may_be_there_all_the_same() {
    let cart = format!("{SERVICE}---\n{CART}");
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: shop}\n";
    let elsewhere = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec: \
                     {path: ./nowhere, targetNamespace: shop}\n";
    let app = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a, namespace: argocd}\nspec:\n  \
               destination: {namespace: shop}\n  source: {chart: a}\n";
    let set = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: a, namespace: argocd}\nspec:\n  \
               generators: [{clusters: {}}]\n  template:\n    spec:\n      destination: {namespace: shop}\n      \
               source: {path: \"apps/{{name}}\"}\n";
    let template = "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: shop\n";
    let broken =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {ports: [\n";
    let remote = kustomization("resources: [cart.yaml, \"https://example.com/a.yaml\"]\n");
    let lost = kustomization("resources: [cart.yaml, ../lost]\nnamespace: shop\n");
    let with_chart =
        kustomization("resources: [cart.yaml]\nhelmCharts: [{name: a, namespace: shop}]\n");
    for (file, text) in [
        ("clusters/east/more.yaml", release),
        ("clusters/east/more.yaml", elsewhere),
        ("clusters/east/more.yaml", app),
        ("clusters/west/more.yaml", set),
        ("clusters/east/templates/more.yaml", template),
        ("clusters/east/more.yaml", broken),
        ("clusters/east/kustomization.yaml", &remote),
        ("clusters/east/kustomization.yaml", &lost),
        ("clusters/east/kustomization.yaml", &with_chart),
    ] {
        let files = [
            ("clusters/east/cart.yaml", cart.as_str()),
            ("clusters/west/cart.yaml", &cart),
            (file, text),
        ];
        let (_, model) = build(&files);
        let east = model.mesh.clusters().iter().find(|c| c.name == "east").unwrap().id;
        assert!(!model.mesh.has_seen(east, "Service", "shop"), "{file}: {text}");
        assert!(!model.mesh.service(east, "shop", "other").is_absent(), "{file}: {text}");
    }
}

#[test]
fn what_brings_other_things_leaves_a_namespace_complete() {
    let cart = format!("{SERVICE}---\n{CART}");
    let (crds, secrets) = (
        kustomization("resources: [cart.yaml, \"https://example.com/gateway-api/crds.yaml\"]\n"),
        kustomization("resources: [cart.yaml]\nsecretGenerator: [{name: a}]\n"),
    );
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: tools}\n";
    for (file, text) in [
        ("kustomization.yaml", crds.as_str()),
        ("kustomization.yaml", &secrets),
        ("more.yaml", release),
        ("more.yaml", &istio("east")),
    ] {
        let (_, model) = build(&[("cart.yaml", &cart), (file, text)]);
        let only = model.mesh.clusters()[0].id;
        assert!(model.mesh.service(only, "shop", "other").is_absent(), "{file}: {text}");
    }
    let told = "clusters:\n  east: {paths: [\"**\"], complete: true}\n";
    let shop = release.replace("tools", "shop");
    let (_, model) = build(&[("cart.yaml", &cart), ("more.yaml", &shop), ("mesh-lint.yaml", told)]);
    let only = model.mesh.clusters()[0].id;
    assert!(model.mesh.service(only, "shop", "other").is_absent(), "the configuration goes first");
}

#[test]
fn an_environment_with_one_cluster_is_no_part_of_another() {
    let (east, west) = (istio("prod-east"), istio("prod-west"));
    let files = [
        ("prod/east/istio.yaml", east.as_str()),
        ("prod/west/istio.yaml", &west),
        ("prod/east/cart.yaml", CART),
        ("prod/west/cart.yaml", CART),
        ("dev/east/debug.yaml", CART),
    ];
    let (_, model) = build(&files);
    assert_eq!((model.mesh.clusters().len(), model.mesh.meshes().len()), (3, 2));
}

#[test]
fn gateways_for_names_of_their_own_make_no_mesh() {
    let bare =
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: istio}\n";
    let gateway = |host: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: between, namespace: \
             istio-system}}\nspec:\n  selector: {{app: between}}\n  servers:\n  - port: {{number: 15443, name: tls, \
             protocol: TLS}}\n    hosts: ['{host}']\n    tls: {{mode: AUTO_PASSTHROUGH}}\n"
        )
    };
    for (host, meshes) in [("*.global", 2), ("*.local", 1)] {
        let gateway = gateway(host);
        let (_, model) = build(&[
            ("clusters/a/istio.yaml", bare),
            ("clusters/b/istio.yaml", bare),
            ("clusters/a/gateway.yaml", &gateway),
            ("clusters/b/gateway.yaml", &gateway),
        ]);
        assert_eq!(model.mesh.meshes().len(), meshes, "{host}");
    }
}

#[test]
fn copies_of_one_cluster_and_bare_names_are_no_mesh() {
    let bare = |name: &str| {
        format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec: {{values: \
             {{global: {{multiCluster: {{clusterName: {name}}}}}}}}}\n"
        )
    };
    for (one, other, meshes) in [
        (istio("main"), istio("main"), 2),
        (bare("acme"), bare("globex"), 2),
        (istio("acme"), istio("globex"), 1),
        (istio("main"), istio("main").replace("net-main", "net-b"), 1),
    ] {
        let (_, model) = build(&[
            ("clusters/a/istio.yaml", one.as_str()),
            ("clusters/b/istio.yaml", &other),
            ("clusters/a/cart.yaml", CART),
            ("clusters/b/cart.yaml", CART),
        ]);
        assert_eq!(model.mesh.meshes().len(), meshes, "{one}{other}");
    }
}

#[test]
fn a_cluster_is_missing_only_where_all_names_are_told() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart}\nspec:\n  host: cart\n  \
                subsets: [{name: a, labels: {topology.istio.io/cluster: shop-use1}}]\n";
    let lookup = |told: [&str; 2]| {
        let named = told.map(|name| if name.is_empty() { String::new() } else { istio(name) });
        let (_, model) = build(&[
            ("clusters/use1/istio.yaml", named[0].as_str()),
            ("clusters/usw2/istio.yaml", &named[1]),
            ("clusters/use1/cart.yaml", rule),
            ("clusters/usw2/cart.yaml", rule),
        ]);
        let mesh = &model.mesh;
        mesh.cluster_called("shop-use1", mesh.clusters()[0].id).is_absent()
    };
    assert!(lookup(["use1", "usw2"]));
    assert!(!lookup(["use1", ""]) && !lookup(["", ""]));
    assert!(!lookup(["${NAME}", "usw2"]));
}

#[test]
fn a_patched_copy_is_another_text() {
    let (plain, patched) = (
        kustomization("resources: [../../base]\n"),
        kustomization(
            "resources: [../../base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: \
             {name: cart, namespace: shop}\n    spec: {type: ExternalName}\n",
        ),
    );
    let base = kustomization("resources: [cart.yaml]\n");
    let files = |west: &str| {
        let (_, model) = build(&[
            ("base/kustomization.yaml", base.as_str()),
            ("base/cart.yaml", SERVICE),
            ("clusters/east/kustomization.yaml", &plain),
            ("clusters/west/kustomization.yaml", west),
        ]);
        let [east, west] = &model.mesh.services[..] else { panic!("one for each cluster") };
        east.is_same_text(west)
    };
    assert!(files(&plain) && !files(&patched));
}

/// The control plane of `work`, as an IstioOperator of the cluster that hosts it.
fn external_istiod(of: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: external-istiod, namespace: \
         external-istiod}}\nspec:\n  profile: empty\n  meshConfig:\n    rootNamespace: external-istiod\n    trustDomain: \
         shop.example.com\n    defaultConfig: {{discoveryAddress: 'mesh.example.com:15012'}}\n  components:\n    \
         pilot:\n      enabled: true\n      k8s:\n        env:\n        - {{name: EXTERNAL_ISTIOD, value: 'true'}}\n        \
         - {{name: LOCAL_CLUSTER_SECRET_WATCHER, value: 'true'}}\n        - {{name: CLUSTER_ID, value: {of}}}\n        \
         - {{name: SHARED_MESH_CONFIG, value: istio}}\n  values:\n    global:\n      caAddress: \
         mesh.example.com:15012\n      istioNamespace: external-istiod\n      meshID: shop\n"
    )
}

/// What connects a cluster to a control plane elsewhere.
fn served_from_outside(name: &str, config: bool) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: remote, namespace: \
         external-istiod}}\nspec:\n  profile: remote\n  values:\n    global: {{istioNamespace: external-istiod, \
         configCluster: {config}}}\n    istiodRemote:\n      injectionURL: \
         https://mesh.example.com:15017/inject/cluster/{name}/net/net-{name}\n---\napiVersion: v1\nkind: \
         Namespace\nmetadata:\n  name: external-istiod\n{}",
        if config { "" } else { "  annotations: {topology.istio.io/controlPlaneClusters: work}\n" }
    )
}

const SEALED: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: cacerts, namespace: \
                      external-istiod}\nspec: {encryptedData: {ca-cert.pem: AgB, ca-key.pem: AgB}}\n---\n\
                      apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: istio-remote-secret-edge, \
                      namespace: external-istiod}\nspec:\n  encryptedData: {edge: AgB}\n  template:\n    \
                      metadata:\n      labels: {istio/multiCluster: 'true'}\n      annotations: \
                      {networking.istio.io/cluster: edge}\n";

#[test]
fn an_external_control_plane_counts_for_the_cluster_it_reads() {
    let own = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: gateway, namespace: \
               istio-system}\nspec:\n  profile: default\n";
    let (plane, work) = (external_istiod("work"), served_from_outside("work", true));
    let edge = served_from_outside("edge", false);
    let files = [
        ("clusters/mgmt/gateway.yaml", own),
        ("clusters/mgmt/istiod.yaml", &plane),
        ("clusters/mgmt/secrets.yaml", SEALED),
        ("clusters/apps/istio.yaml", &work),
        ("clusters/edge/istio.yaml", &edge),
    ];
    let (_, model) = build(&files);
    let mesh = &model.mesh;
    let names: Vec<Vec<&str>> = mesh
        .meshes()
        .iter()
        .map(|clusters| clusters.iter().map(|c| c.name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["apps", "edge"], vec!["mgmt"]]);
    let [apps, edge, mgmt] = mesh.clusters() else { panic!("three clusters") };
    assert_eq!(apps.role(), Some(Role::ConfigOfExternal));
    assert_eq!(apps.hosted_in, Some(mgmt.id));
    assert_eq!(apps.istio_name().unwrap().as_str(), "work");
    assert_eq!(apps.facts.mesh_id[0].value.as_str(), "shop");
    assert_eq!(mesh.config_cluster(edge.id), Lookup::Found(apps.id));
    assert!(mgmt.istio_name().is_none(), "what its guest is called is not its own name");
    assert_eq!(mgmt.role(), Some(Role::Primary));
    let trust = Trust::of(mesh);
    assert_eq!(trust.signer(apps.id), Signer::MadeElsewhere, "by the Secret beside istiod");
    assert_eq!(trust.signer(edge.id), Signer::Remote(apps.id));
    assert_eq!(trust.domain(edge.id).name(), Some("shop.example.com"));
    assert_eq!(trust.signer(mgmt.id), Signer::Unknown);
    let access = Access::of(mesh);
    assert!(access.leads_to(apps.id, edge.id), "by the secret beside istiod");
}

#[test]
fn remote_secrets_beside_an_external_istiod_count_where_it_watches_them() {
    let plane = external_istiod("work").replace("LOCAL_CLUSTER_SECRET_WATCHER", "OTHER");
    let (work, edge) = (served_from_outside("work", true), served_from_outside("edge", false));
    let files = [
        ("clusters/mgmt/istiod.yaml", plane.as_str()),
        ("clusters/mgmt/secrets.yaml", SEALED),
        ("clusters/works/istio.yaml", &work),
        ("clusters/edge/istio.yaml", &edge),
    ];
    let (_, model) = build(&files);
    let [edge, mgmt, works] = model.mesh.clusters() else { panic!("three clusters") };
    let access = Access::of(&model.mesh);
    assert!(!access.leads_to(works.id, edge.id));
    assert_eq!(access.of_cluster(mgmt.id).len(), 1);
    assert_eq!(Trust::of(&model.mesh).signer(works.id), Signer::MadeElsewhere);
}

#[test]
fn the_hosting_cluster_stands_for_a_cluster_that_is_not_in_the_input() {
    let plane = external_istiod("work");
    let (_, model) = build(&[("mgmt/istiod.yaml", plane.as_str()), ("mgmt/secrets.yaml", SEALED)]);
    let [mgmt] = model.mesh.clusters() else { panic!("one cluster") };
    assert_eq!(mgmt.istio_name().unwrap().as_str(), "work");
    assert_eq!(mgmt.facts.system_namespace(), "external-istiod");
    assert_eq!(Trust::of(&model.mesh).signer(mgmt.id), Signer::MadeElsewhere);
}

#[test]
fn a_primary_that_serves_remotes_hosts_nobody() {
    let primary = format!("{}      externalIstiod: true\n", istio("east"));
    let remote = served_from_outside("west", false).replace("work", "east");
    let files =
        [("clusters/east/istio.yaml", primary.as_str()), ("clusters/west/istio.yaml", &remote)];
    let (_, model) = build(&files);
    let [east, west] = model.mesh.clusters() else { panic!("two clusters") };
    assert_eq!((east.role(), east.hosted_in), (Some(Role::Primary), None));
    assert_eq!(model.mesh.config_cluster(west.id), Lookup::Found(east.id));
}

#[test]
fn the_kubeconfig_of_an_external_istiod_tells_whose_the_secrets_beside_it_are() {
    let kubeconfig = "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: \
                      istio-kubeconfig, namespace: external-istiod}\nspec:\n  data:\n  - {secretKey: config, \
                      remoteRef: {key: readers/shop}}\n";
    let secrets = format!("{SEALED}{kubeconfig}");
    let (work, edge) = (served_from_outside("work", true), served_from_outside("edge", false));
    let files = [
        ("clusters/mgmt/secrets.yaml", secrets.as_str()),
        ("clusters/works/istio.yaml", &work),
        ("clusters/edge/istio.yaml", &edge),
    ];
    let (_, model) = build(&files);
    let [edge, mgmt, works] = model.mesh.clusters() else { panic!("three clusters") };
    assert_eq!(works.hosted_in, Some(mgmt.id));
    assert!(Access::of(&model.mesh).leads_to(works.id, edge.id));
    assert_eq!(Trust::of(&model.mesh).signer(edge.id), Signer::Remote(works.id));
    let (_, alone) = build(&[("mgmt/secrets.yaml", secrets.as_str())]);
    assert_eq!(alone.mesh.clusters()[0].role(), None);
}

#[test]
fn a_remote_secret_that_is_made_joins_clusters_whatever_their_mesh_ids() {
    let other = istio("west").replace("meshID: shop", "meshID: shpo");
    let made = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: \
                istio-remote-secret-west, namespace: istio-system}\nspec:\n  target: {template: {metadata: {labels: \
                {istio/multiCluster: 'true'}}}}\n  data: [{secretKey: west, remoteRef: {key: west}}]\n";
    let east = istio("east");
    let apart = [("clusters/east/istio.yaml", east.as_str()), ("clusters/west/istio.yaml", &other)];
    assert_eq!(build(&apart).1.mesh.meshes().len(), 2);
    let joined = [apart[0], apart[1], ("clusters/east/west.yaml", made)];
    assert_eq!(build(&joined).1.mesh.meshes().len(), 1);
}
