//! Lists and searches (RFC 7644 3.4.2 and 3.4.3, RFC 9865).
//!
//! Where an index answers the filter, only what it finds is looked at; where none does, a bounded number of resources is, and
//! then the client is told `tooMany`. Without a filter and an order a page comes from the store as one.
use http::{Method, StatusCode};

use super::{
    answer::Answer,
    call::Call,
    place::Base,
    position::{Place, Position},
    refusal::{Code, Refusal},
    stream::{Piece, Pieces},
};
use crate::{
    directory::scim::{GroupLookup, ScimFrom, ScimGroupView, ScimPlace, ScimUserView, UserLookup},
    domain::ScimId,
    scim::{
        Binding, BoundFilter, CursorKey, Document, Key, ListResponse, Lookup, Members, Node, Projection,
        Reason, ResourceType, Search, Start, limits,
    },
};

/// Members of groups in one answer: about 8 MB. What is beyond goes to the next page, but for the first group.
const PAGE_MEMBERS_MAX: u64 = 50_000;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    Users,
    Groups,
    All,
}

/// A resource that was found, with its place among all.
enum Found {
    User(ScimPlace, Document),
    Group(ScimGroupView, Document),
}

/// Part of a list.
struct Part {
    total: usize,
    found: Vec<Found>,
    /// Where the next page begins, if there is one.
    next: Option<Position>,
}

impl Kinds {
    /// What a cursor is bound to: at a base without groups all are users, and the endpoints are still two.
    fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
            Self::All => "",
        }
    }

    fn list(self, base: &Base) -> &'static [ResourceType] {
        match (self, base.has_groups()) {
            (Self::Users, _) | (Self::All, false) => &[ResourceType::User],
            (Self::Groups, _) => &[ResourceType::Group],
            (Self::All, true) => ResourceType::ALL,
        }
    }
}

