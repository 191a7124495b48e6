//! From text to filter. It descends into parentheses and brackets only, and counts them.
use super::{Filter, Operator, scan::Scanner};
use crate::scim::{
    error::{Reason, ScimError, quoted},
    limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_NODES_MAX},
};

/// The whole of `text` is a filter.
pub(super) fn filter(text: &str) -> Result<Filter, ScimError> {
    let mut parser = Parser::new(text)?;
    let filter = parser.or()?;
    parser.end()?;
    Ok(filter)
}

/// A name, and a filter in brackets with a sub-attribute behind it: what a PATCH calls a path.
pub(in crate::scim) struct ValuePath<'t> {
    pub(in crate::scim) name: &'t str,
    pub(in crate::scim) filter: Option<Filter>,
    pub(in crate::scim) part: Option<&'t str>,
}

/// The whole of `text` is a path (RFC 7644 3.5.2).
pub(in crate::scim) fn value_path(text: &str) -> Result<ValuePath<'_>, ScimError> {
    let mut parser = Parser::new(text)?;
    let name = parser.scanner.name()?;
    let (mut filter, mut part) = (None, None);
    if parser.scanner.take(b'[') {
        filter = Some(parser.brackets()?);
        if parser.scanner.take_here(b'.') {
            part = Some(parser.scanner.simple_name()?);
        }
    }
    parser.end()?;
    Ok(ValuePath { name, filter, part })
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    depth: usize,
    nodes: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, ScimError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(
                Reason::FilterTooLong.error(format!("A filter has {FILTER_BYTES_MAX} bytes at most."))
            );
        }
        Ok(Self { scanner: Scanner::new(text), depth: 0, nodes: 0 })
    }

    fn end(&mut self) -> Result<(), ScimError> {
        if self.scanner.is_done() {
            return Ok(());
        }
        Err(self.scanner.expected("and, or, or the end", self.scanner.rest()))
    }

    fn or(&mut self) -> Result<Filter, ScimError> {
        let mut any = vec![self.and()?];
        while self.scanner.take_word("or") {
            self.count()?;
            any.push(self.and()?);
        }
        Ok(one_or(any, Filter::Or))
    }

    /// `and` binds more than `or`.
    fn and(&mut self) -> Result<Filter, ScimError> {
        let mut all = vec![self.unit()?];
        while self.scanner.take_word("and") {
            self.count()?;
            all.push(self.unit()?);
        }
        Ok(one_or(all, Filter::And))
    }

    fn unit(&mut self) -> Result<Filter, ScimError> {
        self.count()?;
        if self.scanner.take(b'(') {
            return self.parentheses();
        }
        let name = self.scanner.name()?;
        if name.eq_ignore_ascii_case("not") && self.scanner.take(b'(') {
            return Ok(Filter::Not(Box::new(self.parentheses()?)));
        }
        if self.scanner.take(b'[') {
            return self.element(name);
        }
        self.test(name)
    }

    /// What follows a name: `pr`, or an operator and a value.
    fn test(&mut self, name: &str) -> Result<Filter, ScimError> {
        let before = self.scanner.rest();
        let word = self.scanner.letters();
        if word.is_empty() {
            return Err(self.scanner.expected("an operator", before));
        }
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(name.to_owned()));
        }
        let operator = Operator::parse(word)
            .ok_or_else(|| Reason::FilterOperator.error(format!("There is no operator {}.", quoted(word))))?;
        Ok(Filter::Compare { name: name.to_owned(), operator, literal: self.scanner.literal()? })
    }

    fn element(&mut self, name: &str) -> Result<Filter, ScimError> {
        let filter = Box::new(self.brackets()?);
        let mut then = None;
        if self.scanner.take_here(b'.') {
            self.count()?;
            let part = self.scanner.simple_name()?;
            then = Some(Box::new(self.test(part)?));
        }
        Ok(Filter::Element { name: name.to_owned(), filter, then })
    }

    /// What is between brackets, the first of which was taken.
    fn brackets(&mut self) -> Result<Filter, ScimError> {
        self.nested(b']', "]")
    }

    fn parentheses(&mut self) -> Result<Filter, ScimError> {
        self.nested(b')', ")")
    }

    fn nested(&mut self, closing: u8, name: &str) -> Result<Filter, ScimError> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(
                Reason::FilterTooDeep.error(format!("A filter nests {FILTER_DEPTH_MAX} deep at most."))
            );
        }
        let filter = self.or()?;
        if !self.scanner.take(closing) {
            return Err(self.scanner.expected(name, self.scanner.rest()));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn count(&mut self) -> Result<(), ScimError> {
        self.nodes += 1;
        if self.nodes > FILTER_NODES_MAX {
            return Err(
                Reason::FilterTooLarge.error(format!("A filter has {FILTER_NODES_MAX} parts at most."))
            );
        }
        Ok(())
    }
}

fn one_or(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => {
            filters.extend(last);
            join(filters)
        }
    }
}
