//! The core's XML held against libxml2's: what is accepted means the same there, and has the same canonical octets.
//!
//! A canonical form that differed would only make a genuine signature fail; a document that meant something else to the
//! party that signed it is what an attacker looks for.
mod libxml2;
mod python3_saml;
mod shrink;
mod trees;

use std::thread;

use portcullis::saml::document::{Document, Element};

use libxml2::{Answer, Libxml2, Question};
use trees::Dice;

const TREES: u64 = 100_000;
const MUTATED: u64 = 20_000;
/// As many as a small machine has cores, so that the tests are over soon.
const WORKERS: u64 = 2;
const BATCH: usize = 500;

/// What the core says of a document that it accepts.
fn ours(question: &Question) -> Option<Answer> {
    let document = Document::parse(&question.document).ok()?;
    let canonical = document.canonical(question.apex, question.omitted, &question.prefixes);
    let outline = question.describe.then(|| spelled(document.outline(0)));
    Some(Answer { canonical: canonical.ok().map(String::into_bytes), outline })
}

/// As `libxml2.py` spells it: the separators are characters that XML does not have.
fn spelled(outline: Vec<Element<'_>>) -> Vec<u8> {
    let records: Vec<String> = outline
        .into_iter()
        .map(|element| {
            let mut attributes = element.attributes;
            attributes.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
            let text = element.text.as_deref().unwrap_or("\x1d").to_owned();
            let mut record =
                [&element.depth.to_string(), element.namespace, element.local, &text].join("\x1f");
            for (namespace, local, value) in attributes {
                record += &format!("\x1f{namespace}\x1c{local}\x1c{value}");
            }
            record
        })
        .collect();
    records.join("\x1e").into_bytes()
}

/// Whether the second reading, of the canonical octets, finds what the first found in the source.
fn reread_alike(question: &Question) -> bool {
    let Ok(document) = Document::parse(&question.document) else { return true };
    let Ok(canonical) = document.canonical(question.apex, None, &question.prefixes) else { return true };
    let Ok(again) = Document::parse_canonical(&canonical) else { return false };
    spelled(document.outline(question.apex)) == spelled(again.outline(0))
}

/// What both said, where that is wrong.
type Wrong = fn(&Question, Option<&Answer>, &Answer) -> Option<&'static str>;

/// Puts the questions to both, and shows the first that is `wrong`, made small.
fn compare(questions: impl Fn(u64) -> Question + Sync, count: u64, wrong: Wrong) {
    let questions = &questions;
    let worker = |first: u64| {
        let mut libxml2 = Libxml2::start();
        let mut seeds = (first..count).step_by(WORKERS as usize).peekable();
        while seeds.peek().is_some() {
            let batch: Vec<Question> = seeds.by_ref().take(BATCH).map(questions).collect();
            libxml2.ask(&batch);
            let ours: Vec<_> = batch.iter().map(ours).collect();
            let theirs = libxml2.answers();
            assert_eq!(theirs.len(), batch.len());
            for ((question, ours), theirs) in batch.iter().zip(&ours).zip(&theirs) {
                if let Some(what) = wrong(question, ours.as_ref(), theirs) {
                    return Some(report(question, what, wrong, &mut libxml2));
                }
            }
        }
        None
    };
    let found = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|first| scope.spawn(move || worker(first))).collect();
        let reports: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("a worker")).collect();
        reports.into_iter().flatten().next()
    });
    if let Some(report) = found {
        panic!("{report}");
    }
}

fn report(question: &Question, what: &str, wrong: Wrong, libxml2: &mut Libxml2) -> String {
    let question = &Question { describe: true, ..question.clone() };
    let small = shrink::shrink(question, |smaller| {
        wrong(smaller, ours(smaller).as_ref(), &libxml2.answer(smaller)) == Some(what)
    });
    let (ours, theirs) = (ours(&small), libxml2.answer(&small));
    let show = |octets: Option<&Vec<u8>>| {
        octets.map_or("refused".into(), |octets| String::from_utf8_lossy(octets).escape_debug().to_string())
    };
    format!(
        "{what}\ndocument  {}\napex {} omitted {:?} prefixes {:?}\nours      {}\nlibxml2's {}\nours      {}\nlibxml2's {}",
        String::from_utf8_lossy(&small.document).escape_debug(),
        small.apex,
        small.omitted,
        small.prefixes,
        show(ours.as_ref().and_then(|ours| ours.canonical.as_ref())),
        show(theirs.canonical.as_ref()),
        show(ours.as_ref().and_then(|ours| ours.outline.as_ref())),
        show(theirs.outline.as_ref()),
    )
}

/// What is wrong where the core must accept.
fn differs(question: &Question, ours: Option<&Answer>, theirs: &Answer) -> Option<&'static str> {
    match ours {
        None => Some("the core refuses a document of the generator"),
        ours => differs_if_accepted(question, ours, theirs),
    }
}

/// What is wrong where the core may refuse.
fn differs_if_accepted(question: &Question, ours: Option<&Answer>, theirs: &Answer) -> Option<&'static str> {
    let ours = ours?;
    if ours.outline != theirs.outline {
        Some("the document means something else to libxml2")
    } else if ours.canonical.is_some() && ours.canonical != theirs.canonical {
        Some("the canonical forms differ")
    } else if question.describe && !reread_alike(question) {
        Some("the canonical octets mean something else than what they were written from")
    } else {
        None
    }
}

#[test]
fn canonical_forms_are_those_of_libxml2() {
    compare(trees::question, TREES, differs);
}

#[test]
fn s_09_what_is_accepted_means_the_same_to_libxml2() {
    let mutated = |seed: u64| {
        let question = trees::question(seed);
        let document = trees::mutated(&question.document, &mut Dice::new(!seed));
        Question { document, describe: true, ..question }
    };
    let accepted: Vec<u64> = (0..MUTATED).filter(|seed| ours(&mutated(*seed)).is_some()).collect();
    assert!(accepted.len() > 2_000, "of {MUTATED} mutated documents only {} are accepted", accepted.len());
    compare(|n| mutated(accepted[n as usize]), accepted.len() as u64, differs_if_accepted);
}

/// The generator reaches what it is for.
#[test]
fn the_generated_documents_are_varied() {
    let questions: Vec<Question> = (0..2000).map(trees::question).collect();
    let share = |what: &str| {
        let holds = |q: &&Question| String::from_utf8_lossy(&q.document).contains(what);
        questions.iter().filter(holds).count()
    };
    for what in
        ["xmlns=\"\"", "xmlns:a=", "<![CDATA[", "<!--", "\r", "\t", "&#", "xml:lang", "/>", "é:", "='"]
    {
        assert!(share(what) > 50, "{what}: {}", share(what));
    }
    let count = |is: fn(&Question) -> bool| questions.iter().filter(|q| is(q)).count();
    assert!(count(|q| q.omitted.is_some()) > 200);
    assert!(count(|q| q.apex > 0 && !q.prefixes.is_empty()) > 200);
    let deepest = |q: &Question| {
        let document = Document::parse(&q.document).expect("accepted");
        document.outline(0).iter().map(|element| element.depth).max()
    };
    assert!(questions.iter().filter_map(deepest).max() > Some(50));
}
