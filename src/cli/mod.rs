//! What was typed (`args`), and one file per verb.
