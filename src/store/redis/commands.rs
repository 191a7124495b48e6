//! What is sent: the command of each step, and the scripts.
use std::sync::LazyLock;

use ::redis::{Cmd, Script, cmd};

use super::ends::{Place, Seal};
use crate::store::{Key, Op, Revision, Timestamp, Write, envelope, stream};

/// How long a value outlives its expiry on the server, so that a server whose clock runs ahead of ours does not
/// forget a mark that we still rely on. Reads judge the expiry by our clock.
pub(super) const EXPIRY_MARGIN_MILLIS: u64 = 60_000;
/// Where notes are told; `commit.lua` has it too.
pub(super) const CHANNEL: &str = "pc:notes";

const COMMIT_TEXT: &str = concat!(include_str!("stream.lua"), include_str!("commit.lua"));
/// Most sign-ins append and commit nothing, and mostly the guess is right: then it takes a few string operations.
const APPEND_TEXT: &str =
    concat!(include_str!("append.lua"), include_str!("stream.lua"), include_str!("append_late.lua"));
const REPLACE_TEXT: &str = include_str!("replace.lua");
const TRIM_TEXT: &str = concat!(include_str!("stream.lua"), include_str!("trim.lua"));

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(COMMIT_TEXT));
static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(APPEND_TEXT));
static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(REPLACE_TEXT));
static TRIM: LazyLock<Script> = LazyLock::new(|| Script::new(TRIM_TEXT));

/// The commands that make the server know our scripts.
pub(super) fn load_scripts() -> [Cmd; 4] {
    [COMMIT_TEXT, APPEND_TEXT, REPLACE_TEXT, TRIM_TEXT].map(|text| {
        let mut command = cmd("SCRIPT");
        command.arg("LOAD").arg(text);
        command
    })
}

/// A script that finds nothing to do.
pub(super) fn probe_script(key: &str) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(TRIM.get_hash()).arg(2).arg(key).arg(key).arg(0);
    command
}

/// The key that says on which node of a cluster the step runs; a note is told on any.
pub(super) fn key_of(op: &Op) -> Option<&Key> {
    match op {
        Op::Get(key)
        | Op::Peek(key)
        | Op::Members(key, _)
        | Op::Take(key)
        | Op::PutOnce { key, .. }
        | Op::Put { key, .. }
        | Op::Replace { key, .. }
        | Op::Insert(key, _)
        | Op::Remove(key, _)
        | Op::RemoveBelow(key, _)
        | Op::Expire(key, _)
        | Op::Delete(key)
        | Op::Append(key, _)
        | Op::Trim(key, _) => Some(key),
        Op::Notify(_) => None,
    }
}

/// Whether harm is done if a failover forgets the step: what is used once, what is taken away, what is recorded.
pub(super) fn must_last(op: &Op) -> bool {
    match op {
        Op::Take(_)
        | Op::PutOnce { .. }
        | Op::Insert(..)
        | Op::Remove(..)
        | Op::Delete(_)
        | Op::Append(..) => true,
        // Assertions from before a logout must stay shut out; of everything else that is put, a loss signs people out.
        Op::Put { key, .. } => matches!(key, Key::LoggedOut(_)),
        Op::Get(_)
        | Op::Peek(_)
        | Op::Members(..)
        | Op::Replace { .. }
        | Op::RemoveBelow(..)
        | Op::Expire(..)
        | Op::Trim(..)
        | Op::Notify(_) => false,
    }
}

/// What sends an append is made of a guess, as late as can be: see [`append_command`].
pub(super) fn command(op: &Op, now: Timestamp) -> Cmd {
    let with_key = |name: &str, key: &Key| {
        let mut command = cmd(name);
        command.arg(key.text());
        command
    };
    match op {
        Op::Get(key) | Op::Peek(key) => with_key("GET", key),
        Op::Members(set, limit) => members_command(set, None, *limit),
        Op::Take(key) => with_key("GETDEL", key),
        Op::Delete(key) => with_key("UNLINK", key),
        Op::PutOnce { key, value, expires_at } => {
            let mut command = with_key("SET", key);
            let value = envelope::expiring(*expires_at, value);
            command.arg(value).arg("NX").arg("PX").arg(kept_millis(*expires_at, now));
            command
        }
        Op::Put { key, value, expires_at } => {
            let mut command = with_key("SET", key);
            command.arg(envelope::expiring(*expires_at, value)).arg("PX").arg(kept_millis(*expires_at, now));
            command
        }
        Op::Replace { key, value, expires_at } => {
            let mut command = cmd("EVALSHA");
            command
                .arg(REPLACE.get_hash())
                .arg(1)
                .arg(key.text())
                .arg(envelope::digits(envelope::millis(now)));
            command.arg(envelope::expiring(*expires_at, value)).arg(kept_millis(*expires_at, now));
            command
        }
        Op::Insert(key, member) => {
            let mut command = with_key("ZADD", key);
            command.arg(0).arg(member.as_slice());
            command
        }
        Op::Remove(key, member) => {
            let mut command = with_key("ZREM", key);
            command.arg(member.as_slice());
            command
        }
        Op::RemoveBelow(key, end) => {
            let mut command = with_key("ZREMRANGEBYLEX", key);
            command.arg("-").arg([b"(", end.as_slice()].concat());
            command
        }
        Op::Expire(key, at) => {
            let mut command = with_key("PEXPIRE", key);
            command.arg(kept_millis(*at, now));
            command
        }
        Op::Append(..) => Cmd::new(),
        Op::Trim(key, upto) => {
            let mut command = cmd("EVALSHA");
            command.arg(TRIM.get_hash()).arg(2).arg(key.text()).arg(key.head_text()).arg(*upto);
            command
        }
        Op::Notify(note) => {
            let mut command = cmd("PUBLISH");
            command.arg(CHANNEL).arg(note.encode());
            command
        }
    }
}