impl Call<'_> {
    /// Answers a page.
    pub(super) async fn list(&self, of: Kinds) -> Result<Answer, Refusal> {
        let kinds = of.list(self.base);
        let search = self.search(kinds)?;
        let from = self.position(&search, of)?;
        let Part { total, mut found, mut next } = self.part(&search, kinds, from).await?;
        let fitting = self.fitting(&found, &search.projection).await?;
        if fitting < found.len() {
            found.truncate(fitting);
            next = match (&search.sort, from, found.last()) {
                (None, _, Some(last)) => Some(Position::Behind(last.place())),
                (_, Position::Number(number), _) => Some(Position::Number(number + fitting)),
                (_, Position::Behind(_), _) => None,
            };
        }
        let start = match &search.page.start {
            Start::Index(start) => Some((*start).max(1)),
            Start::First | Start::Cursor(_) => None,
        };
        let list = ListResponse {
            total_results: total,
            start_index: start,
            items_per_page: found.len(),
            next_cursor: next.filter(|_| start.is_none()).map(|next| self.cursor(&search, of, next)),
            previous_cursor: None,
        };
        let mut pieces = vec![Piece::Bytes(list.open().into())];
        for (at, found) in found.into_iter().enumerate() {
            if at > 0 {
                pieces.push(Piece::Bytes(",".into()));
            }
            match found {
                Found::User(_, document) => {
                    let json = search.projection.apply(document).to_json();
                    pieces.push(Piece::Bytes(json.into()));
                }
                Found::Group(view, _) => pieces.extend(self.group_pieces(&search.projection, &view)),
            }
        }
        pieces.push(Piece::Bytes("]}".into()));
        Ok(Answer::written(StatusCode::OK, Pieces::new(self.source(), pieces).begin().await?))
    }

    /// By POST a query is a body, and whatever the URL says is not looked at (RFC 7644 3.4.3).
    fn search(&self, kinds: &[ResourceType]) -> Result<Search, Refusal> {
        if self.asked.method == Method::POST {
            let body = Node::parse_object(&self.body, limits::USER_BODY_BYTES_MAX)?;
            return Ok(Search::of_body(&body, kinds)?);
        }
        let pairs = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Search::of_query(pairs, kinds)?)
    }

    /// Where the page begins.
    fn position(&self, search: &Search, of: Kinds) -> Result<Position, Refusal> {
        match &search.page.start {
            Start::Index(start) => Ok(Position::Number(start.saturating_sub(1))),
            Start::First => Ok(Position::Number(0)),
            Start::Cursor(cursor) => {
                let position =
                    self.bound(search, of, |key, binding| key.open(binding, cursor, self.asked.now))?;
                Ok(Position::from_bytes(&position)?)
            }
        }
    }

    fn cursor(&self, search: &Search, of: Kinds, next: Position) -> String {
        let position = next.to_bytes();
        self.bound(search, of, |key, binding| key.seal(binding, &position, self.asked.now))
    }

    /// A cursor is for one endpoint, one token and one query. Its key is the token's, which nobody outside knows.
    fn bound<T>(&self, search: &Search, of: Kinds, with: impl FnOnce(&CursorKey, &Binding<'_>) -> T) -> T {
        let endpoint = format!("{}/{}", self.asked.base_url, of.name());
        let (endpoint, token) = (endpoint.as_bytes(), self.token.token.id);
        let binding = Binding { endpoint, token: token.as_bytes(), query: search.hash() };
        with(&CursorKey::from_bytes(self.token.token.cursor_key), &binding)
    }

    /// How many of a page's resources go into one answer: all, or as many as have not too many members together; one at least.
    async fn fitting(&self, found: &[Found], projection: &Projection) -> Result<usize, Refusal> {
        if !projection.wants(ResourceType::Group, "members") {
            return Ok(found.len());
        }
        let mut members = 0_u64;
        for (at, found) in found.iter().enumerate() {
            let Found::Group(view, _) = found else { continue };
            let size = self.scim.directory.scim_group_size(&self.directed(), view.group.id).await?;
            members = members.saturating_add(size);
            if at > 0 && members > PAGE_MEMBERS_MAX {
                return Ok(at);
            }
        }
        Ok(found.len())
    }

    async fn part(&self, search: &Search, kinds: &[ResourceType], from: Position) -> Result<Part, Refusal> {
        let count = search.page.count;
        if let ([kind], None, None) = (kinds, &search.filter, &search.sort) {
            return self.page(*kind, from, count).await;
        }
        let mut all = vec![];
        for kind in kinds {
            // What only the other type has matches nothing, and is no error; what is wrong is wrong for all.
            let filter = search.filter.as_ref().map(|filter| filter.bind(*kind)).transpose()?;
            all.extend(match kind {
                ResourceType::User => self.find_users(filter.as_ref()).await?,
                ResourceType::Group => self.find_groups(filter.as_ref()).await?,
            });
        }
        if let Some(sort) = &search.sort {
            all.sort_by(|one, other| sort.compare(one.document(), other.document()));
        }
        let total = all.len();
        let start = from.index(all.iter().map(Found::place));
        let found: Vec<Found> = all.into_iter().skip(start).take(count).collect();
        let end = start.saturating_add(found.len());
        let next = found.last().filter(|_| end < total).map(|last| match search.sort {
            None => Position::Behind(last.place()),
            Some(_) => Position::Number(end),
        });
        Ok(Part { total, found, next })
    }

    /// A page of everything, in the order of creation.
    async fn page(&self, kind: ResourceType, from: Position, count: usize) -> Result<Part, Refusal> {
        let (directory, call) = (&self.scim.directory, self.directed());
        let from = match from {
            Position::Number(number) => ScimFrom::Number(number as u64),
            // A cursor is bound to its query, and so to the type.
            Position::Behind(place) => {
                ScimFrom::Behind(place.within(kind).ok_or_else(|| Reason::CursorInvalid.bare())?)
            }
        };
        let (total, found, next) = match kind {
            ResourceType::User => {
                let page = directory.scim_users_page(&call, from, count).await?;
                (page.total, page.resources.iter().map(|view| self.found_user(view)).collect(), page.next)
            }
            ResourceType::Group => {
                let page = directory.scim_groups_page(&call, from, count).await?;
                let found = page.resources.into_iter().map(|view| self.found_group(view, &[])).collect();
                (page.total, found, page.next)
            }
        };
        let next = next.map(|place| Position::Behind(Place::new(kind, place)));
        Ok(Part { total: usize::try_from(total).unwrap_or(usize::MAX), found, next })
    }

    /// The users that a filter lets pass, in the order of creation.
    async fn find_users(&self, filter: Option<&BoundFilter>) -> Result<Vec<Found>, Refusal> {
        let (directory, call) = (&self.scim.directory, self.directed());
        let passes = |document: &Document| filter.is_none_or(|filter| filter.matches(document));
        let views = match keys(filter) {
            None => directory.scan_scim_users(&call, |view| passes(&self.user_document(view))).await?,
            Some(keys) => {
                let mut views = vec![];
                for key in &keys {
                    let lookup = match key {
                        Key::Id(id) => UserLookup::Id(*id),
                        Key::UserName(name) => UserLookup::UserName(name),
                        Key::ExternalId(id) => UserLookup::ExternalId(id),
                        Key::Email(email) => UserLookup::Email(email),
                        Key::Member(group) => UserLookup::Group(*group),
                        // Not of users, or not asked for here.
                        Key::DisplayName(_) | Key::Modified { .. } => continue,
                    };
                    views.extend(directory.find_scim_users(&call, lookup).await?);
                }
                views.sort_by_key(|view| (view.user.created_at, view.user.id));
                views.dedup_by_key(|view| view.user.id);
                views
            }
        };
        let found = views.iter().map(|view| self.found_user(view));
        Ok(found.filter(|found| passes(found.document())).collect())
    }

    /// The groups that a filter lets pass, in the order of creation.
    async fn find_groups(&self, filter: Option<&BoundFilter>) -> Result<Vec<Found>, Refusal> {
        let (directory, call) = (&self.scim.directory, self.directed());
        let named = self.named_members(filter).await?;
        let document = |view: &ScimGroupView| self.group_document(view, &named.of(view.group.id));
        let passes = |document: &Document| filter.is_none_or(|filter| filter.matches(document));
        let views = match keys(filter) {
            None => directory.scan_scim_groups(&call, |view| passes(&document(view))).await?,
            Some(keys) => {
                let mut views = vec![];
                for key in &keys {
                    let lookup = match key {
                        Key::Id(id) => GroupLookup::Id(*id),
                        Key::DisplayName(name) => GroupLookup::DisplayName(name),
                        Key::ExternalId(id) => GroupLookup::ExternalId(id),
                        Key::Member(user) => GroupLookup::Member(*user),
                        Key::UserName(_) | Key::Email(_) | Key::Modified { .. } => continue,
                    };
                    views.extend(directory.find_scim_groups(&call, lookup).await?);
                }
                views.sort_by_key(|view| (view.group.created_at, view.group.id));
                views.dedup_by_key(|view| view.group.id);
                views
            }
        };
        let found = views.into_iter().map(|view| {
            let document = document(&view);
            Found::Group(view, document)
        });
        Ok(found.filter(|found| passes(found.document())).collect())
    }

    /// Who of those that a filter names is in which groups: all that is ever asked about the members of a group.
    async fn named_members(&self, filter: Option<&BoundFilter>) -> Result<Named, Refusal> {
        let ids = match filter.map_or(Members::None, BoundFilter::members) {
            Members::None => return Ok(Named(vec![])),
            Members::Named(ids) => ids,
            // Whether a group has any, or what theirs begin with, takes reading all of them.
            Members::All => return Err(Code::MembersUnsearchable.into()),
        };
        let mut named = vec![];
        for id in ids {
            let groups =
                self.scim.directory.find_scim_groups(&self.directed(), GroupLookup::Member(id)).await?;
            named.extend(groups.into_iter().map(|view| (view.group.id, id)));
        }
        Ok(Named(named))
    }

    fn found_user(&self, view: &ScimUserView) -> Found {
        Found::User(ScimPlace::of(view.user.created_at, view.user.id), self.user_document(view))
    }

    fn found_group(&self, view: ScimGroupView, members: &[ScimId]) -> Found {
        let document = self.group_document(&view, members);
        Found::Group(view, document)
    }
}

impl Found {
    fn document(&self) -> &Document {
        match self {
            Self::User(_, document) | Self::Group(_, document) => document,
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::User(place, _) => Place::new(ResourceType::User, *place),
            Self::Group(view, _) => {
                Place::new(ResourceType::Group, ScimPlace::of(view.group.created_at, view.group.id))
            }
        }
    }
}

/// Groups, each with a member.
struct Named(Vec<(ScimId, ScimId)>);

impl Named {
    fn of(&self, group: ScimId) -> Vec<ScimId> {
        self.0.iter().filter(|(of, _)| *of == group).map(|(_, member)| *member).collect()
    }
}

/// The keys that everything lies under that can pass; `None` where all is to be looked at.
fn keys(filter: Option<&BoundFilter>) -> Option<Vec<Key>> {
    match filter?.lookup() {
        Lookup::Nothing => Some(vec![]),
        // Nothing is kept in the order of its changes.
        Lookup::Keys(keys) => (!keys.iter().any(|key| matches!(key, Key::Modified { .. }))).then_some(keys),
        Lookup::Scan => None,
    }
}
