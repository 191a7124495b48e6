//! A page with places for texts, read once and checked: what a browser would refuse to do is refused here, with its line.
use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::Texts;

/// The longest template: room for a logo as a `data:` URL.
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;
/// Style elements in a template: each has its digest in the policy, which every page carries.
const STYLES_MAX: usize = 4;

/// Ours.
const SHIPPED: &str = include_str!("../../../templates/edge/error.html");
/// What `{{style}}` stands for. Within the page, so that it looks as it should whatever else is out of order.
const STYLE: &str =
    concat!(include_str!("../../../templates/style.css"), include_str!("../../../templates/edge/error.css"));

/// What a template may say for a value: `{{title}}` and so on.
const PLACES: &[(&str, Place)] = &[
    ("title", Place::Title),
    ("message", Place::Message),
    ("advice", Place::Advice),
    ("action", Place::Action),
    ("request_id", Place::RequestId),
];

/// What the policy would make a dead letter of, or what would get round it; in lower case, with what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("<script", "pages have no scripts: remove it"),
    ("<link", "pages load nothing: put the style into a <style> element, an image into a data: URL"),
    ("<iframe", "pages show no other page: remove it"),
    ("<object", "pages load nothing: put an image into an <img> with a data: URL"),
    ("<embed", "pages load nothing: put an image into an <img> with a data: URL"),
    ("<form", "pages send nothing: use a link"),
    ("<base", "pages keep their own address: remove it"),
    ("http-equiv", "fields of the response are the gateway's: remove it"),
    ("javascript:", "pages have no scripts: remove it"),
    (" style=", "put the rule into a <style> element"),
];

/// A page, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    policy: HeaderValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Title,
    Message,
    Advice,
    Action,
    RequestId,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// In bytes from the beginning.
    pub offset: usize,
    pub why: String,
    pub hint: String,
}

impl Template {
    pub(super) fn shipped() -> Self {
        // A test reads ours; should it ever not be readable, its words alone are better than no page.
        Self::parse(SHIPPED).unwrap_or_else(|_| Self {
            parts: PLACES.iter().map(|(_, place)| Part::Value(*place)).collect(),
            policy: HeaderValue::from_static("default-src 'none'"),
        })
    }

    /// Reads a template, or tells everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateFault>> {
        let mut faults = vec![];
        let mut fault = |offset, why: String, hint: &str| {
            faults.push(TemplateFault { offset, why, hint: hint.to_owned() });
        };
        // As long as the text itself, so that offsets are the same.
        let lower = text.to_ascii_lowercase();
        for (word, hint) in FORBIDDEN {
            for (offset, _) in lower.match_indices(word) {
                fault(
                    offset,
                    format!("has {:?}, which the Content-Security-Policy does not let work", word.trim()),
                    hint,
                );
            }
        }
        let parts = parts(text, &mut fault);
        for place in [Place::Message, Place::RequestId] {
            let name = PLACES.iter().find(|(_, known)| *known == place).map_or("", |(name, _)| name);
            if !parts.contains(&Part::Value(place)) {
                fault(
                    0,
                    format!("has no {{{{{name}}}}}"),
                    "people need to know what happened and what to ask about",
                );
            }
        }
        let mut styles = vec![];
        for (offset, content) in styles_of(text, &lower) {
            let content = content.replace("{{style}}", STYLE);
            if content.contains("{{") {
                fault(
                    offset,
                    "has a placeholder within a <style> element".into(),
                    "only {{style}} may stand there",
                );
            }
            styles.push(format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(content))));
        }
        if styles.len() > STYLES_MAX {
            fault(0, format!("has more than {STYLES_MAX} <style> elements"), "join them");
        }
        let policy = policy(&styles, lower.contains("data:image/"));
        match policy {
            Some(policy) if faults.is_empty() => Ok(Self { parts, policy }),
            _ => Err(faults),
        }
    }

    pub(super) fn policy(&self) -> &HeaderValue {
        &self.policy
    }

    pub(super) fn render(&self, texts: &Texts, request_id: &str) -> String {
        let mut html = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => html.push_str(text),
                Part::Value(place) => escape(
                    match place {
                        Place::Title => &texts.title,
                        Place::Message => &texts.message,
                        Place::Advice => &texts.advice,
                        Place::Action => &texts.action,
                        Place::RequestId => request_id,
                    },
                    &mut html,
                ),
            }
        }
        html
    }
}

/// Takes a template apart at its placeholders.
fn parts(text: &str, fault: &mut impl FnMut(usize, String, &str)) -> Vec<Part> {
    let mut parts = vec![];
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let offset = text.len() - after.len() - 2;
        literal.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            fault(offset, "has {{ without }}".into(), "close the placeholder");
            return parts;
        };
        rest = behind;
        match (name, PLACES.iter().find(|(known, _)| *known == name)) {
            ("style", _) => literal.push_str(STYLE),
            (_, Some((_, place))) => {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Value(*place));
            }
            (_, None) => {
                let shown: String = name.chars().take(40).collect();
                let why = format!("has {{{{{}}}}}, which stands for nothing", shown.escape_debug());
                fault(offset, why, "use title, message, advice, action, request_id or style");
            }
        }
    }
    literal.push_str(rest);
    parts.push(Part::Literal(literal));
    parts
}

