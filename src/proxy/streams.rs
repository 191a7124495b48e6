//! Exchanges that are still under way, by whose they are: who has lost what let the request in is cut off (L-10, V-16).
//!
//! An upload is listed while it waits, and a response when it first has to wait for its origin server, or has become long, so
//! that the many short ones that come at once cost nothing.
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    task::Waker,
};

use crate::domain::{CallerId, OrganizationSlug, PersonId};

/// One worker's exchanges that are under way. Clones list the same ones.
#[derive(Clone, Default)]
pub struct Streams(Rc<Inner>);

/// Whose an exchange is, and what let the request in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub caller: CallerId,
    pub person: PersonId,
    /// Membership in one of these; none is needed if there are none.
    pub organizations: Vec<OrganizationSlug>,
}

#[derive(Default)]
struct Inner {
    next: Cell<u64>,
    listed: RefCell<BTreeMap<u64, Listed>>,
}

struct Listed {
    recipient: Rc<Recipient>,
    is_cut: bool,
    waker: Waker,
}

impl Streams {
    /// A place for an exchange of theirs, not listed yet.
    pub fn watch(&self, recipient: Recipient) -> Watch {
        Watch { streams: self.clone(), recipient: Rc::new(recipient), id: None }
    }

    /// Those who have exchanges under way and are asked for.
    pub fn callers(&self, wanted: impl Fn(&Recipient) -> bool) -> BTreeSet<CallerId> {
        let listed = self.0.listed.borrow();
        let recipients = listed.values().map(|listed| &*listed.recipient);
        recipients.filter(|recipient| wanted(recipient)).map(|recipient| recipient.caller).collect()
    }

    /// Breaks off the exchanges whose recipient may have them no more.
    pub fn cut(&self, is_over: impl Fn(&Recipient) -> bool) {
        for listed in self.0.listed.borrow_mut().values_mut() {
            if !listed.is_cut && is_over(&listed.recipient) {
                listed.is_cut = true;
                listed.waker.wake_by_ref();
            }
        }
    }
}

/// One exchange's place among them, given up when its response ends.
pub struct Watch {
    streams: Streams,
    recipient: Rc<Recipient>,
    id: Option<u64>,
}

impl Watch {
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(super) fn is_cut(&self) -> bool {
        let Some(id) = self.id else { return false };
        self.streams.0.listed.borrow().get(&id).is_some_and(|listed| listed.is_cut)
    }

    pub(super) fn is_listed(&self) -> bool {
        self.id.is_some()
    }

    /// It goes on for a while; `waker` makes it look again.
    pub(super) fn list(&mut self, waker: &Waker) {
        let inner = &self.streams.0;
        let id = *self.id.get_or_insert_with(|| {
            inner.next.set(inner.next.get().wrapping_add(1));
            inner.next.get()
        });
        let new = || Listed { recipient: self.recipient.clone(), is_cut: false, waker: waker.clone() };
        inner.listed.borrow_mut().entry(id).or_insert_with(new).waker.clone_from(waker);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.streams.0.listed.borrow_mut().remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;

    #[test]
    fn l_10_only_the_responses_of_those_who_may_no_more_are_cut() {
        let streams = Streams::default();
        let caller = |n| CallerId::Session(SessionId::from_bytes([n; 32]));
        let recipient =
            |n| Recipient { caller: caller(n), person: PersonId::from_bytes([n; 16]), organizations: vec![] };
        let mut watches = [1, 1, 2].map(|n| streams.watch(recipient(n)));
        let callers = || streams.callers(|_| true);
        assert!(callers().is_empty(), "nothing waits yet");
        watches.iter_mut().for_each(|watch| watch.list(Waker::noop()));
        watches.iter_mut().for_each(|watch| watch.list(Waker::noop()));
        assert_eq!(callers(), BTreeSet::from([caller(1), caller(2)]));
        let second = |recipient: &Recipient| recipient.person == PersonId::from_bytes([2; 16]);
        assert_eq!(streams.callers(second), BTreeSet::from([caller(2)]));
        streams.cut(|recipient| [caller(1), caller(3)].contains(&recipient.caller));
        assert_eq!(watches.each_ref().map(Watch::is_cut), [true, true, false]);
        let [first, second, third] = watches;
        drop((first, second));
        assert_eq!(callers(), BTreeSet::from([caller(2)]));
        drop(third);
        assert!(callers().is_empty());
    }
}
