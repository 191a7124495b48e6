//! A second opinion on the strict grammar of filters: the crate `scim_v2`, made from the RFC by somebody else.
use proptest::{collection::vec, prelude::*, sample::select};
use scim_v2::filter::{self as other, AttrExp, CompValue, CompareOp, ValFilter};

use crate::scim::{
    Filter,
    filter::{Literal, Operator},
};

fn read_by_other(text: &str) -> Option<Filter> {
    text.parse::<other::Filter>().ok().map(|filter| of_filter(&filter))
}

fn of_filter(filter: &other::Filter) -> Filter {
    match filter {
        other::Filter::Attr(test) => of_test(test),
        other::Filter::ValuePath(path) => Filter::Element {
            name: path.attr.to_string(),
            filter: Box::new(of_element(&path.filter)),
            then: None,
        },
        other::Filter::Not(filter) => Filter::Not(Box::new(of_filter(filter))),
        other::Filter::And(all) => Filter::And(all.as_slice().iter().map(of_filter).collect()),
        other::Filter::Or(any) => Filter::Or(any.as_slice().iter().map(of_filter).collect()),
    }
}

fn of_element(filter: &ValFilter) -> Filter {
    match filter {
        ValFilter::Attr(test) => of_test(test),
        ValFilter::Not(filter) => Filter::Not(Box::new(of_element(filter))),
        ValFilter::And(all) => Filter::And(all.as_slice().iter().map(of_element).collect()),
        ValFilter::Or(any) => Filter::Or(any.as_slice().iter().map(of_element).collect()),
    }
}

fn of_test(test: &AttrExp) -> Filter {
    match test {
        AttrExp::Present(name) => Filter::Present(name.to_string()),
        AttrExp::Comparison(name, operator, value) => {
            let operator = match operator {
                CompareOp::Eq => Operator::Equal,
                CompareOp::Ne => Operator::NotEqual,
                CompareOp::Co => Operator::Contains,
                CompareOp::Sw => Operator::StartsWith,
                CompareOp::Ew => Operator::EndsWith,
                CompareOp::Gt => Operator::Greater,
                CompareOp::Ge => Operator::GreaterOrEqual,
                CompareOp::Lt => Operator::Less,
                CompareOp::Le => Operator::LessOrEqual,
            };
            let literal = match value {
                CompValue::False => Literal::Bool(false),
                CompValue::True => Literal::Bool(true),
                CompValue::Null => Literal::Null,
                CompValue::Number(number) => Literal::Text(number.to_string()),
                CompValue::Str(text) => Literal::Text(text.clone()),
            };
            Filter::Compare { name: name.to_string(), operator, literal }
        }
    }
}

/// `a and (b and c)` means what `a and b and c` does.
fn flat(filter: Filter) -> Filter {
    let all = |filters: Vec<Filter>, is_and: bool| {
        let flat = filters.into_iter().map(flat).flat_map(|filter| match filter {
            Filter::And(inner) if is_and => inner,
            Filter::Or(inner) if !is_and => inner,
            other => vec![other],
        });
        flat.collect()
    };
    match filter {
        Filter::And(filters) => Filter::And(all(filters, true)),
        Filter::Or(filters) => Filter::Or(all(filters, false)),
        Filter::Not(filter) => Filter::Not(Box::new(flat(*filter))),
        Filter::Element { name, filter, then } => {
            Filter::Element { name, filter: Box::new(flat(*filter)), then }
        }
        test => test,
    }
}

fn strict_test(names: &'static [&'static str]) -> impl Strategy<Value = Filter> {
    let literal = prop_oneof![
        any::<String>().prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
    ];
    let name = select(names).prop_map(str::to_owned);
    prop_oneof![
        name.clone().prop_map(Filter::Present),
        (name, select(Operator::ALL), literal).prop_map(|(name, operator, literal)| Filter::Compare {
            name,
            operator,
            literal
        }),
    ]
}

fn joined(inner: impl Strategy<Value = Filter> + Clone + 'static) -> impl Strategy<Value = Filter> {
    prop_oneof![
        vec(inner.clone(), 2..4).prop_map(Filter::And),
        vec(inner.clone(), 2..4).prop_map(Filter::Or),
        inner.prop_map(|filter| Filter::Not(Box::new(filter))),
    ]
}

fn strict_filter() -> impl Strategy<Value = Filter> {
    const NAMES: &[&str] =
        &["userName", "x-y_1", "emails.value", "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName"];
    let element = strict_test(&["value", "type", "primary"]).prop_recursive(3, 10, 3, joined);
    let element = (select(&["emails", "members"][..]), element).prop_map(|(name, filter)| Filter::Element {
        name: name.into(),
        filter: Box::new(filter),
        then: None,
    });
    prop_oneof![2 => strict_test(NAMES), 1 => element].prop_recursive(4, 30, 3, joined)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v_04_others_read_what_we_write(filter in strict_filter()) {
        let text = filter.to_string();
        prop_assume!(Filter::parse(&text).is_ok());
        prop_assert_eq!(read_by_other(&text).map(flat), Some(flat(filter)), "{}", text);
    }

    /// What follows the grammar is a filter to us, and the same one.
    #[test]
    fn v_04_we_read_what_others_read(words in vec(select(vec![
        "a", "b.c", "urn:x:y:z", "eq", "SW", "pr", "pr", "and", "Or", "not", "(", ")", "(", ")", "[", "]", "\"x\"", "true", "null", "7", "a eq 7",
        "a eq \"\\u0041\\\"\"", "b[c pr]",
    ]), 1..12)) {
        let text = words.join(" ");
        if let Some(filter) = read_by_other(&text) {
            prop_assert_eq!(Filter::parse(&text).map(flat), Ok(flat(filter)), "{}", text);
        }
    }
}
