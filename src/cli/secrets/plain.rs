//! Plain-text files in which keys used to lie: a PEM, a `.env`, the predecessor's YAML. What they hold, by our names.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    cli::{Fault, passphrase},
    vault::{Name, SECRET_BYTES_MAX, Secret},
};

/// Names under which others keep our secrets: section and key, or a variable, in small letters with underscores.
const KNOWN: [(&str, Name); 25] = [
    ("kalshi_key_id", Name::KalshiKeyId),
    ("kalshi_api_key_id", Name::KalshiKeyId),
    ("kalshi_access_key", Name::KalshiKeyId),
    ("kalshi_api_key", Name::KalshiKeyId),
    ("kalshi_private_key", Name::KalshiPrivateKey),
    ("kalshi_private_key_pem", Name::KalshiPrivateKey),
    ("kalshi_api_private_key", Name::KalshiPrivateKey),
    ("polymarket_private_key", Name::PolymarketPrivateKey),
    ("polymarket_wallet_private_key", Name::PolymarketPrivateKey),
    ("poly_private_key", Name::PolymarketPrivateKey),
    ("polymarket_api_key", Name::PolymarketApiKey),
    ("poly_api_key", Name::PolymarketApiKey),
    ("clob_api_key", Name::PolymarketApiKey),
    ("polymarket_api_secret", Name::PolymarketApiSecret),
    ("poly_api_secret", Name::PolymarketApiSecret),
    ("clob_secret", Name::PolymarketApiSecret),
    ("polymarket_api_passphrase", Name::PolymarketApiPassphrase),
    ("polymarket_passphrase", Name::PolymarketApiPassphrase),
    ("poly_passphrase", Name::PolymarketApiPassphrase),
    ("clob_pass_phrase", Name::PolymarketApiPassphrase),
    ("polymarket_funder", Name::PolymarketFunder),
    ("polymarket_funder_address", Name::PolymarketFunder),
    ("polymarket_proxy_address", Name::PolymarketFunder),
    ("polymarket_wallet_kind", Name::PolymarketWalletKind),
    ("polymarket_signature_type", Name::PolymarketWalletKind),
];

/// Names under which others keep the place of Kalshi's key file.
const KEY_FILES: [&str; 4] =
    ["kalshi_private_key_path", "kalshi_private_key_file", "kalshi_key_file", "kalshi_key_path"];

/// Names as they stand in a file, and their values.
type Entries = Vec<(String, Zeroizing<String>)>;

/// A plain-text file that was read.
pub struct Plain {
    pub found: Vec<(Name, Secret)>,
    /// What was not taken, one sentence each, without any value.
    pub notes: Vec<String>,
    /// Every file that holds a secret in plain text.
    pub files: Vec<PathBuf>,
}

/// Reads a file of one of the three forms.
pub fn read(path: &Path) -> Result<Plain, Fault> {
    let text = text(path)?;
    let mut plain = Plain { found: Vec::new(), notes: Vec::new(), files: vec![path.to_owned()] };
    if text.trim_start().starts_with("-----BEGIN") {
        plain.put(path, Name::KalshiPrivateKey, &text)?;
        return Ok(plain);
    }
    let yaml = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml");
    let entries = if yaml { yaml_entries(path, &text)? } else { env_entries(&text) };
    for (key, value) in entries {
        plain.take(path, &key, &value)?;
    }
    if plain.found.is_empty() {
        let notes = if plain.notes.is_empty() { String::new() } else { format!(": {}", plain.notes.join("; ")) };
        return Err(Fault::Config(format!("orion: {}: no secret that this version knows{notes}", path.display())));
    }
    Ok(plain)
}

