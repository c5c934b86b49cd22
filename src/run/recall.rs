//! What earlier starts left behind: the journal, the database, and what both say of now.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;

use super::{
    clock,
    keep::{self, PlanBook},
    restore::{self, Restored},
    tables::Tables,
};
use crate::{
    config::Setting,
    ledger::{
        audit::{self, Audit, AuditReader, Row},
        segments,
    },
    order::plan,
    unit::{Tag, UnixMs, Venue},
};

/// Where it lies.
pub(super) struct Place<'a> {
    /// Of the journal.
    pub folder: &'a Path,
    pub database: &'a Path,
    /// A journal that is damaged is set aside: on a person's word.
    pub adopts: bool,
    /// Nothing of it is real money.
    pub simulated: bool,
}

/// What a start goes on from.
pub(super) struct Recalled {
    pub opened: segments::Opened,
    /// The journal was damaged and has begun anew.
    pub salvaged: bool,
    /// The markets as the journal knows them.
    pub names: Vec<(Venue, Tag)>,
    pub restored: Restored,
    pub known: audit::State,
    /// What this start writes down.
    pub rows: Vec<Row>,
    /// Plans that nothing has settled yet.
    pub books: Vec<PlanBook>,
}

/// Reads both; what the journal knows and the database does not is written there.
pub(super) fn recall(
    place: &Place<'_>,
    audit: &mut Audit,
    tables: &Tables,
    closing: plan::Budget,
    settings: &BTreeMap<String, Setting>,
    now: UnixMs,
) -> anyhow::Result<Recalled> {
    let (opened, salvaged) = open_journal(place.folder, place.adopts)?;
    if 0 < opened.torn {
        tracing::warn!("the journal's last record was torn and is cut off: {} bytes", opened.torn);
    }
    let name = |name: &keep::MarketName| Some((name.venue, Tag::new(&name.name)?));
    let names: Vec<_> = tables.names.iter().map(name).collect::<Option<_>>().context("a market's name is too long")?;
    let minimum: Vec<_> = tables.markets.iter().map(|market| market.terms.qty_min).collect();
    let pairs: Vec<_> = tables.pairs.iter().map(|p| [p.pair.kalshi, p.pair.polymarket]).collect();
    let before = restore::Known { markets: &names, minimum: &minimum, pairs: &pairs, budget: closing };
    let mut restored = restore::restore(&opened.records, &before, clock::now())?;
    restored.promise(|market| tables.markets[market.0 as usize].terms.fee);
    for (venue, name, held) in &restored.unlisted {
        tracing::warn!("{venue} {name} is held ({} YES, {} NO) and not in the pair file", held.qty[0], held.qty[1]);
    }
    let reader = AuditReader::open(place.database)?;
    let missing = restored.history.rows(&restored.names, &restored.positions, &reader, place.simulated, now)?;
    audit.write(&missing)?;
    let known = reader.load_state(UnixMs::new(now.raw() / 86_400_000 * 86_400_000))?;
    let rows = first_rows(settings, &reader.settings()?, &known, &restored, now);
    let books = keep::books(&reader, &tables.pair_names, &tables.names)?;
    Ok(Recalled { opened, salvaged, names, restored, known, rows, books })
}

/// Opens the journal; one that is damaged only where a person wants it set aside. Says whether it was.
fn open_journal(folder: &Path, adopts: bool) -> anyhow::Result<(segments::Opened, bool)> {
    match segments::open(folder) {
        Ok(opened) => Ok((opened, false)),
        Err(segments::Unusable::Damage(damage)) if adopts => {
            let segments::Salvaged { opened, aside } = segments::salvage(folder)?;
            tracing::warn!("{damage}; it lies in {} now, {} records were kept", aside.display(), opened.records.len());
            Ok((opened, true))
        }
        Err(error) => Err(error).with_context(|| {
            format!(
                "the journal in {} cannot be used; restore it from a backup, or have it set aside and begun anew from what \
                 both venues hold: orion journal rebuild",
                folder.display()
            )
        }),
    }
}

/// What a start writes down: settings that differ from the last run's, and plans that an end without warning kept from
/// being begun. Those that the journal knows go on.
fn first_rows(
    settings: &BTreeMap<String, Setting>,
    before: &BTreeMap<String, String>,
    known: &audit::State,
    restored: &Restored,
    now: UnixMs,
) -> Vec<Row> {
    let changed = settings.iter().filter(|(key, setting)| before.get(*key) != Some(&setting.text));
    let changes = changed.map(|(key, setting)| {
        Row::ConfigChange(audit::ConfigChange {
            at: now,
            key: key.clone(),
            before: before.get(key).cloned().unwrap_or_default(),
            after: setting.text.clone(),
            origin: setting.origin.to_string(),
        })
    });
    let never = known.open_plans.iter().filter(|plan| !restored.history.knows(plan.id));
    let open = never.cloned().map(|mut plan| {
        plan.state = "abandoned".into();
        plan.closed_at = Some(now);
        Row::Plan(plan)
    });
    changes.chain(open).collect()
}
