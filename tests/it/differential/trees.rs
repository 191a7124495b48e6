//! Documents by the thousand: everything that makes a canonical form differ from its source, and nothing that the core
//! refuses. One seed, one document.
use super::libxml2::Question;

/// Elements of one document: few, so that there is time for many documents.
const ELEMENTS_MAX: usize = 12;
const DEPTH_MAX: usize = 60;
const DESCRIBED_ONE_IN: u64 = 10;
/// The core's cap counts repeated declarations too.
const DECLARATIONS_IN_SCOPE_MAX: usize = 60;
const ATTRIBUTES_MAX: usize = 4;

const PREFIXES: &[&str] = &["", "a", "b", "saml", "ds", "é", "x-1"];
const NAMESPACES: &[&str] = &[
    "urn:a",
    "urn:b",
    "urn:oasis:names:tc:SAML:2.0:assertion",
    "http://www.w3.org/2000/09/xmldsig#",
    "http://example.com/?q=1;2",
    "URN:A",
];
const LOCALS: &[&str] = &["a", "b", "B", "Value", "ü", "a.b-c_1", "xmlnsx"];
const TEXTS: &[&str] = &[
    "t",
    "\r",
    "\n",
    "\r\n",
    "\t",
    " ",
    "&amp;",
    "&lt;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&#13;",
    "&#xD;",
    "&#9;",
    "&#xa;",
    "&#x1F600;",
    "é\u{300}",
    "\u{85}",
    "\u{2028}",
    "\u{a0}",
    "]]",
    "'",
    "\"",
    "long enough to be more than a few octets",
];
const CDATA: &[&str] =
    &["<![CDATA[]]>", "<![CDATA[<&>]]>", "<![CDATA[a\r\nb\rc]]>", "<![CDATA[]]]]>", "<![CDATA[-->]]>"];
const COMMENTS: &[&str] = &["<!---->", "<!-- <a b='c'> & -->", "<!--\r\n]]>-->"];
const BLANKS: &[&str] = &[" ", " ", " ", "\n", "\t", "\r\n", "  "];

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A start tag that may be used again where it means something.
#[derive(Clone)]
struct Tag {
    prefix: &'static str,
    name: String,
    declared: Vec<(&'static str, &'static str)>,
    attributes: Vec<(&'static str, &'static str)>,
    /// Between `<` and `>`.
    spelled: String,
}

/// Declarations in scope, innermost last.
type Scope = Vec<(&'static str, &'static str)>;

struct Trees<'d> {
    dice: &'d mut Dice,
    out: String,
    tags: Vec<Tag>,
    /// For each element in document order, the number after its last descendant.
    ends: Vec<usize>,
    elements_max: usize,
    /// One chain of elements instead of a tree.
    deep: bool,
}

/// A document, an element of it, and how to canonicalize that.
pub fn question(seed: u64) -> Question {
    let mut dice = Dice::new(seed);
    let deep = dice.one_in(40);
    let elements_max = if deep { DEPTH_MAX } else { 1 + dice.below(ELEMENTS_MAX) };
    let mut trees =
        Trees { dice: &mut dice, out: String::new(), tags: vec![], ends: vec![], elements_max, deep };
    trees.prolog();
    trees.element(&mut vec![], 0);
    trees.epilog();
    let (document, ends) = (trees.out.into_bytes(), trees.ends);
    let apex = if dice.one_in(3) { 0 } else { dice.below(ends.len()) };
    let omitted =
        (dice.one_in(3) && ends[apex] > apex + 1).then(|| apex + 1 + dice.below(ends[apex] - apex - 1));
    let mut prefixes = vec![];
    if dice.one_in(2) {
        for _ in 0..1 + dice.below(4) {
            prefixes.push(match dice.pick(PREFIXES) {
                "" => "#default",
                prefix => prefix,
            });
        }
    }
    Question {
        document,
        describe: seed.is_multiple_of(DESCRIBED_ONE_IN),
        apex,
        omitted,
        prefixes: prefixes.join(" "),
    }
}

