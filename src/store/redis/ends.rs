//! Where streams end, as far as this process can tell: a link that we computed ourselves need not be computed in Lua, where a
//! SHA-256 takes a server that does one thing at a time as long as thirty small commands.
//!
//! A guess goes along with each append: the end that we expect, and the links that follow from it. The server takes the links
//! if the end is as we thought; otherwise it computes its own, and says where the stream ends now. A guess is never trusted
//! for anything else, so a wrong one costs time and nothing more.
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use ::redis::{RedisError, Value};

use super::answers;
use crate::store::{
    Key,
    stream::{self, Link},
};

/// Appends of one stream whose answers are still to come. Who asked and went away leaves one behind, until a later answer shows
/// that it is over; beyond this number everything is forgotten and learnt anew.
const UNDER_WAY_MAX: usize = 1_024;

/// What goes along with a value.
pub(super) struct Seal {
    /// SHA-256 of the value.
    pub digest: [u8; 32],
    /// `None` where nothing is known.
    pub place: Option<Place>,
}

/// Where an entry comes to stand if the guess is right.
pub(super) struct Place {
    pub before: Link,
    pub sequence: u64,
    pub link: Link,
}

impl Seal {
    /// For `commit.lua`: the value's SHA-256, the link before it, its sequence in 16 digits, its link; zeros where nothing is
    /// known.
    pub fn encode(&self) -> Vec<u8> {
        match &self.place {
            Some(Place { before, sequence, link }) => {
                [&self.digest[..], before, format!("{sequence:016}").as_bytes(), link].concat()
            }
            None => [&self.digest[..], &[0; 32], &[b'0'; 16], &[0; 32]].concat(),
        }
    }
}

/// A guess that is on its way.
pub(super) struct Guess {
    ticket: u64,
    /// Where the stream ends if it is right.
    end: Option<End>,
    /// One for each value.
    pub seals: Vec<Seal>,
}

type End = (u64, Link);

#[derive(Default)]
pub(super) struct Ends(Mutex<HashMap<Key, Stream>>);

#[derive(Default)]
struct Stream {
    tickets: u64,
    /// The end after the command of this ticket, as the server said.
    known: Option<(u64, End)>,
    /// What was sent after that, in order.
    under_way: VecDeque<(u64, Vec<[u8; 32]>)>,
    /// The end after all of them.
    expected: Option<End>,
}

impl Ends {
    /// For appends of `values` to a stream by one command, which is sent next.
    pub fn guess<'v>(&self, key: Key, values: impl Iterator<Item = &'v [u8]>) -> Guess {
        let digests: Vec<[u8; 32]> = values.map(stream::digest).collect();
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = streams.entry(key).or_default();
        if stream.under_way.len() >= UNDER_WAY_MAX {
            *stream = Stream { tickets: stream.tickets, ..Stream::default() };
        }
        stream.tickets += 1;
        let mut end = stream.expected;
        let seals = digests.iter().map(|digest| seal(digest, &mut end)).collect();
        stream.expected = end;
        stream.under_way.push_back((stream.tickets, digests));
        Guess { ticket: stream.tickets, end, seals }
    }

    /// Learns from the answer to a guess; `None` where there was none.
    pub fn settle(&self, key: Key, guess: &Guess, answer: Option<&Result<Value, RedisError>>) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = streams.get_mut(&key) else { return };
        let said = match answer {
            Some(Ok(Value::Int(1))) => guess.end,
            Some(Ok(moved)) => answers::moved(moved),
            Some(Err(_)) | None => None,
        };
        match said {
            // One connection, one order: what was sent before is contained in it.
            Some(end) if stream.known.is_none_or(|(ticket, _)| ticket < guess.ticket) => {
                if has_forgotten(stream.known, end) {
                    tracing::error!(
                        stream = key.text(),
                        "Redis has lost entries of the audit stream that it had acknowledged, and perhaps changes with them: \
                         it was restarted from older data, or a failover lost writes"
                    );
                }
                let is_as_guessed = guess.end == Some(end);
                stream.known = Some((guess.ticket, end));
                stream.under_way.retain(|(ticket, _)| *ticket > guess.ticket);
                if !is_as_guessed {
                    stream.expect_anew();
                }
            }
            Some(_) => {}
            None => {
                stream.under_way.retain(|(ticket, _)| *ticket != guess.ticket);
                stream.expect_anew();
            }
        }
    }
}

impl Stream {
    fn expect_anew(&mut self) {
        let mut end = self.known.map(|(_, end)| end);
        for digest in self.under_way.iter().flat_map(|(_, digests)| digests) {
            let _ = seal(digest, &mut end);
        }
        self.expected = end;
    }
}

/// R-10 (c): a stream that ends, after another append, where it ended before, or earlier, is not what it was.
fn has_forgotten(known: Option<(u64, End)>, (end, _): End) -> bool {
    known.is_some_and(|(_, (before, _))| end <= before)
}

