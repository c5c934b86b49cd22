//! The host: room on the disk, cores, limits of the process, the page's port.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::process::{Resource, getrlimit};

use super::line::{
    Bars::{From, Only},
    Line,
    Why::{Config as Unsound, Failed, Gate},
};
use crate::{
    config::{Config, Idle},
    run::{clock, mode::Mode},
    watch::web,
};

/// Journal, database and latencies of some weeks.
const DISK_LEAST: u64 = 1 << 30;
const DISK_WANTED: u64 = 5 << 30;
/// Every socket, file and pipe of an engine with a hundred pairs, several times over.
const FILES_WANTED: u64 = 1_024;
/// One `fdatasync` beyond this comes within reach of the journal's ten milliseconds.
const SYNC_SLOW_US: u64 = 10_000;

/// The folder of all state: whose it is, and who may look into it.
pub fn state_folder(states: &Path) -> Vec<Line> {
    let shown = states.display();
    let facts = match states.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Line::note("state", format!("{shown} is not there yet: the first start makes it"))];
        }
        Err(error) => {
            let fix = format!("ls -ld {shown}, and give it to the user that runs Orion, or set engine.state_dir");
            return vec![Line::bad("state", From(Mode::Demo), Unsound, format!("{shown}: {error}"), fix)];
        }
        Ok(facts) => facts,
    };
    let me = rustix::process::geteuid().as_raw();
    let mut lines = Vec::new();
    if !facts.is_dir() {
        let fix = format!("mv {shown} {shown}.old, or set engine.state_dir");
        return vec![Line::bad("state", From(Mode::Demo), Unsound, format!("{shown} is no folder"), fix)];
    }
    if facts.uid() != me {
        let text = format!("{shown} belongs to user {}, not to the one who runs this ({me})", facts.uid());
        lines.push(Line::bad("state", From(Mode::Demo), Unsound, text, format!("sudo chown -R {me} {shown}")));
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        let text =
            format!("{shown} has mode {mode:04o}: others could put a latch, or a vault, in there or take it away");
        lines.push(Line::bad("state", From(Mode::Paper), Unsound, text, format!("chmod go-w {shown}")));
    }
    if lines.is_empty() {
        lines.push(Line::good("state", format!("{shown}, mode {mode:04o}")));
    }
    lines
}

/// Free space where the state lies, and how long the disk takes to keep a promise.
pub fn disk(states: &Path) -> Vec<Line> {
    let mut there: PathBuf = states.into();
    while !there.exists() && there.pop() {}
    if there.as_os_str().is_empty() {
        there.push(".");
    }
    let facts = match rustix::fs::statvfs(&there) {
        Ok(facts) => facts,
        Err(error) => {
            let text = format!("{}: free space cannot be asked: {error}", there.display());
            return vec![Line::caution("disk", text, format!("df -h {}", there.display()))];
        }
    };
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let text = format!("{}.{} GB free", free >> 30, ((free & ((1 << 30) - 1)) * 10) >> 30);
    let fix = format!("df -h {0}; du -sh {0}/*", there.display());
    let mut lines = vec![if free < DISK_LEAST {
        Line::bad("disk", From(Mode::Paper), Failed, format!("{text}: less than 1 GB"), fix)
    } else if free < DISK_WANTED {
        Line::caution("disk", format!("{text}: less than 5 GB"), fix)
    } else {
        Line::good("disk", text)
    }];
    if states.is_dir() {
        lines.push(match sync_us(states) {
            Ok(us) if us < SYNC_SLOW_US => Line::good("fsync", format!("{}.{} ms", us / 1_000, us / 100 % 10)),
            Ok(us) => Line::caution(
                "fsync",
                format!("{} ms: what was written is safe only after that", us / 1_000),
                "keep the state directory on a local disk, an SSD if there is one (engine.state_dir)",
            ),
            Err(error) => Line::bad(
                "fsync",
                From(Mode::Demo),
                Failed,
                format!("{}: nothing can be written there: {error}", states.display()),
                format!("ls -ld {0}; df -h {0}; mount | grep -w ro", states.display()),
            ),
        });
    }
    lines
}

