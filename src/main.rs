//! Start, exit code, broken pipe.

fn main() {}
