//! Every relative link and picture of the documents leads somewhere: to a file, and where it names a heading, to that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// Markdown files of a folder and of all below it.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

/// The lines that are in no fence; fences leave empty ones.
fn open_lines(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let open = |line| {
        let fence = str::trim_start(line).starts_with("```");
        fenced ^= fence;
        if fence || fenced { "" } else { line }
    };
    text.lines().map(open).collect()
}

/// One text a paragraph, the code in it taken out.
fn prose(text: &str) -> Vec<String> {
    open_lines(text).join("\n").split("\n\n").map(|paragraph| paragraph.split('`').step_by(2).collect()).collect()
}

/// Where the links and pictures of a paragraph lead.
fn targets(paragraph: &str) -> impl Iterator<Item = &str> {
    paragraph.match_indices("](").filter_map(|(at, _)| paragraph[at + 2..].split(')').next())
}

/// The names by which headings are linked to, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut times: HashMap<String, u32> = HashMap::new();
    let headings = open_lines(text).into_iter().filter(|line| line.starts_with('#'));
    let name = |line: &str| {
        let letters = line.trim_start_matches('#').trim().chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        let name = letters.collect::<String>().to_lowercase();
        let before = times.entry(name.clone()).or_default();
        *before += 1;
        if *before == 1 { name } else { format!("{name}-{}", *before - 1) }
    };
    headings.map(name).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_its_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = ["README.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    documents(&root.join("docs"), &mut files);
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let paragraphs = prose(&text);
        for target in paragraphs.iter().flat_map(|paragraph| targets(paragraph)) {
            if target.contains("://") {
                continue;
            }
            seen += 1;
            let (name, heading) = target.split_once('#').map_or((target, None), |(name, of)| (name, Some(of)));
            let path = if name.is_empty() { file.clone() } else { file.parent().unwrap().join(name) };
            let has = |heading: &str| {
                let text = fs::read_to_string(&path).unwrap_or_default();
                anchors(&text).iter().any(|anchor| anchor == heading)
            };
            let sound = path.exists() && heading.is_none_or(has);
            if !sound {
                wrong.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(50 < seen, "{seen} links were found");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn code_holds_no_links_and_headings_have_the_names_that_github_gives_them() {
    let text =
        "# One `leg`, alone\n\nSee `[a](b)` and [c](d#e).\n\n```md\n# no heading\n[f](g)\n```\n\n## One leg alone\n";
    let paragraphs = prose(text);
    let found: Vec<&str> = paragraphs.iter().flat_map(|paragraph| targets(paragraph)).collect();
    assert_eq!(found, ["d#e"]);
    assert_eq!(anchors(text), ["one-leg-alone", "one-leg-alone-1"]);
}
