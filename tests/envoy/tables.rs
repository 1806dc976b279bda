//! Topologies written by hand. `words` says how to read them.

/// Services of meshes.
pub const TOLD: &str = "
nothing preferred                 | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 |
the own zone                      | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 | outliers 100
the own subzone                   | c1 r1/a/x | c1 r1/a/x:2 r1/a/y:2 r1/b/x:2 | outliers 100
own subzone down                  | c1 r1/a/x | c1 r1/a/x:2u r1/a/y:2 r1/b/x:2 | outliers 100
own zone a third                  | c1 r1/a | c1 r1/a:1+2u r1/b:3 r1/c:3 | outliers 100
own zone a half                   | c1 r1/a | c1 r1/a:2+2u r1/b:3 r1/c:1 | outliers 100
own zone down                     | c1 r1/a | c1 r1/a:3u r1/b:3 r1/c:3 | outliers 100
own region down                   | c1 r1/a | c1 r1/a:3u r1/b:3u; c2 r2/x:4 | outliers 100
own region a third                | c1 r1/a | c1 r1/a:1+2u r1/b:1+2u; c2 r2/x:4 | outliers 100
four levels partly unhealthy      | c1 r1/a/x | c1 r1/a/x:1+4u r1/a/y:1+4u r1/b:1+4u; c2 r2/x:1+2u | outliers 100
named region                      | c1 r1/a | c1 r1/a:3u r1/b:3u; c2 r2/x:2; c3 r3/y:4 | outliers 100; locality failover: [{from: r1, to: r3}]
named region, a third             | c1 r1/a | c1 r1/a:1+2u; c2 r2/x:2; c3 r3/y:1+5u | outliers 100; locality failover: [{from: r1, to: r3}]
named region, weights in a level  | c1 r1/a | c1 r1/a:1+2u r1/b:1 r1/c:3; c2 r2/x:2 | outliers 100; locality failover: [{from: r1, to: r2}]
failover without outliers         | c1 r1/a | c1 r1/a:3 r1/b:3; c2 r2/x:4 | locality failover: [{from: r1, to: r2}]
own cluster first                 | c1 r1/a | c1 r1/a:3 r1/b:3; c2 r1/a:3 r1/b:3 | outliers 100; locality failoverPriority: [topology.istio.io/cluster, topology.kubernetes.io/zone]
own cluster first, a third        | c1 r1/a | c1 r1/a:1+2u r1/b:1+2u; c2 r1/a:3 r1/b:1 | outliers 100; locality failoverPriority: [topology.istio.io/cluster, topology.kubernetes.io/zone]
a version first                   | c1 r1/a | c1 version=v1 r1/a:2+1u r1/b:1; c1 version=v2 r1/a:5 | outliers 100; locality failoverPriority: [version=v1, topology.kubernetes.io/zone]
network first                     | c1@n1 r1/b | c1@n1 r1/a:1+2u r1/b:2u; c2@n2 r1/a:3 r1/b:1 | outliers 100; gateways n1/c1/gw1 n2/c2/gw2; locality failoverPriority: [topology.istio.io/network, topology.kubernetes.io/zone]
80 to 20                          | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 | locality distribute: [{from: r1/a/*, to: {'r1/a/*': 80, 'r1/b/*': 20}}]
80 to 20, a third                 | c1 r1/a | c1 r1/a:1+2u r1/b:3 r1/c:3 | locality distribute: [{from: r1/a/*, to: {'r1/a/*': 80, 'r1/b/*': 20}}]
all to a zone that is gone        | c1 r1/a | c1 r1/a:3t r1/b:3 | outliers 100; locality distribute: [{from: r1/a/*, to: {'r1/a/*': 100}}]
10 to 90, rounded up              | c1 r1/a | c1 r1/a:6 r1/b:1; c2 r2/x:3 | locality distribute: [{from: '*', to: {'r1/*': 10, 'r2/*': 90}}]
same zone by the Service          | c1 r1/a | c1 r1/a:3 r1/b:3; c2 r1/a:3 r1/b:3 | same-zone
same zone by the Service, a half  | c1 r1/a | c1 r1/a:3u r1/b:3; c2 r1/a:3 r1/b:1 | same-zone
two networks                      | c1@n1 r1/a | c1@n1 r1/a:2 r1/b:2; c2@n2 r1/a:2 r1/b:2 | gateways n1/c1/gw1 n2/c2/gw2
two networks, two addresses       | c1@n1 r1/a | c1@n1 r1/a:2 r1/b:2; c2@n2 r1/a:2 r1/b:2 | gateways n1/c1/gw1 n2/c2/gw2a n2/c2/gw2b
two networks, the gateway's zone  | c1@n1 r1/a | c1@n1 r1/a:2 r1/b:2; c2@n2 r1/a:2 r1/b:2 | outliers 100; gateways n1/c1/gw1 n2/c2/gw2
two networks, another zone        | c1@n1 r1/b | c1@n1 r1/a:2 r1/b:2; c2@n2 r1/a:2 r1/b:2 | outliers 100; gateways n1/c1/gw1 n2/c2/gw2
two networks, own zone down       | c1@n1 r1/b | c1@n1 r1/a:2 r1/b:2u; c2@n2 r1/a:2 r1/b:2 | outliers 100; gateways n1/c1/gw1 n2/c2/gw2
two networks, the other all down  | c1@n1 r1/a | c1@n1 r1/a:2 r1/b:2; c2@n2 r1/a:2u r1/b:2u | gateways n1/c1/gw1 n2/c2/gw2
two networks without mTLS         | c1@n1 r1/a | c1@n1 r1/a:2 r1/b:1; c2@n2 r1/a:2 r1/b:2 | plain; gateways n1/c1/gw1 n2/c2/gw2
three networks                    | c1@n1 r1/a | c1@n1 r1/a:2; c2@n2 r1/a:2 r1/b:1; c3@n3 r2/x:3 | gateways n2/c2/gw2 n3/c3/gw3a n3/c3/gw3b
a gateway that fails              | c1@n1 r1/a | c1@n1 r1/a:3; c2@n2 r1/a:3 | outliers 50; gateways n1/c1/gw1 n2/c2/gw2; failing gw2
a gateway that fails for all      | c1@n1 r1/a | c1@n1 r1/a:3; c2@n2 r1/a:3 | gateways n1/c1/gw1 n2/c2/gw2; failing gw2
subsets by weight                 | c1 r1/a | c1 r1/a:3 r1/b:3; c2 r1/a:1 r1/b:3 | split c1=70 c2=30
subsets by weight, one down       | c1 r1/a | c1 r1/a:3 r1/b:3; c2 r1/a:1u r1/b:3u | outliers 100; split c1=70 c2=30
subsets by weight, one half       | c1 r1/a | c1 r1/a:2+2u r1/b:3; c2 r1/a:1 r1/b:3 | outliers 100; split c1=1 c2=1
only the own cluster              | c1 r1/a | c1 r1/a:2 r1/b:1; c2 r1/a:5 | cluster-local
all down                          | c1 r1/a | c1 r1/a:3u r1/b:3u | outliers 100
nobody at all                     | c1 r1/a | | outliers 100
all terminating                   | c1 r1/a | c1 r1/a:3t | outliers 100
panic in one level                | c1 r1/a | c1 r1/a:1+4u r1/b:3+2u | outliers 100; min-health 50
panic everywhere                  | c1 r1/a | c1 r1/a:1+4u r1/b:1+9u | outliers 100; min-health 50
minHealthPercent as istiod has it | c1 r1/a | c1 r1/a:1+2u r1/b:1+2u | outliers 100; min-health 50; ready-only
a zone fails, none may go         | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:2 | outliers 10; failing r1/a
a zone fails, two may go          | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 | outliers 25; failing r1/a
a zone fails, all may go          | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 | outliers 34; failing r1/a
a zone fails, nothing may        | c1 r1/a | c1 r1/a:3 r1/b:3 r1/c:3 | failing r1/a
a zone fails in 50 to 50          | c1 r1/a | c1 r1/a:3 r1/b:3 | outliers 100; locality distribute: [{from: '*', to: {r1/a: 50, r1/b: 50}}]; failing r1/a
a zone fails in 50 to 50, in part | c1 r1/a | c1 r1/a:4 r1/b:4 | outliers 25; locality distribute: [{from: '*', to: {r1/a: 50, r1/b: 50}}]; failing r1/a
a zone of two clusters fails      | c1 r1/a | c1 r1/a:2 r1/b:3; c2 r1/a:2 r1/b:3 | outliers 20; failing r1/a
all that there is fails           | c1 r1/a | c1 r1/a:3 | outliers 100; failing r1/a
";

/// Assignments that istiod makes seldom or never; Envoy's arithmetic holds there too.
pub const GIVEN: &str = "
five sevenths                     | 0/a:5+2u 1/b:2 |
two levels scaled up              | 0/a:1+4u 1/b:1+4u |
two levels scaled up, unequal     | 0/a:1+4u 1/b:2+3u |
rounding                          | 0/a:1+9u 1/b:1+6u 2/c:1+8u |
weights do not count as health    | 0/a:1u*9+1*1 1/b:1 |
weights of hosts                  | 0/a:1*1 0/b:1*9 |
a level without hosts             | 0/a: 1/b:2 |
a priority left out               | 0/a:2u 2/b:2 |
a locality without weight         | 0/a=80:1 0/b:4 | weighted
a locality without hosts          | 0/a=80: 0/b=20:2 | weighted
weights, and half unhealthy       | 0/a=80:1+1u 0/b=20:2 | weighted
weights, and one zone down        | 0/a=80:2u 0/b=20:2 1/c=1:2 | weighted
weights of levels apart           | 0/a=10:1+1u 0/b=30:2 1/c=99:2 | weighted
no locality at all                | 0/=30:1 0/b=10:1 | weighted
the last weight of a locality     | 0/a=90:1 0/a=10:1 0/b=10:1 | weighted
the last weight, without hosts    | 0/a=90:2 0/a=10: 0/b=10:1 | weighted
one address in two places         | 0/a=90:g 0/b=10:g 0/c=100:1 | weighted
one address in two levels         | 1/a:g+1 0/b:g |
panic forgets weights             | 0/a=90:1+3u 0/b=10:1+3u | weighted; panic 30
panic where nothing is healthy    | 0/a:3u 1/b:1u | panic 50
panic and an empty level          | 0/a: 1/b:1+3u | panic 50
panic by a threshold of 30        | 0/a:1+4u 1/b:2+3u | panic 30
panic after ejections             | 0/a:3x+1 | panic 50; outliers 100
unready hosts count for ejection  | 0/a:1+1x+8u | outliers 10
one below the limit               | 0/a:4+1x | outliers 19
one at the limit                  | 0/a:4+1x | outliers 20
";
