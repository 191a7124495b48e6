//! The words of mails, ours or the operator's: read once at the start and checked.
use std::sync::LazyLock;

/// The longest template file.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// RFC 5322 2.1.1 wants lines of at most 78 characters; a subject that is longer says too much.
const SUBJECT_CHARS_MAX: usize = 200;
/// The longest value that is put into a mail, but for the link.
const VALUE_CHARS_MAX: usize = 200;
const SUBJECT: &str = "Subject:";

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Invitation,
    Cancelled,
    Removed,
    Held,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Invitation, Self::Cancelled, Self::Removed, Self::Held];

    /// What its two files are called before the extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Cancelled => "cancelled",
            Self::Removed => "removed",
            Self::Held => "held",
        }
    }

    /// What may stand in its templates.
    fn places(self) -> &'static [(&'static str, Place)] {
        const ALL: &[(&str, Place)] = &[
            ("organization", Place::Organization),
            ("enterprise", Place::Enterprise),
            ("to", Place::To),
            ("inviter", Place::Inviter),
            ("role", Place::Role),
            ("expires", Place::Expires),
            ("link", Place::Link),
        ];
        match self {
            Self::Invitation => ALL,
            Self::Cancelled | Self::Removed | Self::Held => ALL.split_at(3).0,
        }
    }

    fn shipped(self) -> (&'static str, &'static str) {
        match self {
            Self::Invitation => (
                include_str!("../../templates/mail/invitation.txt"),
                include_str!("../../templates/mail/invitation.html"),
            ),
            Self::Cancelled => (
                include_str!("../../templates/mail/cancelled.txt"),
                include_str!("../../templates/mail/cancelled.html"),
            ),
            Self::Removed => (
                include_str!("../../templates/mail/removed.txt"),
                include_str!("../../templates/mail/removed.html"),
            ),
            Self::Held => (
                include_str!("../../templates/mail/held.txt"),
                include_str!("../../templates/mail/held.html"),
            ),
        }
    }
}

/// The templates of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    pub invitation: Template,
    pub cancelled: Template,
    pub removed: Template,
    pub held: Template,
}

/// One kind's subject and its two bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    subject: Vec<Part>,
    text: Vec<Part>,
    html: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Organization,
    Enterprise,
    To,
    Inviter,
    Role,
    Expires,
    Link,
}

/// What is put in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub organization: &'a str,
    pub enterprise: &'a str,
    pub to: &'a str,
    pub inviter: &'a str,
    pub role: &'a str,
    pub expires: &'a str,
    pub link: &'a str,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// In bytes from the beginning of the file.
    pub offset: usize,
    pub why: String,
    pub hint: String,
}

impl Templates {
    /// Ours, but for those that `replaced` gives.
    pub fn new(mut replaced: impl FnMut(Kind) -> Option<Template>) -> Self {
        let mut of = |kind| replaced(kind).unwrap_or_else(|| Template::shipped(kind));
        Self {
            invitation: of(Kind::Invitation),
            cancelled: of(Kind::Cancelled),
            removed: of(Kind::Removed),
            held: of(Kind::Held),
        }
    }

    pub(super) fn of(&self, kind: Kind) -> &Template {
        match kind {
            Kind::Invitation => &self.invitation,
            Kind::Cancelled => &self.cancelled,
            Kind::Removed => &self.removed,
            Kind::Held => &self.held,
        }
    }
}

impl Default for Templates {
    fn default() -> Self {
        static SHIPPED: LazyLock<Templates> = LazyLock::new(|| Templates::new(|_| None));
        SHIPPED.clone()
    }
}

impl Template {
    fn shipped(kind: Kind) -> Self {
        let (text, html) = kind.shipped();
        let (text, html) = (Self::parse_text(kind, text), Self::parse_html(kind, html));
        // A test reads ours.
        let (subject, text) = text.unwrap_or_default();
        Self { subject, text, html: html.unwrap_or_default() }
    }

