//! One file per output format.
use crate::lint::Report; use crate::source::Sources; use std::io::{self, Write};
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)] pub enum Format { Human, Concise, Json, Sarif, Github, Markdown }
impl std::str::FromStr for Format { type Err=String; fn from_str(s:&str)->Result<Self,String>{ <Self as clap::ValueEnum>::from_str(s,false) } }
pub struct Style { pub color: bool, pub unicode: bool, pub hyperlinks: bool, pub width: usize }
impl Style { pub fn plain() -> Self { Self { color:false, unicode:true, hyperlinks:false, width:100 } } }
pub fn write(_f: Format, report: &Report, sources: &Sources, _s: &Style, _p: &dyn Fn(&str)->Option<&'static str>, out: &mut dyn Write) -> io::Result<()> {
  for f in &report.findings { for (i,l) in f.finding.labels.iter().enumerate() { let p=sources.place(l.span.start); let n=sources.file_at(l.span.start).map_or("?", |(_,f)| f.name.as_str());
    if i==0 { writeln!(out,"{n}:{}:{}: {}[{}] {} -- {}", p.map_or(0,|p|p.line), p.map_or(0,|p|p.column), f.severity, f.rule, f.finding.message, l.text)?; } else { writeln!(out,"    {n}:{}:{}: {}", p.map_or(0,|p|p.line), p.map_or(0,|p|p.column), l.text)?; } }
    if let Some(h)=&f.finding.help { writeln!(out,"    help: {h}")?; } }
  writeln!(out,"{} findings, {} files, {} resources, skipped {}", report.findings.len(), report.files, report.resources, report.skipped.len()) }
