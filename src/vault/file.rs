//! The vault's file: read only if nobody else could have, replaced whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::sealed::SealError;

/// A vault is a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a vault was not opened or not saved, with the command that mends it where there is one.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{path}: there is no vault yet; make one with: orion secrets set NAME, or: orion secrets import FILE")]
    Absent { path: PathBuf },
    #[error("{path}: {what}")]
    Io { path: PathBuf, what: String },
    #[error("{path}: is no plain file")]
    NotAFile { path: PathBuf },
    #[error("{path}: mode is {mode:04o}, so others could read or change it: chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error("{path}: belongs to user {owner}, not to the one who runs this ({me}): chown {me} {path}")]
    Owner { path: PathBuf, owner: u32, me: u32 },
    #[error("{path}: larger than any vault")]
    TooLarge { path: PathBuf },
    #[error("{path}: another command changes this vault now; wait for it, then try again")]
    Busy { path: PathBuf },
    #[error("{path}: {error}{}", mend(error))]
    Sealed { path: PathBuf, error: SealError },
}

/// The same for a wrong passphrase and for damage: they cannot be told apart.
const fn mend(error: &SealError) -> &'static str {
    match error {
        SealError::Shut => {
            "; try again with: orion secrets check. If it stays shut, put a backup in its place, or move it away and \
             enter the secrets anew with: orion secrets import FILE"
        }
        SealError::NotAVault | SealError::Cost(_) => {
            "; put a backup in its place, or move it away and enter the secrets anew with: orion secrets import FILE"
        }
        _ => "",
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> VaultError {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::Absent { path: path.into() },
        _ => VaultError::Io { path: path.into(), what: error.to_string() },
    }
}

/// The sealed bytes, if nobody but the owner could read or change them, and the owner is who runs this.
pub fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let failed = io_error(path);
    // A name that leads elsewhere is not followed, and a pipe is not waited for.
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let mut file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path).map_err(&failed)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let facts = file.metadata().map_err(&failed)?;
    if !facts.is_file() {
        return Err(VaultError::NotAFile { path: path.into() });
    }
    let (owner, me) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner != me {
        return Err(VaultError::Owner { path: path.into(), owner, me });
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(VaultError::Mode { path: path.into(), mode });
    }
    let mut bytes = Vec::new();
    (&mut file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(&failed)?;
    if FILE_BYTES_MAX < bytes.len() as u64 {
        return Err(VaultError::TooLarge { path: path.into() });
    }
    Ok(bytes)
}

/// Puts these bytes in the place of the file. After a power cut there is the old file or the new one, never a half.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let failed = |error: io::Error| VaultError::Io { path: path.into(), what: error.to_string() };
    let folder = folder(path);
    // Beside the file, because only within one file system a name is exchanged at once. Sealed bytes alone go there.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        // It may not be there; what counts is the error before.
        let _ = fs::remove_file(&draft);
        failed(error)
    })
}

/// Makes the folder of a vault, readable by its owner alone, if it is not there.
pub fn prepare(path: &Path) -> Result<(), VaultError> {
    let folder = folder(path);
    if folder.is_dir() {
        return Ok(());
    }
    let failed = |error: io::Error| VaultError::Io { path: folder.into(), what: error.to_string() };
    fs::create_dir_all(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// The right to change a vault, one command at a time. Given back when it is dropped.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock goes with the open folder")] File);

impl Hold {
    /// Takes the right to change the vault at this place.
    pub fn take(path: &Path) -> Result<Self, VaultError> {
        let folder = File::open(folder(path)).map_err(io_error(path))?;
        match folder.try_lock() {
            Ok(()) => Ok(Self(folder)),
            Err(fs::TryLockError::WouldBlock) => Err(VaultError::Busy { path: path.into() }),
            Err(fs::TryLockError::Error(error)) => Err(io_error(path)(error)),
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, mode: u32) {
        fs::write(path, b"sealed").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Fault 96.
    #[test]
    fn a_file_that_others_could_read_or_change_is_refused_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        for open in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o700, 0o666] {
            put(&path, open);
            let refused = read(&path).unwrap_err();
            assert!(matches!(refused, VaultError::Mode { mode, .. } if mode == open), "{refused}");
            assert!(refused.to_string().contains(&format!("chmod 600 {}", path.display())), "{refused}");
        }
        for shut in [0o600, 0o400] {
            fs::remove_file(&path).unwrap();
            put(&path, shut);
            assert_eq!(read(&path).unwrap(), b"sealed");
        }
    }

    #[test]
    fn what_is_no_file_or_no_vaults_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        assert!(matches!(read(&path), Err(VaultError::Absent { .. })));
        assert!(matches!(read(folder.path()), Err(VaultError::NotAFile { .. })));
        put(&path, 0o600);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read(&link), Err(VaultError::Io { .. })), "a link is not followed");
        fs::write(&path, vec![0; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(matches!(read(&path), Err(VaultError::TooLarge { .. })));
    }

    #[test]
    fn a_file_is_replaced_whole_readable_by_its_owner_alone_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/vault");
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        for bytes in [&b"one"[..], b"two"] {
            replace(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), bytes);
        }
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["vault"]);
        // A folder stands where the file should be: the old state stays, and no draft is left.
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("x")).unwrap();
        assert!(matches!(replace(&taken, b"three"), Err(VaultError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft");
    }

    #[test]
    fn one_command_at_a_time_changes_a_vault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let first = Hold::take(&path).unwrap();
        assert!(matches!(Hold::take(&path), Err(VaultError::Busy { .. })));
        drop(first);
        Hold::take(&path).unwrap();
    }

    #[test]
    fn every_refusal_of_a_sealed_file_says_how_to_go_on() {
        for error in [SealError::Shut, SealError::NotAVault, SealError::Version(7)] {
            let text = VaultError::Sealed { path: "/x/vault".into(), error }.to_string();
            assert!(
                text.starts_with("/x/vault: ") && (text.contains("orion secrets") || text.contains("build")),
                "{text}"
            );
        }
    }
}
