//! Everything under `pc:`, walked by SCAN on each node, or written anew.
//!
//! SCAN shows every key that is there for the whole time, and some twice. The user needs `+scan +pttl` for it.
use std::{collections::HashSet, sync::Arc};

use ::redis::{Cmd, Value, cmd};

use super::{
    Redis, Servers, Step, answers,
    commands::{EXPIRY_MARGIN_MILLIS, kept_millis},
    errors::{corrupt_reply, error_or_lack, store_error},
    node::{Answers, Deadline, Leg, Node},
    unsure::Touched,
};
use crate::{
    domain::{Timestamp, hex},
    store::{
        BoxFuture, ENTRIES_PER_PAGE_MAX, Key, Kind, Store, StoreError,
        envelope::{self, Head},
        stream::{Link, digest},
        whole::{MEMBERS_PER_PIECE_MAX, Next, Piece, Visit, Whole, not_empty},
    },
};

/// Keys that one SCAN is asked for.
const KEYS_PER_SCAN: usize = 500;
/// Values that are read in one round trip.
const VALUES_PER_BATCH: usize = 128;
/// Pieces that are written in one round trip, and what they may weigh together.
const PIECES_PER_BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Where it stands which import is under way.
const IMPORT_KEY: &str = "pc:import";
/// What readiness checks write.
const READY_KEYS: [&str; 2] = ["pc:ready", "pc:{ready-"];

impl Whole for Redis {
    fn walk<'a>(&'a self, now: Timestamp, visit: &'a mut Visit<'a>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut seen = HashSet::new();
            for number in 0..self.nodes() {
                let mut cursor = "0".to_owned();
                loop {
                    let (next, keys) = self.scan(number, &cursor).await?;
                    let mut new = keys;
                    new.retain(|text| {
                        let is_ready = READY_KEYS.iter().any(|ready| text.starts_with(ready));
                        !is_ready && seen.insert(digest(text.as_bytes()))
                    });
                    for texts in new.chunks(VALUES_PER_BATCH) {
                        self.show(texts, now, visit).await?;
                    }
                    if next == "0" {
                        break;
                    }
                    cursor = next;
                }
            }
            Ok(())
        })
    }

    fn restore<'a>(
        &'a self,
        now: Timestamp,
        import: Link,
        next: &'a mut Next<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.begin(&hex(&import)).await?;
            let (mut steps, mut weight) = (vec![], 0);
            while let Some(piece) = next()? {
                let (commands, bytes) = commands(piece, now)?;
                weight += bytes;
                steps.extend(commands);
                if steps.len() >= PIECES_PER_BATCH_MAX || weight >= BATCH_BYTES_MAX {
                    self.write(std::mem::take(&mut steps)).await?;
                    weight = 0;
                }
            }
            self.write(steps).await?;
            let mut unlink = cmd("UNLINK");
            unlink.arg(IMPORT_KEY);
            self.write(vec![step(IMPORT_KEY.to_owned(), unlink)]).await
        })
    }
}

impl Redis {
    fn nodes(&self) -> usize {
        match &self.servers {
            Servers::One(_) => 1,
            Servers::Cluster(cluster) => cluster.primaries().len(),
        }
    }

