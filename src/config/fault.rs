//! What is wrong with a configuration: which key, where it was written, what is allowed, how to put it right.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// Which layer a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    Default,
    /// The file an operator edits; lines count from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    /// What the dashboard saved in the state directory.
    Overlay {
        path: PathBuf,
        line: usize,
    },
    /// The variable's name.
    Env(String),
    /// The flag as it was typed.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::Overlay { path, line } => write!(f, "overlay {}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A stretch of a file that a fault points at.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub source: Arc<NamedSource<String>>,
    pub from: usize,
    pub len: usize,
}

impl Spot {
    /// The line of the spot, from 1.
    pub fn line(&self) -> usize {
        let text = self.source.inner();
        1 + text.as_bytes().iter().take(self.from).filter(|&&byte| byte == b'\n').count()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The dotted key, or the file's path where no key is to blame.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// What is allowed, and the fix.
    pub help: String,
    /// Which layer holds it, in words.
    pub origin: String,
    pub(crate) spot: Option<Spot>,
}

impl Fault {
    /// The line in the file, from 1, where a file is to blame.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.spot.as_ref().map(Spot::line)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.what)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.spot.as_ref().map(|spot| &*spot.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let spot = self.spot.as_ref()?;
        let label = LabeledSpan::at(spot.from..spot.from + spot.len, self.what.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with a configuration, at once. The process exits with 78.
#[derive(Clone, Debug)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl ConfigError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        assert!(!faults.is_empty(), "an error names at least one fault");
        Self { faults }
    }

    /// The faults, in the order of the file.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The faults with the lines they stand on, a caret under each, and the fix.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false);
        let mut text = String::new();
        for fault in &self.faults {
            if handler.render_report(&mut text, fault).is_err() {
                text.push_str(&fault.to_string());
            }
            text.push('\n');
        }
        text
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self::new(vec![fault])
    }
}

impl fmt::Display for ConfigError {
    /// One line per fault with its help, for logs and pipes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            if 0 < at {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
            if !fault.help.is_empty() {
                write!(f, " [{}]", fault.help)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}