/// Steps that only get, as one command: on a server that has all keys. It takes a key of another type for one that is not there.
pub(super) fn gets_command(ops: &[Op]) -> Option<Cmd> {
    let [_, _, ..] = ops else { return None };
    let mut command = cmd("MGET");
    for op in ops {
        let (Op::Get(key) | Op::Peek(key)) = op else { return None };
        command.arg(key.text());
    }
    Some(command)
}

/// A page of a set.
pub(super) fn members_command(set: &Key, after: Option<&[u8]>, limit: usize) -> Cmd {
    let after = after.map_or_else(|| b"-".to_vec(), |after| [b"(", after].concat());
    let mut page = cmd("ZRANGEBYLEX");
    page.arg(set.text()).arg(after).arg("+").arg("LIMIT").arg(0).arg(limit);
    page
}

/// Appends one value. See `append.lua`.
pub(super) fn append_command(key: &Key, value: &[u8], seal: &Seal) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(APPEND.get_hash()).arg(2).arg(key.text()).arg(key.head_text());
    match &seal.place {
        Some(Place { before, sequence, link }) => command
            .arg(stream::head_begin(sequence - 1, before))
            .arg(stream::head_begin(*sequence, link))
            .arg(format!("{sequence}-0"))
            .arg(&link[..]),
        None => command.arg("").arg("").arg("").arg(""),
    };
    command.arg(value).arg(&seal.digest[..]);
    command
}

/// How long the server keeps a value: what remains by our clock, and the margin.
pub(super) fn kept_millis(expires_at: Timestamp, now: Timestamp) -> u64 {
    envelope::millis(expires_at).saturating_sub(envelope::millis(now)) + EXPIRY_MARGIN_MILLIS
}

/// What [`sealed`] makes a whole of.
pub(super) fn commit_command(expect: &[(Key, Revision)], writes: &[Write]) -> Cmd {
    let keys: usize = expect.len() + writes.iter().map(keys_count).sum::<usize>();
    let appends = writes.iter().filter(|write| matches!(write, Write::Append(..))).count();
    let mut command = cmd("EVALSHA");
    command.arg(COMMIT.get_hash()).arg(keys);
    for (key, _) in expect {
        command.arg(key.text());
    }
    for write in writes {
        write_keys(&mut command, write);
    }
    command.arg(expect.len()).arg(appends);
    for (_, revision) in expect {
        command.arg(envelope::digits(*revision));
    }
    for write in writes {
        match write {
            Write::Put(_, value) => command.arg("put").arg(value.as_slice()),
            Write::Delete(_) => command.arg("delete").arg(""),
            Write::Insert(_, member) => command.arg("insert").arg(member.as_slice()),
            Write::Remove(_, member) => command.arg("remove").arg(member.as_slice()),
            Write::Append(_, value) => command.arg("append").arg(value.as_slice()),
            Write::Touch(_, at) => command.arg("touch").arg(envelope::digits(envelope::millis(*at))),
            Write::Notify(note) => command.arg("note").arg(note.encode()),
        };
    }
    command
}

/// A commit with a seal for each value that it appends. They stand last, so that as little as can be lies between the guess and
/// the connection: who is overtaken there was wrong.
pub(super) fn sealed(mut commit: Cmd, seals: &[Seal]) -> Cmd {
    for seal in seals {
        commit.arg(seal.encode());
    }
    commit
}

/// How many keys [`write_keys`] writes.
fn keys_count(write: &Write) -> usize {
    usize::from(write.key().is_some()) + usize::from(matches!(write, Write::Append(..)))
}

/// The keys that a write names, in the order in which `commit.lua` expects them.
fn write_keys(command: &mut Cmd, write: &Write) {
    let Some(key) = write.key() else { return };
    command.arg(key.text());
    if matches!(write, Write::Append(..)) {
        command.arg(key.head_text());
    }
}