/// The contents of the style elements, each with its offset. `lower` is the text in lower case.
fn styles_of<'t>(text: &'t str, lower: &str) -> Vec<(usize, &'t str)> {
    let mut styles = vec![];
    let mut from = 0;
    while let Some(tag) = lower.get(from..).and_then(|rest| rest.find("<style")).map(|at| from + at) {
        let Some(start) = lower.get(tag..).and_then(|rest| rest.find('>')).map(|at| tag + at + 1) else {
            break;
        };
        let end =
            lower.get(start..).and_then(|rest| rest.find("</style")).map_or(text.len(), |at| start + at);
        styles.push((tag, text.get(start..end).unwrap_or_default()));
        from = end;
    }
    styles
}

/// S-102: no script, no form, nothing loaded, no frame around it; of styles, those of the template alone.
fn policy(styles: &[String], has_images: bool) -> Option<HeaderValue> {
    let styles = if styles.is_empty() { "'none'".to_owned() } else { styles.join(" ") };
    let images = if has_images { " img-src data:;" } else { "" };
    HeaderValue::from_str(&format!(
        "default-src 'none'; style-src {styles};{images} frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ))
    .ok()
}

/// Text as it must stand in HTML, in attributes too.
fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        let text = |text: &str| text.to_owned();
        Texts { title: text("T"), message: text("M"), advice: text("A"), action: text("B") }
    }

    fn faults(text: &str) -> Vec<String> {
        let found = Template::parse(text).err().unwrap_or_default();
        found.iter().map(|fault| format!("{}: {}", fault.offset, fault.why)).collect()
    }

    #[test]
    fn ours_is_whole() {
        assert_eq!(faults(SHIPPED), Vec::<String>::new());
        let html = Template::shipped().render(&texts(), "id-1");
        assert!(html.starts_with("<!doctype html>") && html.contains("id-1") && !html.contains("{{"));
        assert!(
            Template::shipped()
                .policy()
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'; style-src 'sha256-")
        );
    }

    #[test]
    fn s_102_values_are_escaped_wherever_they_stand() {
        let template = Template::parse("<p title=\"{{message}}\">{{message}}|{{request_id}}").unwrap();
        let nasty = Texts { message: "\"'><script>&{{title}}".into(), ..texts() };
        let escaped = "&quot;&#39;&gt;&lt;script&gt;&amp;{{title}}";
        assert_eq!(template.render(&nasty, "<i>"), format!("<p title=\"{escaped}\">{escaped}|&lt;i&gt;"));
    }

    #[test]
    fn the_policy_knows_the_styles_and_images_of_the_template() {
        let policy = |head: &str| {
            let text = format!("{head}{{{{message}}}}{{{{request_id}}}}");
            Template::parse(&text).unwrap().policy().to_str().unwrap().to_owned()
        };
        let rest = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
        assert_eq!(policy(""), format!("default-src 'none'; style-src 'none'; {rest}"));
        let hash = |style: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(style)));
        let (red, ours) = (hash("p { color: red }"), hash(STYLE));
        assert_eq!(
            policy("<STYLE media=\"all\">p { color: red }</STYLE><style>{{style}}</style>"),
            format!("default-src 'none'; style-src {red} {ours}; {rest}")
        );
        assert_eq!(
            policy("<img src=\"data:image/png;base64,AA==\">"),
            format!("default-src 'none'; style-src 'none'; img-src data:; {rest}")
        );
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let refused = "which the Content-Security-Policy does not let work";
        let good = "{{message}}{{request_id}}";
        assert_eq!(faults(good), Vec::<String>::new());
        assert_eq!(
            faults("é{{code}}{{message}}{{request_id}}"),
            ["2: has {{code}}, which stands for nothing"]
        );
        assert_eq!(faults(&format!("{good} {{{{title")), ["26: has {{ without }}"]);
        assert_eq!(faults("{{message}}"), ["0: has no {{request_id}}"]);
        assert_eq!(faults("{{request_id}}"), ["0: has no {{message}}"]);
        assert_eq!(faults(&format!("{good}<SCRIPT>")), [format!("25: has \"<script\", {refused}")]);
        assert_eq!(faults(&format!("{good}<p style=\"\">")), [format!("27: has \"style=\", {refused}")]);
        assert_eq!(
            faults(&format!("{good}<style>{{{{title}}}}</style>")),
            ["25: has a placeholder within a <style> element"]
        );
        let many = format!("{good}{}", "<style></style>".repeat(STYLES_MAX + 1));
        assert_eq!(faults(&many), ["0: has more than 4 <style> elements"]);
        for (word, _) in FORBIDDEN {
            assert_eq!(faults(&format!("{good}{word}")).len(), 1, "{word}");
        }
    }
}
