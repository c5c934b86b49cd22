//! Catalogue reader, in progress.
