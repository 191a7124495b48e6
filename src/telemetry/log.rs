//! The log: where lines go and what they look like.
use std::fmt;

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    filter::{ParseError, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, DefaultFields, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
};

use super::{LogFormat, Settings, sink::Outlets};

/// The targets whose events are ready-made JSON lines, and the one field that holds the line.
pub(super) const AUDIT: &str = "audit";
pub(super) const ACCESS: &str = "access";
const LINE: &str = "line";
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("the log level is not understood: {0}")]
    Level(String),
    #[error("the audit sink cannot be opened: {0}")]
    Audit(std::io::Error),
    #[error("a log was set up before")]
    Twice,
}

/// Sends the log of this process to standard error, and audit lines to their sink. Once in a process.
pub fn init(settings: &Settings) -> Result<(), InitError> {
    let outlets = Outlets::open(&settings.audit).map_err(InitError::Audit)?;
    let subscriber = subscriber(settings, outlets)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::Twice)
}

/// Says what is wrong with a list of level directives.
pub fn check_level(level: &str) -> Result<(), String> {
    if level.trim().is_empty() {
        return Err("it is blank".into());
    }
    // The filter takes a word that is no level for a target, and then says nothing of anything else.
    for directive in level.split(',') {
        if directive.contains(char::is_whitespace) {
            return Err(format!("{directive:?} holds white space"));
        }
        let word = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(format!("{word:?} is none of {}", LEVELS.join(", ")));
        }
    }
    level.parse::<Targets>().map(drop).map_err(|error| error.to_string())
}

/// A subscriber that writes to `writer`.
pub(super) fn subscriber<W>(
    settings: &Settings,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, InitError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // A general level does not silence audit and access lines; naming their target does.
    let directives = format!("{AUDIT}=info,{ACCESS}=info,{}", settings.level);
    let filter: Targets =
        directives.parse().map_err(|error: ParseError| InitError::Level(error.to_string()))?;
    let builder = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(writer).with_ansi(false);
    Ok(match settings.format {
        LogFormat::Json => Box::new(
            builder
                .fmt_fields(JsonFields::new())
                .event_format(Lines(format::format().json().flatten_event(true)))
                .finish()
                .with(filter),
        ),
        LogFormat::Text => {
            let lines = Lines(format::format());
            Box::new(builder.fmt_fields(DefaultFields::new()).event_format(lines).finish().with(filter))
        }
    })
}

/// Writes ready-made lines as they are and leaves the rest to the format inside.
struct Lines<F>(F);

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if ![AUDIT, ACCESS].contains(&event.metadata().target()) {
            return self.0.format_event(context, writer, event);
        }
        let mut copy = CopyLine { writer: writer.by_ref(), result: Ok(()) };
        event.record(&mut copy);
        copy.result?;
        writer.write_char('\n')
    }
}

struct CopyLine<'w> {
    writer: Writer<'w>,
    result: fmt::Result,
}

impl tracing::field::Visit for CopyLine<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == LINE {
            self.result = self.writer.write_str(value);
        }
    }
    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_levels() {
        for right in ["info", "WARN", "info,portcullis::saml=debug", "off,access=info"] {
            assert_eq!(check_level(right), Ok(()), "{right}");
        }
        for wrong in
            ["", " ", "verbose", "info,", "portcullis=", "portcullis=loud", "info;debug", "info, access=off"]
        {
            assert!(check_level(wrong).is_err(), "{wrong}");
        }
    }
}