    /// One page of a node's keys under `pc:`, and where the next one begins.
    async fn scan(&self, number: usize, cursor: &str) -> Result<(String, Vec<String>), StoreError> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("pc:*").arg("COUNT").arg(KEYS_PER_SCAN);
        let deadline = Deadline::within(self.timeout_millis_max);
        let mut said = match &self.servers {
            Servers::One(node) => node.run(Leg::free(scan), &|| None, deadline).await?,
            Servers::Cluster(cluster) => {
                let node: Arc<Node> = cluster.primaries().get(number).cloned().ok_or_else(corrupt_reply)?;
                node.run(Leg::free(scan), &|| None, deadline).await?
            }
        };
        let answer = said.pop().ok_or_else(corrupt_reply)?;
        let answer = answer.map_err(|error| error_or_lack(&error, "+scan +pttl"))?;
        let [cursor, keys]: [Value; 2] = answers::array(answer)?.try_into().map_err(|_| corrupt_reply())?;
        let text = |value| String::from_utf8(answers::bytes(value)?).map_err(|_| corrupt_reply());
        Ok((text(cursor)?, answers::array(keys)?.into_iter().map(text).collect::<Result<_, _>>()?))
    }

    /// Keys of one node: their values in one round trip, sets and streams one after the other.
    async fn show(&self, texts: &[String], now: Timestamp, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut values = vec![];
        for text in texts {
            if text == IMPORT_KEY {
                visit(foreign(text, "says that an import was begun and not finished"))?;
            } else if let Some(key) = Key::parse(text) {
                match key.kind() {
                    Kind::Record | Kind::Expiring | Kind::Tally => values.push(key),
                    Kind::Set => self.show_set(key, now, visit).await?,
                    Kind::Stream => self.show_stream(key, visit).await?,
                }
            } else if Key::parse_head(text).is_none() {
                visit(foreign(text, "is no key of ours"))?;
            }
        }
        let gets = values.iter().map(|key| {
            let mut get = cmd("GET");
            get.arg(key.text());
            Step { command: get, key: Some(key.text()), must_last: false, touched: Touched::default() }
        });
        for (key, said) in values.iter().zip(self.run_all(gets.collect()).await?) {
            match said.map_err(|error| store_error(&error))? {
                Value::Nil => {}
                stored => visit(value(*key, &answers::bytes(stored)?))?,
            }
        }
        Ok(())
    }

    async fn show_set(&self, key: Key, now: Timestamp, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let members = self.members(key, after, MEMBERS_PER_PIECE_MAX).await?;
            let is_last = members.len() < MEMBERS_PER_PIECE_MAX;
            after = members.last().cloned();
            if !members.is_empty() {
                visit(Piece::Members { key, members })?;
            }
            if is_last {
                break;
            }
        }
        let mut pttl = cmd("PTTL");
        pttl.arg(key.text());
        let left = self.ask(&key, pttl).await?.map_err(|error| error_or_lack(&error, "+scan +pttl"))?;
        match left {
            Value::Int(millis) if millis >= 0 => {
                let millis = envelope::millis(now).saturating_add(millis.unsigned_abs());
                visit(Piece::Until { key, at: envelope::at(millis.saturating_sub(EXPIRY_MARGIN_MILLIS)) })
            }
            Value::Int(_) => Ok(()),
            _ => Err(corrupt_reply()),
        }
    }

    async fn show_stream(&self, key: Key, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let head = self.stream_head(key).await?;
        visit(Piece::Head { key, head })?;
        let mut after = 0;
        loop {
            let page = self.entries(key, after, ENTRIES_PER_PAGE_MAX).await?;
            let Some(last) = page.last().map(|entry| entry.sequence) else { return Ok(()) };
            after = last;
            // What was appended meanwhile belongs to another head.
            for entry in page.into_iter().filter(|entry| entry.sequence <= head.last) {
                visit(Piece::Entry { key, entry })?;
            }
        }
    }

    /// Takes an empty store for this import, or one that the same import has begun to fill.
    async fn begin(&self, import: &str) -> Result<(), StoreError> {
        let mut get = cmd("GET");
        get.arg(IMPORT_KEY);
        let mut said = self.run_all(vec![step(IMPORT_KEY.to_owned(), get)]).await?;
        match said.pop().ok_or_else(corrupt_reply)?.map_err(|error| store_error(&error))? {
            Value::Nil => {}
            begun if answers::bytes(begun.clone())? == import.as_bytes() => return Ok(()),
            _ => {
                return Err(StoreError::Unavailable(
                    "another import of it was begun and not finished".into(),
                ));
            }
        }
        for number in 0..self.nodes() {
            let mut cursor = "0".to_owned();
            loop {
                let (next, keys) = self.scan(number, &cursor).await?;
                if keys.iter().any(|text| !READY_KEYS.iter().any(|ready| text.starts_with(ready))) {
                    return Err(not_empty());
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        let mut set = cmd("SET");
        set.arg(IMPORT_KEY).arg(import);
        self.write(vec![step(IMPORT_KEY.to_owned(), set)]).await
    }

    async fn run_all(&self, steps: Vec<Step>) -> Result<Answers, StoreError> {
        if steps.is_empty() { Ok(vec![]) } else { self.run(steps).await }
    }

    async fn write(&self, steps: Vec<Step>) -> Result<(), StoreError> {
        for answer in self.run_all(steps).await? {
            answer.map_err(|error| store_error(&error))?;
        }
        Ok(())
    }
}

fn foreign(text: &str, why: &'static str) -> Piece {
    Piece::Foreign { key: text.to_owned(), why }
}

/// A record, or a value with an expiry.
fn value(key: Key, stored: &[u8]) -> Piece {
    let value = stored.get(envelope::HEAD_BYTES..).unwrap_or_default().to_vec();
    match (key.kind(), envelope::head(stored)) {
        (Kind::Tally, Ok(Head::Tally(count))) if let Ok((_, latest)) = envelope::read_tally(stored) => {
            Piece::Tally { key, count, latest: envelope::at(latest) }
        }
        (Kind::Record, Ok(Head::Record(revision))) => Piece::Record { key, revision, value },
        (Kind::Expiring, Ok(Head::Expires(at))) => {
            Piece::Expiring { key, expires_at: envelope::at(at), value }
        }
        _ => foreign(&key.text(), "has a value of another kind than its key"),
    }
}

fn step(key: String, command: Cmd) -> Step {
    Step { command, key: Some(key), must_last: true, touched: Touched::default() }
}

/// What writes a piece, and its weight in bytes. Done twice, it leaves what it leaves when done once, if a stream is written
/// from its head on.
fn commands(piece: Piece, now: Timestamp) -> Result<(Vec<Step>, usize), StoreError> {
    let (key, command, weight) = match piece {
        Piece::Record { key, revision, value } => {
            let mut set = cmd("SET");
            set.arg(key.text()).arg(envelope::record(revision, &value));
            (key, set, value.len())
        }
        Piece::Expiring { key, expires_at, value } => {
            let mut set = cmd("SET");
            let sealed = envelope::expiring(expires_at, &value);
            set.arg(key.text()).arg(sealed).arg("PX").arg(kept_millis(expires_at, now));
            (key, set, value.len())
        }
        Piece::Tally { key, count, latest } => {
            let mut set = cmd("SET");
            set.arg(key.text()).arg(envelope::tally(count, envelope::millis(latest)));
            (key, set, 0)
        }
        Piece::Members { key, members } => {
            let mut add = cmd("ZADD");
            add.arg(key.text());
            for member in &members {
                add.arg(0).arg(member.as_slice());
            }
            (key, add, members.iter().map(Vec::len).sum())
        }
        Piece::Until { key, at } => {
            let mut expire = cmd("PEXPIRE");
            expire.arg(key.text()).arg(kept_millis(at, now));
            (key, expire, 0)
        }
        Piece::Head { key, head } => {
            let (mut unlink, mut set) = (cmd("UNLINK"), cmd("SET"));
            unlink.arg(key.text());
            set.arg(key.head_text()).arg(head.encode());
            return Ok((vec![step(key.text(), unlink), step(key.text(), set)], 0));
        }
        Piece::Entry { key, entry } => {
            let mut add = cmd("XADD");
            add.arg(key.text()).arg(format!("{}-0", entry.sequence));
            add.arg("l").arg(&entry.link[..]).arg("v").arg(entry.value.as_slice());
            (key, add, entry.value.len())
        }
        Piece::Foreign { .. } => return Err(StoreError::Misuse("what is not ours is not restored")),
    };
    Ok((vec![step(key.text(), command)], weight))
}
