//! Trust: does each cluster's CA hold, and do the others accept what it signs?

pub(super) mod anchors;
pub(super) mod cacerts;
pub(super) mod chain;
pub(super) mod dates;
pub(super) mod domains;
pub(super) mod federation;
pub(super) mod issuers;
pub(super) mod keys;
pub(super) mod revocation;
pub(super) mod roots;
pub(super) mod spire;
mod texts;
