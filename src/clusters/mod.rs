//! Which manifest belongs to which cluster: configuration, control-plane facts, delivery objects, folders.
