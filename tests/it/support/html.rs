//! As much HTML as the tests need: the forms of a page and their fields.
use std::collections::BTreeMap;

/// A form of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// As written: absolute or relative to the page, perhaps empty.
    pub action: String,
    /// Lower case; `get` if the page does not say.
    pub method: String,
    /// Names and values of the inputs that have a name.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Fills a field in, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }
}

/// Every form of a page. An input after the end of a form belongs to that form: some IdPs write it so.
pub fn forms(page: &str) -> Vec<Form> {
    let mut out: Vec<Form> = vec![];
    for (name, attributes) in tags(page) {
        let get = |key: &str| attributes.get(key).cloned();
        match name.as_str() {
            "form" => out.push(Form {
                action: get("action").unwrap_or_default(),
                method: get("method").unwrap_or_else(|| "get".into()).to_ascii_lowercase(),
                fields: vec![],
            }),
            "input" => {
                if let (Some(form), Some(field)) = (out.last_mut(), get("name")) {
                    form.fields.push((field, get("value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    out
}

/// Start tags with their attributes, names in lower case, values unescaped.
fn tags(page: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut out = vec![];
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with("!--") {
            rest = rest.split_once("-->").map_or("", |(_, after)| after);
        } else if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name_end =
                rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(rest.len());
            let name = rest[..name_end].to_ascii_lowercase();
            let (attributes, after) = attributes(&rest[name_end..]);
            out.push((name, attributes));
            rest = after;
        }
    }
    out
}

/// The attributes up to the tag's end, and what follows it.
fn attributes(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut out = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (out, rest.get(1..).unwrap_or_default());
        }
        let name_end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        let name = rest[..name_end].to_ascii_lowercase();
        rest = rest[name_end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = attribute_value(after.trim_start());
        } else if name.is_empty() {
            rest = rest.get(1..).unwrap_or_default();
        }
        out.insert(name, unescape(value));
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len()))
}

/// Resolves the five named references and the numeric ones; others stay as they are.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let resolved = rest.find(';').and_then(|end| Some((reference(&rest[1..end])?, end + 1)));
        let (c, length) = resolved.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[test]
fn forms_are_read_as_a_browser_reads_them() {
    let page = r#"<!-- <form action="/no"> --><a href=x>y</a>
        <FORM method='POST' action="/a?x=1&amp;y=2"><input name=plain value=1 checked>
        <input type="hidden" name="q" value="&#34;&lt;&#x27;&unknown; & &amp;amp;"/><input value="nameless"></form>
        <form><input name="r"></form>"#;
    let found = forms(page);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let first = Form {
        action: "/a?x=1&y=2".into(),
        method: "post".into(),
        fields: vec![field("plain", "1"), field("q", "\"<'&unknown; & &amp;")],
    };
    let second = Form { action: String::new(), method: "get".into(), fields: vec![field("r", "")] };
    assert_eq!(found, [first, second]);
}
