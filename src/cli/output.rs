//! `--output`: a format and a file.

use std::path::PathBuf;

use crate::report::Format;

/// One more report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its format.
    pub format: Format,
    /// Its file.
    pub file: PathBuf,
}

/// Reads `FORMAT=FILE`, or `FILE` with an ending that tells the format.
pub(super) fn parse(text: &str) -> Result<Output, String> {
    if let Some((format, file)) = text.split_once('=')
        && let Ok(format) = format.parse()
    {
        return to(format, file);
    }
    let format = match text.rsplit_once('.').map(|(_, ending)| ending) {
        Some("sarif") => Format::Sarif,
        Some("json") => Format::Json,
        Some("md") => Format::Markdown,
        Some("txt") => Format::Concise,
        _ => return Err(format!("name the format: FORMAT={text}")),
    };
    to(format, text)
}

fn to(format: Format, file: &str) -> Result<Output, String> {
    match file {
        "" => Err("a file is missing after `=`".to_owned()),
        "-" => {
            Err("a second report cannot go to standard output: choose it by --format".to_owned())
        }
        file => Ok(Output { format, file: file.into() }),
    }
}