impl Trees<'_> {
    fn prolog(&mut self) {
        if self.dice.one_in(8) {
            self.out.push_str("<?xml version='1.0' encoding=\"UTF-8\"?>");
        }
        self.around();
    }

    fn epilog(&mut self) {
        self.around();
    }

    /// What may stand outside of the root element.
    fn around(&mut self) {
        while self.dice.one_in(6) {
            let pieces = if self.dice.one_in(2) { COMMENTS } else { BLANKS };
            let piece = self.dice.pick(pieces);
            self.out.push_str(piece);
        }
    }

    fn element(&mut self, scope: &mut Scope, depth: usize) {
        let number = self.ends.len();
        self.ends.push(number + 1);
        let outer = scope.len();
        let tag = self.tag(scope);
        scope.extend(&tag.declared);
        self.out.push('<');
        self.out.push_str(&tag.spelled);
        let children = self.children(depth);
        if children == 0 && self.dice.one_in(3) {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            for _ in 0..children {
                self.content();
                self.element(scope, depth + 1);
            }
            self.content();
            self.out.push_str("</");
            self.out.push_str(&tag.name);
            self.out.push_str(["", "", "", " ", "\n"][self.dice.below(5)]);
            self.out.push('>');
        }
        scope.truncate(outer);
        self.ends[number] = self.ends.len();
    }

    fn children(&mut self, depth: usize) -> usize {
        let left = self.elements_max.saturating_sub(self.ends.len());
        if self.deep {
            return usize::from(left > 0 && depth + 1 < DEPTH_MAX);
        }
        if left == 0 || depth + 1 >= DEPTH_MAX { 0 } else { self.dice.below(left.min(5) + 1) }
    }

    fn content(&mut self) {
        while self.dice.one_in(2) {
            let pieces = match self.dice.below(10) {
                0 => CDATA,
                1 => COMMENTS,
                _ => TEXTS,
            };
            let piece = self.dice.pick(pieces);
            // XML 1.0 2.4: `]]>` is only the end of a CDATA section.
            let ends = piece.starts_with('>') || (self.out.ends_with("]]") && piece == "&gt;");
            if !ends {
                self.out.push_str(piece);
            }
        }
        if self.dice.one_in(12) && !self.out.ends_with(']') {
            self.out.push('>');
        }
    }

    /// A tag that came before where it can stand again, or a new one.
    fn tag(&mut self, scope: &Scope) -> Tag {
        if !self.tags.is_empty() && self.dice.one_in(2) {
            let known = self.dice.pick(&self.tags);
            if stands(&known, scope) {
                return known;
            }
        }
        loop {
            let tag = self.new_tag(scope);
            if stands(&tag, scope) {
                self.tags.push(tag.clone());
                return tag;
            }
        }
    }

    fn new_tag(&mut self, scope: &Scope) -> Tag {
        let declared = self.declarations(scope);
        let prefix = self.dice.pick(PREFIXES);
        let name = qualified(prefix, self.dice.pick(LOCALS));
        let mut attributes = vec![];
        let mut spelled = vec![];
        for (prefix, namespace) in &declared {
            let name = if prefix.is_empty() { "xmlns".into() } else { format!("xmlns:{prefix}") };
            let quote = self.dice.pick(&['"', '\'']);
            spelled.push(self.assigned(&name, &format!("{quote}{namespace}{quote}")));
        }
        while attributes.len() < ATTRIBUTES_MAX && !self.dice.one_in(2) {
            let (prefix, local) = match self.dice.below(8) {
                0 => ("xml", self.dice.pick(&["lang", "space", "base"])),
                1..=3 => (self.dice.pick(PREFIXES), self.dice.pick(LOCALS)),
                _ => ("", self.dice.pick(LOCALS)),
            };
            attributes.push((prefix, local));
            let value = self.value(prefix);
            spelled.push(self.assigned(&qualified(prefix, local), &value));
        }
        let mut tag = name.clone();
        while !spelled.is_empty() {
            let next = self.dice.below(spelled.len());
            tag.push_str(self.dice.pick(BLANKS));
            tag.push_str(&spelled.swap_remove(next));
        }
        if self.dice.one_in(10) {
            tag.push_str(self.dice.pick(BLANKS));
        }
        Tag { prefix, name, declared, attributes, spelled: tag }
    }

    fn declarations(&mut self, scope: &Scope) -> Scope {
        let mut declared: Scope = vec![];
        let wanted = if scope.is_empty() { self.dice.below(5) } else { self.dice.below(6).saturating_sub(3) };
        for _ in 0..wanted.min(DECLARATIONS_IN_SCOPE_MAX.saturating_sub(scope.len())) {
            let prefix = self.dice.pick(PREFIXES);
            if declared.iter().any(|(other, _)| *other == prefix) {
                continue;
            }
            let undeclares = prefix.is_empty() && self.dice.one_in(3);
            declared.push((prefix, if undeclares { "" } else { self.dice.pick(NAMESPACES) }));
        }
        declared
    }

    fn assigned(&mut self, name: &str, value: &str) -> String {
        let equals = if self.dice.one_in(10) { self.dice.pick(&[" =", "= ", "\n=\t"]) } else { "=" };
        format!("{name}{equals}{value}")
    }

    /// With its quotes.
    fn value(&mut self, prefix: &str) -> String {
        if prefix == "xml" {
            return "\"preserve\"".into();
        }
        let quote = self.dice.pick(&['"', '"', '\'']);
        let mut value = String::from(quote);
        while !self.dice.one_in(3) {
            let piece = self.dice.pick(TEXTS);
            if !piece.contains(quote) {
                value.push_str(piece);
            }
        }
        if self.dice.one_in(8) {
            value.push('>');
        }
        value.push(quote);
        value
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.into() } else { format!("{prefix}:{local}") }
}

