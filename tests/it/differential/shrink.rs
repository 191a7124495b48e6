//! The smallest question that is still wrong, as far as leaving things out gets.
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