/// The median of five small writes, each put on the medium, in microseconds.
fn sync_us(states: &Path) -> std::io::Result<u64> {
    use std::io::Write as _;
    let path = states.join(format!(".doctor-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    let taken = (|| {
        let mut taken = [0; 5];
        for each in &mut taken {
            let began = clock::now();
            file.write_all(&[7; 128])?;
            file.sync_data()?;
            *each = clock::now().since(began).raw() / 1_000;
        }
        taken.sort_unstable();
        Ok(taken[2])
    })();
    std::fs::remove_file(&path)?;
    taken
}

/// Cores for the hot threads, and what else would run on them.
pub fn cores(config: &Config) -> Vec<Line> {
    let usable: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    let wanted = &config.engine.cores;
    let mut lines = Vec::new();
    let missing: Vec<String> = wanted.iter().filter(|core| !usable.contains(core)).map(ToString::to_string).collect();
    let twice = wanted.iter().enumerate().any(|(at, core)| wanted[..at].contains(core));
    if !missing.is_empty() {
        let text = format!("engine.cores: this process may not run on core {}", missing.join(", "));
        let fix = format!("orion config show --origin | grep engine.cores; allowed here: {}", list(&usable));
        lines.push(Line::bad("cores", From(Mode::Demo), Unsound, text, fix));
    } else if twice {
        let fix = "name each core once in engine.cores";
        lines.push(Line::caution(
            "cores",
            "engine.cores names one core for two hot threads: they wait for each other",
            fix,
        ));
    } else if wanted.is_empty() {
        let spins = config.engine.idle == Idle::Spin;
        let text = format!("{} usable, none reserved for the hot threads (engine.cores is empty)", usable.len());
        lines.push(if spins && usable.len() < 4 {
            Line::caution("cores", format!("{text}, and engine.idle = \"spin\""), "set engine.idle = \"auto\"")
        } else {
            Line::note("cores", text)
        });
    } else {
        lines.push(Line::good("cores", format!("hot threads on {}", list(wanted))));
        let isolated = read("/sys/devices/system/cpu/isolated").map(|text| numbers(&text)).unwrap_or_default();
        let shared: Vec<usize> = wanted.iter().copied().filter(|core| !isolated.contains(core)).collect();
        if !shared.is_empty() {
            let text = format!("core {} is not isolated: other programs run there too", list(&shared));
            lines.push(Line::caution(
                "isolation",
                text,
                format!("boot with isolcpus={}, see docs/production.md", list(wanted)),
            ));
        }
    }
    let slow: Vec<usize> = wanted
        .iter()
        .copied()
        .filter(|core| {
            let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
            read(&path).is_some_and(|governor| governor != "performance")
        })
        .collect();
    if !slow.is_empty() {
        let text = format!("core {} saves power between two messages", list(&slow));
        let fix = format!("sudo cpupower -c {} frequency-set -g performance", list(&slow));
        lines.push(Line::caution("governor", text, fix));
    }
    lines
}

/// What the kernel lets this process have. A service has limits of its own: asked there, this tells them.
pub fn limits() -> Vec<Line> {
    let mut lines = Vec::new();
    let files = getrlimit(Resource::Nofile).current;
    lines.push(match files {
        Some(most) if most < FILES_WANTED => Line::caution(
            "files",
            format!("{most} open files at most: sockets and readers may run out"),
            format!("ulimit -n {FILES_WANTED}, or LimitNOFILE={FILES_WANTED} in the unit"),
        ),
        Some(most) => Line::good("files", format!("{most} may be open")),
        None => Line::good("files", "no limit"),
    });
    let swaps = read("/proc/swaps").map_or(0, |text| text.lines().count().saturating_sub(1));
    let locked = getrlimit(Resource::Memlock).current;
    let limit = locked.map_or_else(|| "without limit".into(), |most| format!("up to {} KiB", most >> 10));
    lines.push(if 0 < swaps {
        Line::caution(
            "memory",
            format!("swap is on ({limit} could be locked; this build locks nothing): keys may reach the disk, and a page that \
                     is fetched back costs milliseconds"),
            "sudo swapoff -a, or MemorySwapMax=0 in the unit",
        )
    } else {
        Line::good("memory", "no swap")
    });
    lines
}

