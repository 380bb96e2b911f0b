//! A site's file with items added: at the places of its values, so that comments and order stay as they are.

use std::{borrow::Cow, collections::BTreeSet};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use upheld_model::{
    AssetId,
    proposal::{ProposedAsset, ProposedEdge, asset_lines, checks_text, edge_text},
};

use super::Item;
use crate::book::Site;

/// Why a file cannot be written. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotWrite {
    /// The file is not as the book has read it.
    #[error("the site's file has no asset `{0}` that can be found by its text; add it by hand")]
    NotThere(AssetId),
    /// A suggestion hangs on what is not taken.
    #[error("`{item}` needs `{needs}`, which the book does not have: take that too")]
    Needs {
        /// The suggestion.
        item: String,
        /// What it needs.
        needs: AssetId,
    },
    /// The site's assets are not a list of their own.
    #[error("the site's file writes its assets in one line, where nothing can be added; write each as [[asset]]")]
    OneLine,
}

/// The site's file `text` with the items taken.
///
/// # Errors
/// When a suggestion hangs on what is neither in the book nor taken, or the file has another form than any that the book's
/// reader describes.
pub fn written(text: &str, site: &Site, taken: &[Item]) -> Result<String, CannotWrite> {
    let new: BTreeSet<&AssetId> = taken
        .iter()
        .filter_map(|item| match item {
            Item::Asset(asset) => Some(&asset.asset),
            Item::Checks { .. } | Item::Edge { .. } => None,
        })
        .collect();
    let is_there = |asset: &AssetId| site.assets.contains_key(asset) || new.contains(asset);
    for item in taken {
        if let Item::Edge { asset, edge } = item
            && let Some(needs) = [asset, &edge.to].into_iter().find(|asset| !is_there(asset))
        {
            return Err(CannotWrite::Needs { item: item.name(), needs: needs.clone() });
        }
    }
    let table = DeTable::parse(text).map_err(|_| CannotWrite::OneLine)?;
    let (mut edits, mut behind) = (Vec::new(), String::new());
    for item in taken {
        match item {
            Item::Asset(asset) => {
                let sure = asset.edges.iter().filter(|edge| is_there(&edge.to)).cloned();
                let named = taken.iter().filter_map(|item| match item {
                    Item::Edge { asset: of, edge } if *of == asset.asset => Some(said(edge)),
                    Item::Asset(_) | Item::Checks { .. } | Item::Edge { .. } => None,
                });
                let whole = ProposedAsset { edges: sure.chain(named).collect(), ..asset.clone() };
                behind += &format!("\n{}\n", asset_lines(&whole).join("\n"));
            }
            Item::Checks { asset, proposed } => edits.push(checks(text, &table, site, asset, proposed)?),
            Item::Edge { asset, edge } if !new.contains(asset) => edits.push(hanging(text, &table, asset, edge)?),
            Item::Edge { .. } => {}
        }
    }
    // From behind, so that what lies before stays where it is; of two at one place the first stands before the other.
    edits.reverse();
    edits.sort_by_key(|edit: &Edit| std::cmp::Reverse(edit.at));
    let mut after = text.to_owned();
    for Edit { at, end, by } in edits {
        after.replace_range(at..end, &by);
    }
    if !behind.is_empty() {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after += &behind;
    }
    Ok(after)
}

/// A suggestion that a person took is no suggestion any more.
fn said(edge: &ProposedEdge) -> ProposedEdge {
    ProposedEdge { why: upheld_model::proposal::EdgeWhy::Said, ..edge.clone() }
}

/// A stretch of the file, and what is to stand there.
struct Edit {
    at: usize,
    end: usize,
    by: String,
}

/// The keys and values of an asset of the file.
type Table<'t, 'i> = &'t DeTable<'i>;