/// Moves the end behind a value.
fn seal(digest: &[u8; 32], end: &mut Option<End>) -> Seal {
    let place = end.map(|(last, before)| Place {
        before,
        sequence: last + 1,
        link: stream::link_of_digest(&before, last + 1, digest),
    });
    *end = place.as_ref().map(|place| (place.sequence, place.link));
    Seal { digest: *digest, place }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::EnterpriseId,
        store::stream::{LINK_0, link},
    };

    const KEY: fn() -> Key = || Key::Audit(EnterpriseId::from_bytes([1; 16]));

    /// What commit.lua does; answers whether it had to compute.
    fn append(end: &mut End, seals: &[Seal]) -> Value {
        let mut moved = false;
        for seal in seals {
            let (last, before) = *end;
            let true_link = stream::link_of_digest(&before, last + 1, &seal.digest);
            match &seal.place {
                Some(place) if place.before == before && place.sequence == last + 1 => {
                    assert_eq!(place.link, true_link, "a guess that would be taken is right");
                }
                _ => moved = true,
            }
            *end = (last + 1, true_link);
        }
        if !moved {
            return Value::Int(1);
        }
        let last = Value::BulkString(end.0.to_string().into_bytes());
        Value::Array(vec![Value::Int(1), last, Value::BulkString(end.1.to_vec())])
    }

    fn guess(ends: &Ends, values: &[&[u8]]) -> Guess {
        ends.guess(KEY(), values.iter().copied())
    }

    #[test]
    fn after_the_first_answer_guesses_are_right() {
        let (ends, mut end) = (Ends::default(), (0, LINK_0));
        let first = guess(&ends, &[b"a"]);
        let answer = append(&mut end, &first.seals);
        assert_ne!(answer, Value::Int(1), "nothing was known");
        ends.settle(KEY(), &first, Some(&Ok(answer)));
        // Several under way at once, one of two values.
        let guesses: Vec<Guess> = (0..5).map(|_| guess(&ends, &[b"b", b"c"])).collect();
        for guess in &guesses {
            assert_eq!(append(&mut end, &guess.seals), Value::Int(1));
        }
        for guess in &guesses {
            ends.settle(KEY(), guess, Some(&Ok(Value::Int(1))));
        }
        assert_eq!(end.0, 11);
        assert_eq!(end.1, {
            let values = std::iter::once(&b"a"[..]).chain((0..5).flat_map(|_| [&b"b"[..], b"c"]));
            values.zip(1..).fold(LINK_0, |before, (value, sequence)| link(&before, sequence, value))
        });
    }

    #[test]
    fn r_10_a_stream_that_became_shorter_is_noticed() {
        let at = |last| (last, LINK_0);
        assert!(!has_forgotten(None, at(1)) && !has_forgotten(Some((1, at(7))), at(8)));
        assert!(has_forgotten(Some((1, at(7))), at(7)) && has_forgotten(Some((1, at(7))), at(1)));
    }

    #[test]
    fn what_is_left_behind_is_bounded() {
        let ends = Ends::default();
        (0..2 * UNDER_WAY_MAX).for_each(|_| drop(guess(&ends, &[b"a"])));
        assert!(ends.0.lock().unwrap()[&KEY()].under_way.len() <= UNDER_WAY_MAX);
    }

    proptest! {
        /// Others append in between, commands are not applied, answers are lost and come in another order: no guess that the
        /// server takes is ever wrong (`append` asserts it), and in quiet the next ones are right again.
        #[test]
        fn a_guess_is_right_or_not_taken(steps in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 0..60)) {
            let (ends, mut end) = (Ends::default(), (0, LINK_0));
            let mut open: Vec<(Guess, Option<Value>)> = vec![];
            for (step, index) in steps {
                match step {
                    0 | 1 => {
                        let guess = guess(&ends, &[b"x"]);
                        let answer = append(&mut end, &guess.seals);
                        open.push((guess, Some(answer)));
                    }
                    // Not applied.
                    2 => open.push((guess(&ends, &[b"y"]), None)),
                    // Another gateway.
                    3 => drop(append(&mut end, &guess(&Ends::default(), &[b"z"]).seals)),
                    _ if !open.is_empty() => {
                        let (guess, answer) = open.remove(index.index(open.len()));
                        let answer = answer.filter(|_| step == 4).map(Ok);
                        ends.settle(KEY(), &guess, answer.as_ref());
                    }
                    _ => {}
                }
            }
            for (guess, answer) in open {
                ends.settle(KEY(), &guess, answer.map(Ok).as_ref());
            }
            for is_learnt in [false, true] {
                let guess = guess(&ends, &[b"q"]);
                let answer = append(&mut end, &guess.seals);
                prop_assert!(!is_learnt || answer == Value::Int(1));
                ends.settle(KEY(), &guess, Some(&Ok(answer)));
            }
        }
    }
}
