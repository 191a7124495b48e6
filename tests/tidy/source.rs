//! Rust text made easy to search: comments and literals blanked, test code cut out, paths and functions found.
//!
//! Every function keeps line numbers: what is removed is replaced by spaces, line by line.

/// `text` with comments, strings and character literals blanked; quotes and line breaks stay.
pub fn lex(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip_literal(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// `code` (lexed) without the items that `#[cfg(test)]` guards.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find(CFG_TEST) {
        let end = item_end(&out, start + CFG_TEST.len());
        out = blank(&out, start, end);
    }
    out
}

/// Names of the modules that `code` (lexed) declares as `#[cfg(test)] mod NAME;`.
pub fn test_modules(code: &str) -> Vec<String> {
    let mut out = vec![];
    for (start, _) in code.match_indices(CFG_TEST) {
        let rest = &code[start + CFG_TEST.len()..item_end(code, start + CFG_TEST.len())];
        if let (Some(at), true) = (rest.find("mod "), rest.trim_end().ends_with(';')) {
            out.push(word(&rest[at + 4..]));
        }
    }
    out
}

/// The first name of every path that starts at `crate::`, with its line; `*` and `self` stand for the whole crate.
pub fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut out = vec![];
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| starts_word(code, *at)) {
        let line = line_of(code, at);
        let rest = code[at + "crate::".len()..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            out.extend(group_members(group).into_iter().map(|m| (line, first_name(m))));
        } else {
            out.push((line, first_name(rest)));
        }
    }
    out.retain(|(_, name)| !name.is_empty());
    out
}

/// `code` without its `use crate::...`, `use self::...` and `use super::...` statements.
pub fn without_own_uses(code: &str) -> String {
    let mut out = code.to_owned();
    for own in ["use crate::", "use self::", "use super::"] {
        while let Some(start) = out.find(own) {
            let end = out[start..].find(';').map_or(out.len(), |n| start + n + 1);
            out = blank(&out, start, end);
        }
    }
    out
}

/// Lines where the foreign crate `name` is named as the start of a path, or imported whole.
pub fn crate_uses(code: &str, name: &str) -> Vec<usize> {
    let named = |at: usize| {
        let after = &code[at + name.len()..];
        let before = code[..at].trim_end();
        let imported = after.starts_with([';', ',', ' '])
            && (before.ends_with("use") || before.ends_with("extern crate"));
        starts_word(code, at) && !continues_path(before) && (after.starts_with("::") || imported)
    };
    code.match_indices(name).filter(|(at, _)| named(*at)).map(|(at, _)| line_of(code, at)).collect()
}

/// Lines where `words` stands, not inside a longer name.
pub fn occurrences(code: &str, words: &str) -> Vec<usize> {
    let ends = |at: usize| {
        let last = words.chars().next_back().is_some_and(is_name);
        !(last && code[at + words.len()..].starts_with(is_name))
    };
    code.match_indices(words)
        .filter(|(at, _)| starts_word(code, *at) && ends(*at))
        .map(|(at, _)| line_of(code, at))
        .collect()
}

/// Line and length in lines of each function with a body.
pub fn functions(code: &str) -> Vec<(usize, usize)> {
    let mut out = vec![];
    for (at, _) in code.match_indices("fn ").filter(|(at, _)| starts_word(code, *at)) {
        let Some(stop) = head_end(code, at) else { continue };
        if code[stop..].starts_with('{') && !word(&code[at + 3..]).is_empty() {
            let close = matching_brace(code, stop);
            out.push((line_of(code, at), line_of(code, close) - line_of(code, at) + 1));
        }
    }
    out
}

/// The longest chain of `super::` that starts on each line, where there is one.
pub fn super_chains(code: &str) -> Vec<(usize, usize)> {
    let mut out = vec![];
    let mut at = 0;
    while let Some(found) = code[at..].find("super::").map(|n| at + n) {
        let mut end = found;
        while code[end..].starts_with("super::") {
            end += "super::".len();
        }
        if starts_word(code, found) {
            out.push((line_of(code, found), (end - found) / "super::".len()));
        }
        at = end;
    }
    out
}

const CFG_TEST: &str = "#[cfg(test)]";

/// Where the comment or literal that starts at `at` ends; `at` itself if none does.
fn skip_literal(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n),
        ('/', Some('*')) => skip_block_comment(chars, at),
        ('"', _) => skip_quoted(chars, at),
        ('r' | 'b' | 'c', _) if at == 0 || !is_name(chars[at - 1]) => skip_prefixed_string(chars, at),
        ('\'', Some('\\')) => {
            chars[at + 3..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| at + 3 + n + 1)
        }
        ('\'', _) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn skip_block_comment(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn skip_quoted(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// Strings such as `b"..."`, `r"..."`, `br##"..."##`; `at` if what starts there is only a name.
fn skip_prefixed_string(chars: &[char], at: usize) -> usize {
    let letters = chars[at..].iter().take(2).take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let raw = chars[at..at + letters].contains(&'r');
    let hashes = chars[at + letters..].iter().take_while(|c| **c == '#').count();
    let open = at + letters + hashes;
    if chars.get(open) != Some(&'"') || (hashes > 0 && !raw) {
        return at;
    }
    if !raw {
        return skip_quoted(chars, open);
    }
    let mut i = open + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    chars.len()
}

/// End of the item after an attribute: its closing brace, or the semicolon before any brace.
fn item_end(code: &str, from: usize) -> usize {
    match head_end(code, from) {
        Some(at) if code[at..].starts_with('{') && !is_use(&code[from..at]) => matching_brace(code, at) + 1,
        Some(at) => code[at..].find(';').map_or(code.len(), |n| at + n + 1),
        None => code.len(),
    }
}

/// The first brace or semicolon that is not inside parentheses or brackets: where an item's head ends.
fn head_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' | ';' if depth == 0 => return Some(from + i),
            _ => {}
        }
    }
    None
}

/// A `use` statement may hold braces and still ends at its semicolon.
fn is_use(head: &str) -> bool {
    head.split_whitespace().any(|w| w == "use")
}

/// Where the brace opened at `open` closes; the last byte if it never does.
fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + i;
        }
    }
    code.len() - 1
}

/// The members of a braced import list, up to its closing brace.
fn group_members(group: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (vec![], 0, 0);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                out.push(&group[start..i]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&group[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out
}

fn first_name(path: &str) -> String {
    let path = path.trim_start();
    if path.starts_with('*') { "*".into() } else { word(path) }
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| is_name(*c)).collect()
}

fn blank(code: &str, start: usize, end: usize) -> String {
    let spaces: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    format!("{}{spaces}{}", &code[..start], &code[end..])
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn starts_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(is_name)
}

/// Whether a path segment stands before, so that what follows is no crate name: `store::redis::`.
fn continues_path(before: &str) -> bool {
    before.strip_suffix("::").is_some_and(|head| head.ends_with(is_name))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