/// Whether every prefix of the tag is bound there and no two attributes have one expanded name.
fn stands(tag: &Tag, scope: &Scope) -> bool {
    if scope.len() + tag.declared.len() > DECLARATIONS_IN_SCOPE_MAX {
        return false;
    }
    let bound = |prefix: &str| match prefix {
        "xml" => Some("xml"),
        _ => scope.iter().chain(&tag.declared).rev().find(|(other, _)| *other == prefix).map(|(_, uri)| *uri),
    };
    let mut names = vec![];
    for (prefix, local) in &tag.attributes {
        let namespace = if prefix.is_empty() { Some("") } else { bound(prefix) };
        let Some(namespace) = namespace else { return false };
        if names.contains(&(namespace, local)) {
            return false;
        }
        names.push((namespace, local));
    }
    tag.prefix.is_empty() || bound(tag.prefix).is_some()
}

/// The document with a few octets, tokens or pieces of itself put where they may not belong.
pub fn mutated(document: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TOKENS: &[&str] = &[
        "<",
        ">",
        "/>",
        "</",
        "\"",
        "'",
        "=",
        " ",
        "&",
        ";",
        "&amp;",
        "&#0;",
        "&#x",
        "]]>",
        "--",
        "-->",
        "<!--",
        "<![CDATA[",
        "xmlns=\"\"",
        " xmlns:a=\"urn:b\"",
        " xml:lang=\"\"",
        "a:",
        ":",
        "\r",
        "\0",
        "\u{feff}",
        "\u{ffff}",
        "<a>",
        "</a>",
        "<?p?>",
        "<!DOCTYPE a>",
        "é",
        "\u{d7}",
        "1",
    ];
    let mut mutated = document.to_vec();
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(mutated.len() + 1);
        let other = dice.below(mutated.len() + 1);
        let end = (at + dice.below(12)).min(mutated.len());
        match dice.below(5) {
            0 => drop(mutated.drain(at..end)),
            1 => {
                let piece = mutated[at..end].to_vec();
                drop(mutated.splice(other..other, piece));
            }
            2 if at < mutated.len() => mutated[at] ^= 1 << dice.below(8),
            _ => drop(mutated.splice(at..at, dice.pick(TOKENS).bytes())),
        }
        if mutated.is_empty() {
            break;
        }
    }
    mutated
}