    /// Reads `KIND.txt` (its first line `Subject: ...`, an empty line, the body) and `KIND.html`; what is `None` is ours.
    ///
    /// # Errors
    /// Everything that is wrong, of the text and of the HTML.
    pub fn parse(
        kind: Kind,
        text: Option<&str>,
        html: Option<&str>,
    ) -> Result<Self, (Vec<TemplateFault>, Vec<TemplateFault>)> {
        let (our_text, our_html) = kind.shipped();
        let parsed_text = Self::parse_text(kind, text.unwrap_or(our_text));
        let parsed_html = Self::parse_html(kind, html.unwrap_or(our_html));
        match (parsed_text, parsed_html) {
            (Ok((subject, text)), Ok(html)) => Ok(Self { subject, text, html }),
            (text, html) => Err((text.err().unwrap_or_default(), html.err().unwrap_or_default())),
        }
    }

    fn parse_text(kind: Kind, file: &str) -> Result<(Vec<Part>, Vec<Part>), Vec<TemplateFault>> {
        let mut faults = vec![];
        let (first, body) = file.split_once('\n').unwrap_or((file, ""));
        let subject = first.trim_end().strip_prefix(SUBJECT);
        let Some(subject) = subject.map(str::trim).filter(|subject| !subject.is_empty()) else {
            let why = "does not begin with \"Subject: ...\"".into();
            return Err(vec![TemplateFault {
                offset: 0,
                why,
                hint: "write the subject into the first line, then an empty one".into(),
            }]);
        };
        if subject.chars().count() > SUBJECT_CHARS_MAX || subject.chars().any(char::is_control) {
            let why = format!(
                "has a subject of more than {SUBJECT_CHARS_MAX} characters, or with control characters"
            );
            faults.push(TemplateFault { offset: 0, why, hint: "shorten it".into() });
        }
        let subject = parts(kind, subject, file.find(subject).unwrap_or(0), &mut faults);
        let body = body.trim_start_matches(['\r', '\n']);
        let offset = file.len() - body.len();
        let text = parts(kind, body, offset, &mut faults);
        demand_link(kind, &text, &mut faults);
        if subject.contains(&Part::Value(Place::Link)) {
            let why = "has {{link}} in the subject, which every log on the way shows".into();
            faults.push(TemplateFault { offset: 0, why, hint: "write it into the body".into() });
        }
        if faults.is_empty() { Ok((subject, text)) } else { Err(faults) }
    }

    fn parse_html(kind: Kind, file: &str) -> Result<Vec<Part>, Vec<TemplateFault>> {
        let mut faults = vec![];
        let lower = file.to_ascii_lowercase();
        for (offset, _) in lower.match_indices("<script") {
            let why = "has a script, which no mail program runs".into();
            faults.push(TemplateFault { offset, why, hint: "remove it".into() });
        }
        let html = parts(kind, file, 0, &mut faults);
        demand_link(kind, &html, &mut faults);
        if faults.is_empty() { Ok(html) } else { Err(faults) }
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Rendered {
        Rendered {
            // One line, whatever stands in the values: nothing ends a header field.
            subject: fill(&self.subject, values, |text, out| out.push_str(&text.replace('\n', " "))),
            text: fill(&self.text, values, |text, out| out.push_str(text)),
            html: fill(&self.html, values, escape),
        }
    }
}

/// An invitation without its link helps nobody.
fn demand_link(kind: Kind, parts: &[Part], faults: &mut Vec<TemplateFault>) {
    if kind == Kind::Invitation && !parts.contains(&Part::Value(Place::Link)) {
        let hint = "write {{link}} where the invitation is to be accepted".into();
        faults.push(TemplateFault { offset: 0, why: "has no {{link}}".into(), hint });
    }
}

/// Takes a template apart at its placeholders; `from` is where it begins in its file.
fn parts(kind: Kind, text: &str, from: usize, faults: &mut Vec<TemplateFault>) -> Vec<Part> {
    let mut parts = vec![];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let offset = from + text.len() - after.len() - 2;
        parts.push(Part::Literal(before.to_owned()));
        let Some((name, behind)) = after.split_once("}}") else {
            let why = "has {{ without }}".into();
            faults.push(TemplateFault { offset, why, hint: "close the placeholder".into() });
            return parts;
        };
        rest = behind;
        match kind.places().iter().find(|(known, _)| *known == name) {
            Some((_, place)) => parts.push(Part::Value(*place)),
            None => {
                let shown: String = name.chars().take(40).collect();
                let why = format!("has {{{{{}}}}}, which stands for nothing", shown.escape_debug());
                let known: Vec<&str> = kind.places().iter().map(|(name, _)| *name).collect();
                faults.push(TemplateFault { offset, why, hint: format!("use {}", known.join(", ")) });
            }
        }
    }
    parts.push(Part::Literal(rest.to_owned()));
    parts
}