/// The page's port, unless an engine of ours holds it.
pub fn port(config: &Config, running: Option<Mode>, target: Mode) -> Line {
    let Some(port) = config.dashboard.port else { return Line::note("page", "off (dashboard.port is 0)") };
    match web::bind(port) {
        Ok(_) => Line::good("page", format!("127.0.0.1:{port} is free")),
        Err(_) if running.is_some() => {
            Line::note("page", format!("127.0.0.1:{port} is served, or held, while an engine runs"))
        }
        Err(error) => {
            let text = format!("127.0.0.1:{port} cannot be served: {error}");
            let fix = format!("ss -ltnp 'sport = :{port}', or set dashboard.port to another one (0: no page)");
            // The demo takes another port by itself.
            let bars = if target == Mode::Demo { From(Mode::Paper) } else { Only(target) };
            Line::bad("page", bars, Gate, text, fix)
        }
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Core numbers as the kernel writes them: `2-4,7`.
fn numbers(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse::<usize>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(cores: &str) -> Config {
        let env = vec![("HOME".into(), "/nowhere".into()), ("ORION_ENGINE__CORES".into(), cores.into())];
        Config::load(&Sources { env, ..Sources::default() }).unwrap().config
    }

    #[test]
    fn cores_that_are_not_there_stop_the_start_and_are_named() {
        assert_eq!(numbers("2-4,7"), [2, 3, 4, 7]);
        assert_eq!(numbers(""), [0; 0]);
        let lines = cores(&config("0, 1023"));
        assert_eq!(lines[0].stops(Mode::Demo), Some(Unsound), "{lines:?}");
        assert!(lines[0].text.contains("1023"), "{lines:?}");
        assert!(cores(&config("0, 0"))[0].text.contains("two hot threads"));
        assert_eq!(cores(&config(""))[0].mark(Mode::Live).0, "–");
    }

    #[test]
    fn a_folder_that_others_may_change_is_named_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(state_folder(&path)[0].mark(Mode::Paper).0, "–");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let lines = state_folder(&path);
        assert_eq!(lines[0].stops(Mode::Paper), Some(Unsound));
        assert!(lines[0].fix.as_ref().unwrap().starts_with("chmod go-w /"), "{lines:?}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(state_folder(&path)[0].is_good());
        let lines = disk(&path);
        assert!(lines.iter().any(|line| line.topic == "fsync"), "{lines:?}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "the probe is gone");
        // A path that cannot be written, whoever asks: a file stands where the folder should be.
        std::fs::write(path.join("file"), "").unwrap();
        assert_eq!(state_folder(&path.join("file"))[0].stops(Mode::Demo), Some(Unsound));
    }

    #[test]
    fn a_port_that_is_taken_is_told_unless_an_engine_runs() {
        let taken = web::bind(0).unwrap();
        let port_number = taken.local_addr().unwrap().port();
        let env = vec![("HOME".into(), "/nowhere".into()), ("ORION_DASHBOARD__PORT".into(), port_number.to_string())];
        let config = Config::load(&Sources { env, ..Sources::default() }).unwrap().config;
        assert_eq!(port(&config, None, Mode::Paper).stops(Mode::Paper), Some(Gate));
        assert_eq!(port(&config, None, Mode::Demo).stops(Mode::Demo), None);
        assert_eq!(port(&config, Some(Mode::Demo), Mode::Paper).stops(Mode::Paper), None);
        drop(taken);
        assert!(port(&config, None, Mode::Paper).is_good());
    }
}