fn find<'t, 'i>(table: &'t Spanned<DeTable<'i>>, asset: &AssetId) -> Result<Table<'t, 'i>, CannotWrite> {
    let not_there = || CannotWrite::NotThere(asset.clone());
    let Some(DeValue::Array(assets)) = table.get_ref().get("asset").map(Spanned::get_ref) else {
        return Err(not_there());
    };
    let found = assets.iter().find_map(|entry| {
        let DeValue::Table(entry) = entry.get_ref() else { return None };
        let id = entry.get("id").map(Spanned::get_ref)?;
        matches!(id, DeValue::String(id) if id.as_ref() == asset.as_str()).then_some(entry)
    });
    found.ok_or_else(not_there)
}

fn checks(
    text: &str,
    table: &Spanned<DeTable<'_>>,
    site: &Site,
    asset: &AssetId,
    proposed: &ProposedAsset,
) -> Result<Edit, CannotWrite> {
    let entry = find(table, asset)?;
    let known = site.assets.get(asset).ok_or_else(|| CannotWrite::NotThere(asset.clone()))?;
    let ids = known.checks.iter().map(|check| &check.id);
    let ids = ids.chain(known.unbuilt.iter().map(|check| &check.id)).chain(known.jobs.iter().map(|job| &job.id));
    let mut used: BTreeSet<String> = ids.map(|id| id.name.to_string()).collect();
    let new = checks_text(&proposed.checks, &mut used);
    let Some(value) = entry.get("checks") else {
        return behind_class(text, entry, asset, &format!("checks = [{}]", new.join(", ")));
    };
    let DeValue::Array(items) = value.get_ref() else { return Err(CannotWrite::NotThere(asset.clone())) };
    match items.iter().last() {
        None => {
            let span = value.span();
            Ok(Edit { at: span.start, end: span.end, by: format!("[{}]", new.join(", ")) })
        }
        Some(last) => {
            let (start, at) = (last.span().start, last.span().end);
            // One a line, where the file has one a line; behind a comma with its comment, where there is one.
            let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
            let (indent, rest) = (&text[line..start], &text[at..]);
            let rest = rest.split_once('\n').map_or(rest, |(rest, _)| rest);
            let is_alone = indent.trim().is_empty();
            if is_alone && rest.trim_start().strip_prefix(',').is_some_and(is_nothing) {
                let at = at + rest.trim_end_matches('\r').len();
                let by: String = new.iter().map(|check| format!("\n{indent}{check},")).collect();
                return Ok(Edit { at, end: at, by });
            }
            let between = if is_alone { format!(",\n{indent}") } else { ", ".to_owned() };
            let by: String = new.iter().map(|check| format!("{between}{check}")).collect();
            Ok(Edit { at, end: at, by })
        }
    }
}

/// Whether a rest of a line says nothing.
fn is_nothing(rest: &str) -> bool {
    rest.trim().is_empty() || rest.trim_start().starts_with('#')
}

fn hanging(
    text: &str,
    table: &Spanned<DeTable<'_>>,
    asset: &AssetId,
    edge: &ProposedEdge,
) -> Result<Edit, CannotWrite> {
    behind_class(text, find(table, asset)?, asset, &edge_text(edge))
}

/// A line behind the asset's class.
fn behind_class(text: &str, entry: Table<'_, '_>, asset: &AssetId, line: &str) -> Result<Edit, CannotWrite> {
    let class = entry.get("class").ok_or_else(|| CannotWrite::NotThere(asset.clone()))?;
    let end = class.span().end;
    let rest = text.get(end..).unwrap_or_default();
    if !is_nothing(rest.split_once('\n').map_or(rest, |(rest, _)| rest)) {
        return Err(CannotWrite::OneLine);
    }
    let (at, by) = match rest.find('\n') {
        Some(newline) => (end + newline + 1, Cow::from(format!("{line}\n"))),
        None => (text.len(), Cow::from(format!("\n{line}\n"))),
    };
    Ok(Edit { at, end: at, by: by.into_owned() })
}
