//! Whatever is done to a signed response: it is refused, or it still says what was signed.
use std::sync::LazyLock;

use portcullis::saml::{Connection, VerifiedAssertion};
use proptest::{prelude::*, sample::Index};

use super::forge::{self, Sign, Spec, judge};

struct Genuine {
    xml: String,
    verified: VerifiedAssertion,
}

static CONNECTION: LazyLock<Connection> = LazyLock::new(forge::usual_connection);

static GENUINE: LazyLock<Vec<Genuine>> = LazyLock::new(|| {
    let of_assertion = forge::with_groups(2);
    let of_response =
        Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..forge::with_groups(2) };
    let of_both = Spec { sign_response: Some(Sign::default()), ..forge::with_groups(2) };
    [of_assertion, of_response, of_both]
        .iter()
        .map(|spec| {
            let xml = spec.xml();
            let verified = judge(&CONNECTION, xml.as_bytes()).expect("accepted");
            Genuine { xml, verified }
        })
        .collect()
});

/// One change to a document.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Delete(Index, usize),
    Insert(Index, &'static str),
    /// Copies one element to before another tag.
    Copy(Index, Index),
    /// Moves one element to before another tag.
    Move(Index, Index),
    Swap(&'static str, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let inserted = prop::sample::select(vec![
        "<!---->",
        "<![CDATA[]]>",
        "<![CDATA[admin]]>",
        " ",
        "&#97;",
        "admin",
        "<a/>",
        "xmlns=\"urn:x\" ",
        "\r",
        "id=\"_assertion\" ",
        "<saml:NameID>admin</saml:NameID>",
        "&amp;",
        "]]>",
        "xml:id=\"x\" ",
    ]);
    let swapped = prop::sample::select(vec![
        ("alice", "admin"),
        ("_assertion", "_response"),
        ("saml:", "samlp:"),
        ("AttributeValue", "Audience"),
        ("example.com", "example.com<!---->"),
        ("12:05", "13:05"),
        ("#_", "_"),
        (" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"", ""),
    ]);
    prop_oneof![
        (any::<Index>(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (any::<Index>(), inserted).prop_map(|(at, text)| Mutation::Insert(at, text)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Copy(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Move(from, to)),
        swapped.prop_map(|(from, to)| Mutation::Swap(from, to)),
    ]
}

fn apply(document: &[u8], mutation: &Mutation) -> Vec<u8> {
    let mut mutated = document.to_vec();
    if mutated.is_empty() {
        return mutated;
    }
    match mutation {
        Mutation::Flip(at, bits) => mutated[at.index(document.len())] ^= bits,
        Mutation::Delete(at, count) => {
            let start = at.index(document.len());
            mutated.drain(start..document.len().min(start + count));
        }
        Mutation::Insert(at, text) => {
            let at = at.index(document.len());
            mutated.splice(at..at, text.bytes());
        }
        Mutation::Copy(from, to) | Mutation::Move(from, to) => {
            let tags: Vec<usize> = (0..document.len()).filter(|at| document[*at] == b'<').collect();
            if tags.is_empty() {
                return mutated;
            }
            let (start, target) = (tags[from.index(tags.len())], tags[to.index(tags.len())]);
            let element = element_at(document, start).to_vec();
            let mut target = target;
            if matches!(mutation, Mutation::Move(..)) {
                mutated.drain(start..start + element.len());
                if target > start {
                    target = target.saturating_sub(element.len()).max(start);
                }
            }
            mutated.splice(target..target, element);
        }
        Mutation::Swap(from, to) => {
            mutated = String::from_utf8_lossy(document).replace(from, to).into_bytes()
        }
    }
    mutated
}

/// The element whose start tag begins at `start`, found by its name; at least the tag's first byte.
fn element_at(document: &[u8], start: usize) -> &[u8] {
    let rest = &document[start..];
    let name =
        rest[1..].iter().position(|byte| b" >/".contains(byte)).map_or(&rest[..0], |end| &rest[1..=end]);
    let end_tag = [b"</", name, b">"].concat();
    let found = rest.windows(end_tag.len()).position(|window| window == end_tag);
    &rest[..found.map_or(1, |at| at + end_tag.len())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepted_means_unchanged(which in any::<Index>(), mutations in prop::collection::vec(mutation(), 1..4)) {
        let genuine = &GENUINE[which.index(GENUINE.len())];
        let mutated = mutations.iter().fold(genuine.xml.clone().into_bytes(), |document, m| apply(&document, m));
        if let Ok(verified) = judge(&CONNECTION, &mutated) {
            prop_assert_eq!(&verified, &genuine.verified);
        }
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(judge(&CONNECTION, &octets).is_err());
        let _ = portcullis::saml::decode(&octets);
    }
}
