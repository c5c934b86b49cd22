//! What a backup is: a gzipped tar whose first entry is a manifest that says what follows, with the hash of each file.
//! Written whole or not at all; read only where every entry is one that the manifest names, and is what it says.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use aws_lc_rs::digest::{Context as Hash, SHA256};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::run::mode::Mode;

/// The version of this form.
pub const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// A manifest names a few hundred files at most.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What is in a backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Manifest {
    pub format: u32,
    /// The build that wrote it.
    pub orion: String,
    pub mode: Mode,
    /// When it was begun, Unix milliseconds.
    pub at_ms: u64,
    /// Of the database; `None` where there is none.
    pub schema: Option<i64>,
    /// Records of the journal, and the number of the last one.
    pub records: u64,
    pub last: u64,
    pub files: Vec<Entry>,
}

/// One file of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

/// Files of one mode's folder beside database and journal.
pub const OF_MODE: [&str; 5] = ["instance", "latch", "paused", "flatten", "armed"];
/// Files that all modes share, below `shared/`.
pub const SHARED: [&str; 4] = ["promoted.json", "overlay.toml", "pairs.toml", "vault"];

/// Is this the name of something that belongs into a backup? Nothing else is ever unpacked.
fn is_known(name: &str) -> bool {
    let segment = |rest: &str| {
        rest.strip_suffix(".orj").is_some_and(|number| number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit()))
    };
    name == "orion.db"
        || OF_MODE.contains(&name)
        || name.strip_prefix("shared/").is_some_and(|file| SHARED.contains(&file))
        || name.strip_prefix("journal/").is_some_and(segment)
}

/// A folder that is gone, with all that is in it, when this is dropped.
#[derive(Debug)]
pub struct Staging(pub PathBuf);

impl Staging {
    /// Makes a new one, for its owner alone.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that is gone when this is dropped, unless it was kept.
struct Draft(Option<PathBuf>);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Names a staged file in the manifest.
pub fn entry(staged: &Path, name: &str) -> anyhow::Result<Entry> {
    assert!(is_known(name), "what is packed can be unpacked");
    let mut file = File::open(staged.join(name)).with_context(|| name.to_owned())?;
    let (bytes, sha256) = hash(&mut file, &mut std::io::sink()).with_context(|| name.to_owned())?;
    Ok(Entry { name: name.into(), bytes, sha256 })
}

/// Copies everything, and says how much it was and what it hashes to.
fn hash(from: &mut impl Read, to: &mut impl std::io::Write) -> std::io::Result<(u64, String)> {
    let (mut hash, mut len, mut part) = (Hash::new(&SHA256), 0, vec![0; 64 * 1024]);
    loop {
        match from.read(&mut part)? {
            0 => break,
            read => {
                hash.update(&part[..read]);
                to.write_all(&part[..read])?;
                len += read as u64;
            }
        }
    }
    let hex = hash.finish().as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    Ok((len, hex))
}

/// Packs what was staged, reads the result through, and only then gives it its name.
pub fn pack(staged: &Path, manifest: &Manifest, out: &Path) -> anyhow::Result<u64> {
    ensure!(!out.exists(), "{} is there already: name another file", out.display());
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = folder.join(format!(".orion-backup-{}.draft", std::process::id()));
    let told = || format!("{} cannot be written", path.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(told)?;
    let mut draft = Draft(Some(path.clone()));
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let text = serde_json::to_vec_pretty(manifest)?;
    let head = |bytes: u64| {
        let mut head = tar::Header::new_gnu();
        head.set_size(bytes);
        head.set_mode(0o600);
        head.set_mtime(manifest.at_ms / 1_000);
        head
    };
    tar.append_data(&mut head(text.len() as u64), MANIFEST, &text[..]).with_context(told)?;
    for entry in &manifest.files {
        let file = File::open(staged.join(&entry.name)).with_context(|| entry.name.clone())?;
        tar.append_data(&mut head(entry.bytes), &entry.name, file).with_context(told)?;
    }
    let mut file = tar.into_inner().and_then(GzEncoder::finish).with_context(told)?;
    file.flush().and_then(|()| file.sync_all()).with_context(told)?;
    drop(file);
    let read = read(&path, |_| Ok(None)).context("what was written does not read back")?;
    ensure!(read == *manifest, "what was written does not read back as it was meant");
    fs::rename(&path, out).with_context(|| format!("{} cannot be written", out.display()))?;
    draft.0 = None;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())?;
    Ok(out.metadata()?.len())
}

/// What the archive says of itself, without reading further.
pub fn manifest(path: &Path) -> anyhow::Result<Manifest> {
    let torn = || format!("{} is no backup of Orion, or is torn", path.display());
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let first = tar.entries().with_context(torn)?.next().with_context(torn)?.with_context(torn)?;
    read_manifest(first).with_context(torn)
}

fn read_manifest(entry: impl Read) -> anyhow::Result<Manifest> {
    let mut text = Vec::new();
    entry.take(MANIFEST_BYTES_MAX).read_to_end(&mut text)?;
    // Before anything else: a later form may have other members.
    let form: serde_json::Value = serde_json::from_slice(&text)?;
    let format = form["format"].as_u64().context("it has no manifest")?;
    ensure!(format == u64::from(FORMAT), "form {format} of a newer Orion; this build reads {FORMAT}");
    Ok(serde_json::from_slice(&text)?)
}

/// Unpacks everything into a folder that is there. Every file has to be named, once, and be what the manifest says.
pub fn unpack(path: &Path, into: &Path) -> anyhow::Result<Manifest> {
    let place = |name: &str| {
        let path = into.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Some(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?))
    };
    read(path, place)
}

/// Reads an archive through; `place` says where a file goes, if anywhere.
fn read(path: &Path, place: impl Fn(&str) -> std::io::Result<Option<File>>) -> anyhow::Result<Manifest> {
    let torn = || format!("{} is torn, or no backup of Orion", path.display());
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let mut entries = tar.entries().with_context(torn)?;
    let manifest = read_manifest(entries.next().with_context(torn)?.with_context(torn)?).with_context(torn)?;
    let mut wanted = manifest.files.iter();
    for entry in entries {
        let mut entry = entry.with_context(torn)?;
        let name = entry.path().with_context(torn)?.to_str().unwrap_or_default().to_owned();
        let want = wanted
            .next()
            .with_context(|| format!("{}: holds {name}, which its manifest does not name", path.display()))?;
        ensure!(want.name == name, "{}: {name} stands where {} should", path.display(), want.name);
        ensure!(is_known(&name), "{}: {name} is nothing that belongs into a backup", path.display());
        let mut limited = (&mut entry).take(want.bytes + 1);
        let (bytes, sha256) = match place(&name).with_context(|| format!("{name} cannot be written"))? {
            Some(mut file) => {
                let hashed = hash(&mut limited, &mut file).with_context(torn)?;
                file.sync_all().with_context(|| format!("{name} cannot be written"))?;
                hashed
            }
            None => hash(&mut limited, &mut std::io::sink()).with_context(torn)?,
        };
        ensure!(
            (bytes, &sha256) == (want.bytes, &want.sha256),
            "{}: {name} is not what its manifest says: this backup is damaged",
            path.display()
        );
    }
    ensure!(wanted.next().is_none(), "{} is torn: files are missing at its end", path.display());
    // To the very end: there stands gzip's own checksum.
    std::io::copy(&mut tar.into_inner(), &mut std::io::sink()).with_context(torn)?;
    Ok(manifest)
}
