//! Certificates and keys as facts: chains, reachability between clusters' roots.
