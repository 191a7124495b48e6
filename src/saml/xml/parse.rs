//! The one strict pass: quick-xml's tokenizer finds the tokens, [`super::builder`] decides what may
//! stand where.
use std::io::BufRead;

use quick_xml::{Reader, events::Event};

use super::{
    builder::Builder,
    repeats::Repeats,
    tape::{Kind, Tape},
    text,
};
use crate::saml::{
    Reason, Refusal,
    guard::{Guard, stands},
};

/// Parses a text that [`super::scan`] let through.
///
/// Refuses what is not namespace-well-formed (XML Names 1.0), and more: relative namespace names (S-11), references other
/// than to the five predefined entities and characters, and whatever exceeds a cap.
pub(in crate::saml) fn parse(source: &str) -> Result<Tape<'_>, Refusal> {
    parse_with(source, Builder::repeat_elements)
}

/// `repeats` reads what the tokenizer need not see, from where a token begins, and gives its end.
pub(super) fn parse_with<'s>(source: &'s str, repeats: impl Repeats<'s>) -> Result<Tape<'s>, Refusal> {
    let mut reader = Reader::from_str(source);
    reader.config_mut().check_comments = stands(Guard::CommentHyphens);
    reader.config_mut().check_end_names = stands(Guard::EndTagNames);
    let mut builder = Builder::new(source);
    loop {
        let start = reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|error| {
            Refusal::at(Reason::NotWellFormed, reader.error_position() as usize).found(&error.to_string())
        })?;
        let end = reader.buffer_position() as usize;
        match event {
            Event::Text(_) => builder.text(start, end)?,
            Event::Start(tag) => {
                builder.start_tag(start, end, tag.name().as_ref().len(), false)?;
                skip(&mut reader, end, repeats(&mut builder, end)?);
            }
            Event::End(_) => {
                builder.end_tag(start, end);
                skip(&mut reader, end, repeats(&mut builder, end)?);
            }
            Event::Empty(tag) => builder.start_tag(start, end, tag.name().as_ref().len(), true)?,
            Event::GeneralRef(name) => match text::reference(&name) {
                Some(_) => builder.leaf(Kind::Reference, false, start, end)?,
                None if stands(Guard::References) => {
                    return Err(Refusal::at(Reason::ReferenceInvalid, start).found(&name));
                }
                None => {}
            },
            Event::CData(_) => builder.leaf(Kind::CData, false, start, end)?,
            Event::Comment(_) => builder.comment(start, end)?,
            Event::Eof => return builder.finish(),
            Event::Decl(_) | Event::PI(_) => return Err(Refusal::at(Reason::ProcessingInstruction, start)),
            Event::DocType(_) => return Err(Refusal::at(Reason::MarkupDeclaration, start)),
        }
    }
}

/// Takes whole elements from the tokenizer. Only behind a start or an end tag: there it waits for any token, and elements
/// that begin and end leave its stack of names as it is.
#[inline]
fn skip(reader: &mut Reader<&[u8]>, from: usize, to: usize) {
    reader.stream().consume(to - from);
}