impl Plain {
    fn take(&mut self, path: &Path, key: &str, value: &str) -> Result<(), Fault> {
        let plainly: String =
            key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        if value.trim().is_empty() {
            return Ok(());
        }
        if KEY_FILES.contains(&&*plainly) {
            let file = path.parent().unwrap_or(Path::new("")).join(value.trim());
            self.put(path, Name::KalshiPrivateKey, &text(&file)?)?;
            self.files.push(file);
            return Ok(());
        }
        let Some((_, name)) = KNOWN.iter().find(|(known, _)| *known == plainly) else {
            self.notes.push(format!("{key}: not taken over: no secret of this version"));
            return Ok(());
        };
        // The predecessor's own cipher; its key lies elsewhere.
        if value.starts_with("gAAAA") {
            self.notes.push(format!(
                "{key}: encrypted by its program; enter it anew with: orion secrets set {}",
                name.text()
            ));
            return Ok(());
        }
        self.put(path, *name, value)
    }

    fn put(&mut self, path: &Path, name: Name, value: &str) -> Result<(), Fault> {
        if self.found.iter().any(|(found, _)| *found == name) {
            return Err(Fault::Config(format!("orion: {}: holds {} twice", path.display(), name.text())));
        }
        self.found.push((name, Secret::new(value.to_owned()).ok_or_else(|| unsound(path))?));
        Ok(())
    }
}

fn text(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let file = std::fs::File::open(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    let secret = passphrase::secret(file, &path.display().to_string())?;
    Ok(Zeroizing::new(secret.expose().to_owned()))
}

fn unsound(path: &Path) -> Fault {
    Fault::Config(format!("orion: {}: holds nothing, or more than {SECRET_BYTES_MAX} bytes", path.display()))
}

/// Leaves of a YAML text: `section_key` and its text.
fn yaml_entries(path: &Path, text: &str) -> Result<Entries, Fault> {
    // The library's message may quote the line that it stumbled over, which may be a key.
    let yaml: serde_json::Value = serde_saphyr::from_str(text)
        .map_err(|_| Fault::Config(format!("orion: {}: no YAML that can be read", path.display())))?;
    let mut entries = Vec::new();
    leaves(String::new(), yaml, &mut entries);
    Ok(entries)
}

fn leaves(name: String, value: serde_json::Value, into: &mut Entries) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                leaves(name, member, into);
            }
        }
        serde_json::Value::String(text) => into.push((name, Zeroizing::new(text))),
        serde_json::Value::Number(number) => into.push((name, Zeroizing::new(number.to_string()))),
        _ => {}
    }
}

/// `NAME=value` lines; a value in quotes may run over several lines, and `\n` in double quotes ends one.
fn env_entries(text: &str) -> Entries {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (key, value) = (key.trim().to_owned(), value.trim());
        let Some(quote) = value.chars().next().filter(|first| *first == '"' || *first == '\'') else {
            let value = value.split(" #").next().unwrap_or_default();
            entries.push((key, Zeroizing::new(value.trim().to_owned())));
            continue;
        };
        let mut quoted = Zeroizing::new(value[1..].to_owned());
        while !quoted.contains(quote) && !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            quoted.push('\n');
            quoted.push_str(line);
        }
        let inner = quoted.split(quote).next().unwrap_or_default();
        let inner = if quote == '"' { inner.replace("\\n", "\n") } else { inner.to_owned() };
        entries.push((key, Zeroizing::new(inner)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_env_file_are_read_as_shells_and_libraries_read_them() {
        let text = "# keys\nKALSHI_API_KEY_ID=abc # mine\nexport POLY_PASSPHRASE = 'p # q'\n\
                    KALSHI_PRIVATE_KEY=\"-----BEGIN X-----\\nAA\\n-----END X-----\"\nEMPTY=\nno line\n\
                    OTHER=\"one\ntwo\nthree\"\nLAST=z";
        let entries = env_entries(text);
        let entries: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            entries,
            [
                ("KALSHI_API_KEY_ID", "abc"),
                ("POLY_PASSPHRASE", "p # q"),
                ("KALSHI_PRIVATE_KEY", "-----BEGIN X-----\nAA\n-----END X-----"),
                ("EMPTY", ""),
                ("OTHER", "one\ntwo\nthree"),
                ("LAST", "z"),
            ]
        );
    }
}
