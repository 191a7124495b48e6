//! What goes around resources: lists, searches, and several calls in one.
mod bulk;

use serde_json::Value;

pub use self::bulk::{Bulk, BulkAnswer, BulkCall, BulkMethod, BulkOperation, BulkResponse, BulkTarget};
use super::{
    Node,
    error::{Reason, ScimError},
    filter::Filter,
    paging::Page,
    projection::Projection,
    schema::ResourceType,
    sort::Sort,
};

const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// What goes around the resources of a page (RFC 7644 3.4.2, RFC 9865 2). A number that stands without quotation marks; a
/// member that is not said is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListResponse {
    /// How many there are on all pages.
    pub total_results: usize,
    /// From 1; pages by cursors have none.
    pub start_index: Option<usize>,
    pub items_per_page: usize,
    pub next_cursor: Option<String>,
    pub previous_cursor: Option<String>,
}

impl ListResponse {
    /// The beginning: the resources follow, with commas between them, and `]}`.
    pub fn open(&self) -> String {
        let mut json = format!("{{\"schemas\":[\"{LIST_SCHEMA}\"],\"totalResults\":{}", self.total_results);
        json.push_str(&format!(",\"itemsPerPage\":{}", self.items_per_page));
        if let Some(start) = self.start_index {
            json.push_str(&format!(",\"startIndex\":{start}"));
        }
        for (name, cursor) in [("nextCursor", &self.next_cursor), ("previousCursor", &self.previous_cursor)] {
            if let Some(cursor) = cursor {
                json.push_str(&format!(",\"{name}\":{}", Value::from(cursor.as_str())));
            }
        }
        json.push_str(",\"Resources\":[");
        json
    }

    /// All of it, around resources that are JSON already.
    pub fn json<T: AsRef<str>>(&self, resources: &[T]) -> String {
        let mut json = self.open();
        for (index, resource) in resources.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(resource.as_ref());
        }
        json.push_str("]}");
        json
    }
}

/// A query, by the parameters of a GET or the SearchRequest of a POST (RFC 7644 3.4.2 and 3.4.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    pub filter: Option<Filter>,
    pub sort: Option<Sort>,
    pub page: Page,
    pub projection: Projection,
}

impl Search {
    /// Reads parameters of a query that were decoded already. What there is not is ignored.
    pub fn of_query<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
        kinds: &[ResourceType],
    ) -> Result<Self, ScimError> {
        let pairs: Vec<_> = parameters.into_iter().collect();
        let get = |name: &str| parameter(pairs.iter().copied(), name);
        Ok(Self {
            filter: filter(get("filter")?)?,
            sort: Sort::parse(get("sortBy")?, get("sortOrder")?, kinds)?,
            page: Page::parse(get("startIndex")?, get("count")?, get("cursor")?)?,
            projection: Projection::parse(get("attributes")?, get("excludedAttributes")?)?,
        })
    }

    /// Reads the body of a POST to `.search`.
    pub fn of_body(body: &Node, kinds: &[ResourceType]) -> Result<Self, ScimError> {
        if !matches!(body, Node::Object(_)) {
            return Err(Reason::NotAnObject.bare());
        }
        let text = |name: &str| match body.get(name) {
            None | Some(Node::Null) => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text.to_string())),
            Some(Node::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Reason::ValueType.error(format!("{name} is a text or a number."))),
        };
        let [by, order, start, count, cursor] =
            ["sortBy", "sortOrder", "startIndex", "count", "cursor"].map(text);
        Ok(Self {
            filter: filter(text("filter")?.as_deref())?,
            sort: Sort::parse(by?.as_deref(), order?.as_deref(), kinds)?,
            page: Page::parse(start?.as_deref(), count?.as_deref(), cursor?.as_deref())?,
            projection: Projection::of_nodes(body.get("attributes"), body.get("excludedAttributes"))?,
        })
    }

    /// What a cursor is bound to: the query in one form, without where its page begins. A page may have another size.
    pub fn hash(&self) -> [u8; 32] {
        let filter = self.filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let (sort, projection) = (format!("{:?}", self.sort), format!("{:?}", self.projection));
        super::cursor::query_hash([
            ("filter", filter.as_str()),
            ("sort", sort.as_str()),
            ("projection", projection.as_str()),
        ])
    }
}

