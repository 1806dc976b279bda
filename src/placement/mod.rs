//! Where replicas can be: per workload and zone an interval [at least, at most].
