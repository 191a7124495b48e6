//! libxml2 in a process of its own, asked in batches.
//!
//! A batch is its length and then, for each question: 1 for an outline or 0 for none, the number of the apex, that of the
//! omitted element, the lengths of document and prefixes, the document, the prefixes. Its answer is a length and then, for each question, the canonical form
//! and the outline, each with its length before it. All numbers have 32 bits, little end first; all ones mean none.
use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::support::python;

const NONE: u32 = u32::MAX;

/// What is asked of both implementations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub document: Vec<u8>,
    /// Ask for an outline too: it takes longer than all the rest.
    pub describe: bool,
    /// The number of the element to canonicalize.
    pub apex: usize,
    /// The number of a descendant to leave out.
    pub omitted: Option<usize>,
    /// A PrefixList, `#default` included.
    pub prefixes: String,
}

/// What one of them says; `None` for what it refuses or what was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub canonical: Option<Vec<u8>>,
    pub outline: Option<Vec<u8>>,
}

pub struct Libxml2 {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Libxml2 {
    pub fn start() -> Self {
        let mut child = python::spawn("tests/it/differential/libxml2.py");
        let (input, output) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        Self { child, input, output }
    }

    /// Hands over questions. The answers are awaited by [`Self::answers`], so that the asker can work meanwhile.
    pub fn ask(&mut self, questions: &[Question]) {
        let mut batch = vec![];
        for question in questions {
            let omitted = question.omitted.map_or(NONE, |omitted| omitted as u32);
            let lengths = [question.document.len() as u32, question.prefixes.len() as u32];
            let asked = [u32::from(question.describe), question.apex as u32, omitted];
            for number in asked.into_iter().chain(lengths) {
                batch.extend_from_slice(&number.to_le_bytes());
            }
            batch.extend_from_slice(&question.document);
            batch.extend_from_slice(question.prefixes.as_bytes());
        }
        let length = (batch.len() as u32).to_le_bytes();
        self.input.write_all(&[&length, &*batch].concat()).and_then(|()| self.input.flush()).expect("asked");
    }

    pub fn answers(&mut self) -> Vec<Answer> {
        let length = self.number().expect("an answer");
        let mut batch = vec![0; length as usize];
        self.output.read_exact(&mut batch).expect("the answers");
        let mut rest = batch.as_slice();
        let mut parts = vec![];
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().expect("a length");
            let length = u32::from_le_bytes(*length);
            let taken = if length == NONE { 0 } else { length as usize };
            let (part, after) = after.split_at(taken);
            parts.push((length != NONE).then(|| part.to_vec()));
            rest = after;
        }
        let pairs = parts.chunks_exact(2);
        pairs.map(|pair| Answer { canonical: pair[0].clone(), outline: pair[1].clone() }).collect()
    }

    pub fn answer(&mut self, question: &Question) -> Answer {
        self.ask(std::slice::from_ref(question));
        self.answers().remove(0)
    }

    fn number(&mut self) -> Option<u32> {
        let mut bytes = [0; 4];
        self.output.read_exact(&mut bytes).ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

impl Drop for Libxml2 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
