//! `ca show | export | rotate`: the authority that agents trust (SECURITY 14).

use std::{fmt::Write as _, path::PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use upheld_desk::authority::{OneAgent, ROTATION_BEGUN, ROTATION_ENDED, RotationView};

use super::{Context, typist};
use crate::{
    failure::{Exit, Failure},
    files::FileError,
    pki::{Pki, WARNED, rotation::RotationError},
};

/// What can be done with the authority.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Roots and certificates, when each ends, which agents did not renew, and how far a change of the root has come.
    Show,
    /// The roots that agents trust, PEM, each with its fingerprint; never a key.
    Export {
        /// Write them to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Change the root: the next one stands beside the present one until every agent knows it.
    Rotate {
        /// End the time in which both hold. Whoever does not know the next root needs a new link then.
        #[arg(long)]
        finish: bool,
        /// With --finish: how many agents and links are lost by it, so that nobody is lost unawares.
        #[arg(long, requires = "finish", value_name = "N", default_value_t = 0)]
        lose: usize,
    },
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Show => show(context),
        Command::Export { out } => export(out.as_ref(), context),
        Command::Rotate { finish: false, lose: _ } => begin(context),
        Command::Rotate { finish: true, lose } => finish(lose, context),
    }
}

pub(super) fn open(context: &Context) -> Result<Pki, Failure> {
    let config = context.data.config()?;
    Ok(Pki::open(&context.data.pki(), &config.listen.public)?)
}

/// How far a change of the root has come; `None` when none is on.
fn progress(pki: &Pki, context: &Context) -> Result<Option<RotationView>, Failure> {
    let Some(since) = pki.rotating_since() else { return Ok(None) };
    let root = pki.root_fingerprint();
    context.with_desk(async |desk, now| desk.rotation(&root, since, now).await).map(Some)
}

fn show(context: &Context) -> Result<Exit, Failure> {
    let pki = open(context)?;
    let rotation = progress(&pki, context)?;
    let (late, now) = context.with_desk(async |desk, now| {
        let cutoff = now.saturating_add(WARNED).unwrap_or(now);
        desk.certificates_ending(cutoff).await.map(|late| (late, now))
    })?;
    let endings = pki.endings();
    let mut text = format!("root         SHA256:{}\n", pki.root_fingerprint());
    if let (Some(old), Some(since)) = (pki.old_root_fingerprint(), pki.rotating_since()) {
        let since = since.strftime("%F %H:%M UTC");
        let _ = writeln!(text, "old root     SHA256:{old}, which ends when all know the next one; since {since}");
    }
    for ending in &endings {
        let warning = if ending.is_near(now) { "  ▲ less than 30 days left" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<12} until {}{warning}", ending.of, ending.ends.strftime("%F %H:%M UTC"));
    }
    if let Some(rotation) = &rotation {
        let _ = write!(text, "{}", progress_text(rotation));
    }
    if late.is_empty() {
        let _ = writeln!(text, "agents       all have renewed in time");
    } else {
        let _ = writeln!(text, "agents       {} did not renew in time (off, or out of reach):", late.len());
        let _ = write!(text, "{}", table(&late));
    }
    context.output.result(text.trim_end(), || {
        json!({
            "schema": "upheld.ca/1",
            "root": pki.root_fingerprint(),
            "old_root": pki.old_root_fingerprint(),
            "rotating_since": pki.rotating_since(),
            "rotation": rotation,
            "ends": endings,
            "agents_not_renewed": late,
        })
    })?;
    Ok(Exit::Ok)
}

fn export(out: Option<&PathBuf>, context: &Context) -> Result<Exit, Failure> {
    let pki = open(context)?;
    let roots = pki.roots_pem();
    let prints: Vec<String> =
        [pki.old_root_fingerprint(), Some(pki.root_fingerprint())].into_iter().flatten().collect();
    for print in &prints {
        context.output.say(&format!("SHA256:{print}"));
    }
    if let Some(path) = out {
        std::fs::write(path, &roots).map_err(FileError::of("write", path))?;
        context.output.say(&format!("Written to {}", path.display()));
    }
    let text = if out.is_some() { "" } else { roots.trim_end() };
    context
        .output
        .result(text, || json!({ "schema": "upheld.ca-export/1", "roots_pem": roots, "fingerprints": prints }))?;
    Ok(Exit::Ok)
}

