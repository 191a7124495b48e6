//! Responses that are still on their way, by session: whose session has ended is cut off (L-10).
//!
//! A response is listed when it first has to wait for its origin server, so that the many that come at once cost nothing.
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    task::Waker,
};

use crate::domain::SessionId;

/// One worker's responses that wait for more. Clones list the same ones.
#[derive(Clone, Default)]
pub struct Streams(Rc<Inner>);

#[derive(Default)]
struct Inner {
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waiting>>,
}

struct Waiting {
    session: SessionId,
    is_cut: bool,
    waker: Waker,
}

impl Streams {
    /// The sessions that have responses under way.
    pub fn sessions(&self) -> BTreeSet<SessionId> {
        self.0.waiting.borrow().values().map(|waiting| waiting.session).collect()
    }

    /// Breaks off the responses of sessions that have ended.
    pub fn cut(&self, ended: &BTreeSet<SessionId>) {
        for waiting in self.0.waiting.borrow_mut().values_mut() {
            if ended.contains(&waiting.session) {
                waiting.is_cut = true;
                waiting.waker.wake_by_ref();
            }
        }
    }
}

/// One response's place among them, given up when the response ends.
pub(super) struct Watch {
    streams: Streams,
    session: SessionId,
    id: Option<u64>,
}

impl Watch {
    pub fn new(streams: &Streams, session: SessionId) -> Self {
        Self { streams: streams.clone(), session, id: None }
    }

    pub fn is_cut(&self) -> bool {
        let Some(id) = self.id else { return false };
        self.streams.0.waiting.borrow().get(&id).is_some_and(|waiting| waiting.is_cut)
    }

    /// The response waits; `waker` makes it look again.
    pub fn wait(&mut self, waker: &Waker) {
        let inner = &self.streams.0;
        let id = *self.id.get_or_insert_with(|| {
            inner.next.set(inner.next.get().wrapping_add(1));
            inner.next.get()
        });
        let new = || Waiting { session: self.session, is_cut: false, waker: waker.clone() };
        inner.waiting.borrow_mut().entry(id).or_insert_with(new).waker.clone_from(waker);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.streams.0.waiting.borrow_mut().remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_10_only_the_responses_of_ended_sessions_are_cut() {
        let streams = Streams::default();
        let session = |n| SessionId::from_bytes([n; 32]);
        let mut watches = [1, 1, 2].map(|n| Watch::new(&streams, session(n)));
        assert!(streams.sessions().is_empty(), "nothing waits yet");
        watches.iter_mut().for_each(|watch| watch.wait(Waker::noop()));
        watches.iter_mut().for_each(|watch| watch.wait(Waker::noop()));
        assert_eq!(streams.sessions(), BTreeSet::from([session(1), session(2)]));
        streams.cut(&BTreeSet::from([session(1), session(3)]));
        assert_eq!(watches.each_ref().map(Watch::is_cut), [true, true, false]);
        let [first, second, third] = watches;
        drop((first, second));
        assert_eq!(streams.sessions(), BTreeSet::from([session(2)]));
        drop(third);
        assert!(streams.sessions().is_empty());
    }
}
