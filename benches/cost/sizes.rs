//! How large one person, one membership, one session and one audit entry are in a store: so many are written one kind after the
//! other, through the trait that the gateway writes through, and the store is weighed in between.
use portcullis::store::{Commit, Key, Op, Write, records};
use redb::Database;

use super::{
    common::{Place, Store},
    seed::Town,
    world::IdpPlace,
};

pub const COUNT: usize = 20_000;
/// People of one commit.
const PEOPLE_PER_COMMIT: usize = 500;
/// Sessions and entries of one batch.
const PER_BATCH: usize = 200;
const MEMBERSHIPS_EACH: usize = 3;

/// Prints one line for each kind.
pub async fn report(store: Store, idp: &IdpPlace, count: usize) {
    let town = Town::new(idp, count);
    let place = Place::new(store);
    println!(
        "\n{} store: bytes for each of {count}, with the keys and the server's own tables",
        store.name()
    );
    let mut weighed = weigh(&place).await;
    for (what, kind, each) in [
        ("person without memberships", Kind::Person, 1),
        ("membership", Kind::Membership, MEMBERSHIPS_EACH),
        ("session with its list", Kind::Session, 1),
        ("audit entry", Kind::Entry, 1),
    ] {
        write(&place, &town, kind).await;
        let now = weigh(&place).await;
        println!("  {what:<30} {:>8.0}", (now - weighed) / (town.people * each) as f64);
        weighed = now;
    }
    let (person, session) = (records::encode_person(&town.person(town.people - 1, true)), town.session(1));
    println!(
        "  of which the values: person with three memberships {}, session {}, audit entry {}",
        person.len(),
        records::encode_session(&session).len(),
        town.told(1).len()
    );
}

/// Bytes of the store: Redis' memory, or the file without what is free in it.
async fn weigh(place: &Place) -> f64 {
    // Makes an empty file, and the server know our scripts, before the first thing is weighed.
    drop(place.open().await);
    if place.store == Store::Embedded {
        let mut database = Database::open(place.file()).expect("the embedded store's file");
        database.compact().expect("the file is compacted");
    }
    place.bytes()
}

#[derive(Clone, Copy)]
enum Kind {
    Person,
    Membership,
    Session,
    Entry,
}

async fn write(place: &Place, town: &Town, kind: Kind) {
    let store = place.open().await;
    let everybody: Vec<usize> = (0..town.people).collect();
    let size = if matches!(kind, Kind::Person | Kind::Membership) { PEOPLE_PER_COMMIT } else { PER_BATCH };
    for some in everybody.chunks(size) {
        let written = match kind {
            Kind::Person | Kind::Membership => {
                let writes = some.iter().flat_map(|n| person_writes(town, *n, kind)).collect();
                store.commit(Commit { expect: vec![], writes }).await.map(drop)
            }
            Kind::Session | Kind::Entry => {
                let ops = some.iter().flat_map(|n| ops(town, *n, kind)).collect();
                store.batch(town.now, ops).await.map(drop)
            }
        };
        written.expect("the store takes it");
    }
}

/// A person without memberships; or the same with three, listed where they belong.
fn person_writes(town: &Town, n: usize, kind: Kind) -> Vec<Write> {
    let is_member = matches!(kind, Kind::Membership);
    // Those who sign in and the owner have another number of memberships: everybody here is one of the rest.
    let n = n + super::acts::SIGNING_IN + 1;
    let person = town.person(n, is_member);
    let id = person.id.as_bytes().to_vec();
    let put = Write::Put(Key::Person(town.enterprise, person.id), records::encode_person(&person));
    let sets = if is_member { town.member_keys(n) } else { vec![Key::People(town.enterprise)] };
    std::iter::once(put).chain(sets.into_iter().map(|set| Write::Insert(set, id.clone()))).collect()
}

/// A session with its list, or an entry of the audit stream.
fn ops(town: &Town, n: usize, kind: Kind) -> Vec<Op> {
    if matches!(kind, Kind::Entry) {
        return vec![Op::Append(Key::Audit(town.enterprise), town.told(n))];
    }
    let session = town.session(n);
    let at = session.expires_at;
    let value = records::encode_session(&session);
    let set = town.session_list(&session);
    vec![
        Op::Put { key: Key::Session(session.id), value, expires_at: at },
        Op::Insert(set, records::encode_subject_session(session.id, at)),
        Op::Expire(set, at),
    ]
}
