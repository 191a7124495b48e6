//! Finds forms in HTML: enough for pages that are written by machines and well closed, no more.

/// A form as it would be submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    pub is_post: bool,
    /// Where it goes.
    pub action: String,
    /// Names and values of its fields in document order, without buttons.
    pub fields: Vec<(String, String)>,
    buttons: Vec<Button>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Button {
    label: String,
    action: Option<String>,
    field: Option<(String, String)>,
}

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Types `value` into the field, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value.into(),
            None => self.fields.push((name.into(), value.into())),
        }
    }

    /// The labels of its buttons.
    pub fn buttons(&self) -> impl Iterator<Item = &str> {
        self.buttons.iter().map(|button| button.label.as_str())
    }

    /// What is submitted when the button with this label is pressed: its own action and value count.
    pub fn pressed(mut self, label: &str) -> Option<Self> {
        let button = self.buttons.iter().find(|button| button.label == label)?.clone();
        if let Some(action) = button.action {
            self.action = action;
        }
        self.fields.extend(button.field);
        Some(self)
    }

    pub(super) fn at(mut self, resolve: impl Fn(&str) -> String) -> Self {
        self.action = resolve(&self.action);
        self
    }
}

/// The forms of a page in document order. A control after the end of a form belongs to that form: some IdPs write it so.
pub(super) fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        if let Some(comment) = rest[start..].strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(tag) = Tag::read(&rest[start..]) else {
            rest = &rest[start + 1..];
            continue;
        };
        rest = &rest[start + tag.length..];
        let inside = &rest[..rest.find(&format!("</{}", tag.name)).unwrap_or(0)];
        if tag.name == "script" || tag.name == "style" {
            rest = &rest[inside.len()..];
        } else if tag.name == "form" {
            forms.push(Form {
                is_post: tag.attribute("method").is_some_and(|m| m.eq_ignore_ascii_case("post")),
                action: tag.attribute("action").unwrap_or_default(),
                ..Form::default()
            });
        } else if let Some(form) = forms.last_mut() {
            add_control(form, &tag, inside);
        }
    }
    forms
}

fn add_control(form: &mut Form, tag: &Tag<'_>, inside: &str) {
    let name = tag.attribute("name").filter(|name| !name.is_empty());
    let value = tag.attribute("value").unwrap_or_default();
    match (tag.name.as_str(), name) {
        ("input", Some(name)) => form.fields.push((name, value)),
        ("textarea", Some(name)) => {
            // HTML, 13.2.6.4.7: a line feed right after the start tag is ignored.
            let text = inside.strip_prefix('\n').unwrap_or(inside);
            form.fields.push((name, unescape(text)));
        }
        ("button", name) => form.buttons.push(Button {
            label: unescape(inside).trim().into(),
            action: tag.attribute("formaction"),
            field: name.map(|name| (name, value)),
        }),
        _ => {}
    }
}

/// A start tag.
struct Tag<'a> {
    name: String,
    attributes: &'a str,
    length: usize,
}

impl<'a> Tag<'a> {
    /// Reads the tag at the start of `html`; a `>` within quotes does not end it.
    fn read(html: &'a str) -> Option<Self> {
        let mut quote = None;
        let (end, _) = html.char_indices().find(|(_, c)| {
            match quote {
                None if matches!(c, '"' | '\'') => quote = Some(*c),
                Some(open) if open == *c => quote = None,
                _ => {}
            }
            quote.is_none() && *c == '>'
        })?;
        let inside = html.get(1..end)?;
        let name_end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(name_end);
        (!name.is_empty()).then(|| Self { name: name.to_ascii_lowercase(), attributes, length: end + 1 })
    }

    /// The value of an attribute, quoted or not.
    fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        while let Some((before, after)) = rest.split_once('=') {
            let name = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
            let after = after.trim_start();
            let (value, behind) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote)?,
                _ => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(unescape(value));
            }
            rest = behind;
        }
        None
    }
}

/// Replaces the character references that template engines write.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').and_then(|(name, behind)| Some((character(name)?, behind)));
        match reference {
            Some((c, behind)) => {
                out.push(c);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_other_hands_wrote() {
        let html = "<!-- <form action=\"/no\"> --><a href=x>y</a><FORM method=Post action = '?a=b'>\
            <input name=plain value=1 checked><input value='nameless'></form><input type=hidden name=\"late\" value=\"2\"/>";
        let [form] = forms(html).try_into().unwrap();
        assert!(form.is_post);
        assert_eq!(form.action, "?a=b");
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form.fields, [field("plain", "1"), field("late", "2")]);
    }

    #[test]
    fn finds_forms() {
        let html = "<p>a < b</p><form method=\"POST\" action=\"/a?b=1&amp;c=2\">\
            <input type=\"hidden\" name=\"x\" value=\"&quot;>&#39;&#x41;&nope;\"><textarea name='t'>\n\
            one\n&lt;two&gt;</textarea><button type=\"submit\" formaction=\"/b\" name=\"n\" value=\"v\"> Go </button>\
            <button>Stay</button></form><script>'<form action=\"no\">'</script><form action=\"c\"></form>";
        let found = forms(html);
        assert_eq!(found.len(), 2);
        assert!(found[0].is_post && !found[1].is_post);
        assert_eq!(found[0].action, "/a?b=1&c=2");
        assert_eq!(found[0].field("x"), Some("\">'A&nope;"));
        assert_eq!(found[0].field("t"), Some("one\n<two>"));
        let go = found[0].clone().pressed("Go").unwrap();
        assert_eq!((go.action.as_str(), go.field("n")), ("/b", Some("v")));
        let stay = found[0].clone().pressed("Stay").unwrap();
        assert_eq!((stay.action.as_str(), stay.field("n")), ("/a?b=1&c=2", None));
        assert_eq!(found[0].clone().pressed("Away"), None);
        assert_eq!(found[1].action, "c");
    }
}