fn begin(context: &Context) -> Result<Exit, Failure> {
    let config = context.data.config()?;
    // The desk first: without it nothing would be written down.
    context.with_desk(async |desk, _| desk.recovery().await.map(drop))?;
    let pki = Pki::begin_rotation(&context.data.pki(), &config.listen.public, Timestamp::now())
        .map_err(|error| refused(error, context))?;
    let detail = json!({ "root": pki.root_fingerprint(), "old_root": pki.old_root_fingerprint() });
    context.with_desk(async |desk, now| desk.note_authority(ROTATION_BEGUN, detail, &typist(), now).await)?;
    let text = format!(
        "The next root is SHA256:{}. New links name it from now on; agents learn it with their next report.\n\
         The old one ends by itself when every agent knows the next one and every link that names the old one is over: \
         see upheld-collector ca show{}",
        pki.root_fingerprint(),
        context.data_option()
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.ca-rotate/1", "root": pki.root_fingerprint(), "old_root": pki.old_root_fingerprint(),
            "rotating_since": pki.rotating_since(),
        })
    })?;
    Ok(Exit::Ok)
}

fn finish(lose: usize, context: &Context) -> Result<Exit, Failure> {
    let config = context.data.config()?;
    let pki = open(context)?;
    let Some(rotation) = progress(&pki, context)? else { return Err(refused(RotationError::NotBegun, context)) };
    let lost = rotation.missing.len() + rotation.links;
    if lost != lose {
        return Err(Failure::new(Exit::Failed, format!("{lost} agents and links do not know the next root"))
            .because(format!(
                "each agent would need a new link and --replace:\n{}",
                progress_text(&rotation).trim_end()
            ))
            .todo("wait: agents that report learn it by themselves")
            .todo(format!(
                "or lose them: upheld-collector ca rotate --finish --lose {lost}{}",
                context.data_option()
            )));
    }
    let pki = Pki::finish_rotation(&context.data.pki(), &config.listen.public, Timestamp::now())
        .map_err(|error| refused(error, context))?;
    let detail = json!({ "root": pki.root_fingerprint(), "lost": rotation.missing, "links_lost": rotation.links });
    context.with_desk(async |desk, now| desk.note_authority(ROTATION_ENDED, detail, &typist(), now).await)?;
    let text = format!("The old root has ended; SHA256:{} is the only one.", pki.root_fingerprint());
    context.output.result(&text, || {
        json!({ "schema": "upheld.ca-rotate/1", "root": pki.root_fingerprint(), "lost": rotation.missing, "links_lost": rotation.links })
    })?;
    Ok(Exit::Ok)
}

fn progress_text(rotation: &RotationView) -> String {
    let RotationView { confirmed, missing, links } = rotation;
    let mut text = format!("next root    {confirmed} of {} agents know it", confirmed + missing.len());
    if *links > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {links} links that name the old one can still be used");
    }
    text.push('\n');
    text + &table(missing)
}

fn table(agents: &[OneAgent]) -> String {
    let mut text = String::new();
    for agent in agents {
        let seen = agent.last_seen.map_or_else(|| "never".to_owned(), |seen| seen.strftime("%F %H:%M UTC").to_string());
        let place = format!("{}/{}", agent.client, agent.site);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:<20} {:<12} {place:<28} {:<20} last report {seen}",
            agent.agent,
            agent.status.as_str(),
            agent.host
        );
    }
    text
}

fn refused(error: RotationError, context: &Context) -> Failure {
    let option = context.data_option();
    match error {
        RotationError::Pki(error) => error.into(),
        RotationError::Begun => Failure::new(Exit::Failed, error.to_string())
            .todo(format!("see how far it is: upheld-collector ca show{option}")),
        RotationError::NotBegun => {
            Failure::new(Exit::Failed, error.to_string()).todo(format!("begin one: upheld-collector ca rotate{option}"))
        }
        RotationError::AnothersFolder(_) => Failure::new(Exit::Failed, error.to_string())
            .todo(format!("runuser -u upheld-collector -- upheld-collector ca rotate{option}")),
    }
}
