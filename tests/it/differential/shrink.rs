//! The smallest question that is still wrong, as far as leaving things out gets.
use std::ops::Range;

use super::libxml2::Question;

/// Leaves out pieces of the document, large ones first, as long as `wrong` stays true of what is left; then the prefixes and
/// the omitted element.
pub fn shrink(question: &Question, mut wrong: impl FnMut(&Question) -> bool) -> Question {
    let mut best = question.clone();
    let mut size = best.document.len().div_ceil(2);
    while size > 0 {
        let mut shorter = false;
        let mut at = 0;
        while at < best.document.len() {
            let mut smaller = best.clone();
            smaller.document.drain(at..(at + size).min(best.document.len()));
            if wrong(&smaller) {
                best = smaller;
                shorter = true;
            } else {
                at += 1;
            }
        }
        if !shorter {
            size /= 2;
        }
    }
    unwrap(&mut best, &mut wrong);
    for apex in 0..best.apex {
        let lower = Question { apex, ..best.clone() };
        if wrong(&lower) {
            best = lower;
            break;
        }
    }
    let plain = [
        Question { omitted: None, ..best.clone() },
        Question { prefixes: String::new(), ..best.clone() },
        Question { omitted: None, prefixes: String::new(), ..best.clone() },
    ];
    plain.into_iter().rev().find(|plain| wrong(plain)).unwrap_or(best)
}

/// Leaves out pairs of tags around what must stay.
fn unwrap(best: &mut Question, wrong: &mut impl FnMut(&Question) -> bool) {
    let mut start = 0;
    while let Some((first, second)) = pair(&best.document, start) {
        let mut smaller = best.clone();
        smaller.document.drain(second);
        smaller.document.drain(first.clone());
        if wrong(&smaller)
            || best.apex > 0 && {
                smaller.apex -= 1;
                wrong(&smaller)
            }
        {
            *best = smaller;
        } else {
            start = first.start + 1;
        }
    }
}

/// The first start tag from `from` on, and its end tag.
fn pair(document: &[u8], from: usize) -> Option<(Range<usize>, Range<usize>)> {
    let tag = |from: usize| {
        let start = from + document.get(from..)?.iter().position(|byte| *byte == b'<')?;
        let end = start + document.get(start..)?.iter().position(|byte| *byte == b'>')? + 1;
        Some(start..end)
    };
    let mut first = tag(from)?;
    while document[first.clone()].starts_with(b"</") || document[first.clone()].ends_with(b"/>") {
        first = tag(first.end)?;
    }
    let (mut depth, mut second) = (1, first.clone());
    while depth > 0 {
        second = tag(second.end)?;
        let text = &document[second.clone()];
        depth = match (text.starts_with(b"</"), text.ends_with(b"/>")) {
            (true, _) => depth - 1,
            (false, true) => depth,
            (false, false) => depth + 1,
        };
    }
    Some((first, second))
}

#[test]
fn what_does_not_matter_is_left_out() {
    let question = Question {
        document: b"<a><b c='d'>needle</b></a>".to_vec(),
        describe: true,
        apex: 3,
        omitted: Some(1),
        prefixes: "x".into(),
    };
    let small = shrink(&question, |q| q.document.windows(4).any(|part| part == b"eedl"));
    let document = b"eedl".to_vec();
    let wanted = Question { document, apex: 0, omitted: None, prefixes: String::new(), ..question };
    assert_eq!(small, wanted);
}

#[test]
fn tags_around_what_matters_are_left_out() {
    let document = b"<a><b><!-- c --><d x=''/><e y=''></e></b></a>".to_vec();
    let question = Question { document, describe: true, apex: 0, omitted: None, prefixes: String::new() };
    let whole = |q: &Question| {
        let text = String::from_utf8_lossy(&q.document);
        text.contains("<e y=''></e>") && text.matches('<').count() == text.matches('>').count()
    };
    assert_eq!(shrink(&question, whole).document, b"<e y=''></e>");
}