/// A parameter of a query, by its name in any case. Two are refused as two keys of a body are: the RFCs do not say which counts,
/// and lists have commas (RFC 7644 3.9).
pub fn parameter<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    name: &str,
) -> Result<Option<&'a str>, ScimError> {
    let mut values =
        parameters.into_iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Reason::ParameterRepeated.error(format!("The parameter {name} stands more than once."))),
    }
}

/// A filter of blanks is none.
fn filter(text: Option<&str>) -> Result<Option<Filter>, ScimError> {
    match text {
        Some(text) if !text.trim_ascii().is_empty() => Filter::parse(text).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_say_what_is_known() {
        let list =
            ListResponse { total_results: 2, start_index: Some(1), items_per_page: 2, ..Default::default() };
        assert_eq!(
            list.json(&["{}", "{}"]),
            format!(
                "{{\"schemas\":[\"{LIST_SCHEMA}\"],\"totalResults\":2,\"itemsPerPage\":2,\"startIndex\":1,\"Resources\":[{{}},{{}}]}}"
            )
        );
        let list = ListResponse { next_cursor: Some("a-b".into()), ..Default::default() };
        let json: Value = serde_json::from_str(&list.json::<&str>(&[])).unwrap();
        assert_eq!((&json["nextCursor"], json["Resources"].as_array().unwrap().len()), (&"a-b".into(), 0));
        assert!(json.get("startIndex").is_none() && json.get("previousCursor").is_none());
    }

    #[test]
    fn a_query_and_a_body_say_the_same() {
        let kinds = ResourceType::ALL;
        let query = [
            ("filter", "userName eq \"alice\""),
            ("aadOptscim062020", ""),
            ("startIndex", "3"),
            ("count", "7"),
            ("sortBy", "userName"),
            ("sortOrder", "descending"),
            ("attributes", "userName, emails.value"),
        ];
        let body = br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"Filter":"userName  EQ 'alice'",
            "startIndex":3,"count":"7","sortBy":"userName","sortOrder":"descending","attributes":["userName","emails.value"]}"#;
        let body = Node::parse_object(body, 1024).unwrap();
        let (one, other) = (Search::of_query(query, kinds).unwrap(), Search::of_body(&body, kinds).unwrap());
        assert_eq!(one, other);
        assert_eq!(one.hash(), other.hash());
        let mut elsewhere = one.clone();
        elsewhere.page = Page::parse(None, Some("9"), Some("")).unwrap();
        assert_eq!(elsewhere.hash(), one.hash());
        elsewhere.filter = Some(Filter::parse("userName eq \"bob\"").unwrap());
        assert_ne!(elsewhere.hash(), one.hash());
    }

    #[test]
    fn a_parameter_stands_once() {
        let code = |pairs: &[(&'static str, &'static str)]| {
            Search::of_query(pairs.iter().copied(), ResourceType::ALL).err().map(|error| error.code)
        };
        for name in [
            "filter",
            "sortBy",
            "sortOrder",
            "startIndex",
            "count",
            "cursor",
            "attributes",
            "excludedAttributes",
        ] {
            assert_eq!(code(&[(name, ""), (name, "")]), Some("scim_parameter_repeated"), "{name}");
        }
        assert_eq!(code(&[("COUNT", "1"), ("count", "1")]), Some("scim_parameter_repeated"));
        assert_eq!(code(&[("x", "1"), ("x", "2"), ("count", "1")]), None);
    }

    #[test]
    fn searches_of_another_shape_are_refused() {
        for (body, code) in [
            ("[]", "scim_not_an_object"),
            (r#"{"filter":{}}"#, "scim_value_type"),
            (r#"{"filter":"userName"}"#, "scim_filter_syntax"),
            (r#"{"attributes":[1]}"#, "scim_value_type"),
            (r#"{"attributes":["id"],"excludedAttributes":["emails"]}"#, "scim_attributes_both"),
            (r#"{"sortBy":"password"}"#, "scim_sort_invalid"),
            (r#"{"count":1.5}"#, "scim_page_invalid"),
        ] {
            let body = Node::parse(body.as_bytes(), 1024).unwrap();
            assert_eq!(Search::of_body(&body, ResourceType::ALL).unwrap_err().code, code, "{body:?}");
        }
    }
}