fn fill(parts: &[Part], values: &Values<'_>, put: impl Fn(&str, &mut String)) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Value(Place::Link) => put(values.link, &mut out),
            Part::Value(place) => put(&shown(value(*place, values)), &mut out),
        }
    }
    out
}

fn value<'a>(place: Place, values: &Values<'a>) -> &'a str {
    match place {
        Place::Organization => values.organization,
        Place::Enterprise => values.enterprise,
        Place::To => values.to,
        Place::Inviter => values.inviter,
        Place::Role => values.role,
        Place::Expires => values.expires,
        Place::Link => values.link,
    }
}

/// Names come from IdPs and people: one line each, of bounded length.
fn shown(value: &str) -> String {
    value.chars().take(VALUE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'static> = Values {
        organization: "octo-org",
        enterprise: "example",
        to: "alice@example.com",
        inviter: "<b>Bob</b>\r\nBcc: eve@example.com",
        role: "member",
        expires: "2026-03-01",
        link: "https://app.example.com/x?a=1&b=2",
    };

    #[test]
    fn ours_are_readable_and_say_everything() {
        for kind in Kind::ALL {
            let (text, html) = kind.shipped();
            let template = Template::parse(kind, Some(text), Some(html)).unwrap();
            assert_eq!(&template, Templates::default().of(kind));
            let mail = template.render(&VALUES);
            for part in [&mail.subject, &mail.text, &mail.html] {
                assert!(part.contains("octo-org") && !part.contains("{{"), "{part}");
            }
        }
    }

    #[test]
    fn values_are_escaped_and_end_no_line() {
        let text = "Subject: {{inviter}} and {{organization}}\n\n{{inviter}} {{link}}";
        let html = "<p>{{inviter}} <a href=\"{{link}}\">x</a></p>";
        let template = Template::parse(Kind::Invitation, Some(text), Some(html)).unwrap();
        let mail = template.render(&VALUES);
        assert!(!mail.subject.contains(['\r', '\n']), "{:?}", mail.subject);
        assert!(mail.text.contains("<b>Bob</b>  Bcc: eve@example.com https://app.example.com/x?a=1&b=2"));
        assert!(mail.html.contains("&lt;b&gt;Bob&lt;/b&gt;"), "{}", mail.html);
        assert!(mail.html.contains("\"https://app.example.com/x?a=1&amp;b=2\""), "{}", mail.html);
    }

    #[test]
    fn faults_have_their_place() {
        let faults = |text: &str, html: &str| {
            let (text, html) = Template::parse(Kind::Invitation, Some(text), Some(html)).unwrap_err();
            let offsets = |faults: Vec<TemplateFault>| faults.iter().map(|f| f.offset).collect::<Vec<_>>();
            (offsets(text), offsets(html))
        };
        assert_eq!(faults("Hello\n{{link}}", "{{link}}<script>"), (vec![0], vec![8]));
        assert_eq!(faults("Subject: {{who}}\n\n{{link}} {{x", "{{link}}"), (vec![9, 27], vec![]));
        assert_eq!(faults("Subject: {{link}}\n\nhello", "hello"), (vec![0, 0], vec![0]));
        // What only invitations have is unknown to the others.
        assert!(Template::parse(Kind::Removed, Some("Subject: x\n\n{{link}}"), None).is_err());
    }
}
