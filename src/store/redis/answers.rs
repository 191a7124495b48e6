//! What comes back, read strictly: an answer of another shape is an error and never a guess.
use ::redis::{RedisError, Value};

use super::errors::{corrupt_reply, store_error};
use crate::store::{
    Committed, Entry, Op, Reply, StoreError, StreamHead, Timestamp, Versioned, envelope, stream::Link,
};

pub(super) fn reply(op: &Op, answer: Result<Value, RedisError>, now: Timestamp) -> Result<Reply, StoreError> {
    let answer = answer.map_err(|error| store_error(&error))?;
    match (op, answer) {
        (Op::Get(_) | Op::Peek(_) | Op::Take(_), answer) => stored(answer, now).map(Reply::Value),
        (Op::Members(..), answer) => {
            array(answer)?.into_iter().map(bytes).collect::<Result<_, _>>().map(Reply::Members)
        }
        (Op::PutOnce { .. }, Value::Okay) | (Op::Replace { .. }, Value::Int(1)) => Ok(Reply::Created(true)),
        (Op::PutOnce { .. }, Value::Nil) | (Op::Replace { .. }, Value::Int(0)) => Ok(Reply::Created(false)),
        (Op::Put { .. }, Value::Okay) => Ok(Reply::Done),
        (Op::Append(..), answer) if moved(&answer).is_some() => Ok(Reply::Done),
        (Op::Append(..) | Op::Trim(..), Value::Int(1)) | (Op::Notify(_), Value::Int(_)) => Ok(Reply::Done),
        (
            Op::Insert(..) | Op::Remove(..) | Op::RemoveBelow(..) | Op::Expire(..) | Op::Delete(_),
            Value::Int(_),
        ) => Ok(Reply::Done),
        _ => Err(corrupt_reply()),
    }
}

/// Of one command for all steps.
pub(super) fn gets(
    steps: usize,
    answer: Result<Value, RedisError>,
    now: Timestamp,
) -> Result<Vec<Reply>, StoreError> {
    let values = array(answer.map_err(|error| store_error(&error))?)?;
    if values.len() != steps {
        return Err(corrupt_reply());
    }
    values.into_iter().map(|value| stored(value, now).map(Reply::Value)).collect()
}

fn stored(answer: Value, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
    match answer {
        Value::Nil => Ok(None),
        answer => envelope::open(bytes(answer)?, now),
    }
}

/// Whether a commit was applied.
pub(super) fn committed(answer: Result<Value, RedisError>) -> Result<Committed, StoreError> {
    match answer.map_err(|error| store_error(&error))? {
        Value::Int(1) => Ok(Committed::Applied),
        Value::Int(0) => Ok(Committed::Conflict),
        answer if moved(&answer).is_some() => Ok(Committed::Applied),
        _ => Err(corrupt_reply()),
    }
}

/// `[1, last, link]`: where a stream ends after an append that was guessed wrong.
pub(super) fn moved(answer: &Value) -> Option<(u64, Link)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::Int(1), Value::BulkString(last), Value::BulkString(link)] = parts.as_slice() else {
        return None;
    };
    let last = std::str::from_utf8(last).ok()?.parse().ok()?;
    Some((last, link.as_slice().try_into().ok()?))
}

pub(super) fn members(answer: Result<Value, RedisError>) -> Result<Vec<Vec<u8>>, StoreError> {
    array(answer.map_err(|error| store_error(&error))?)?.into_iter().map(bytes).collect()
}

pub(super) fn count(answer: Result<Value, RedisError>) -> Result<u64, StoreError> {
    match answer.map_err(|error| store_error(&error))? {
        Value::Int(count) => u64::try_from(count).map_err(|_| corrupt_reply()),
        _ => Err(corrupt_reply()),
    }
}

pub(super) fn bytes(answer: Value) -> Result<Vec<u8>, StoreError> {
    match answer {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(corrupt_reply()),
    }
}

pub(super) fn entries(answer: Result<Value, RedisError>) -> Result<Vec<Entry>, StoreError> {
    array(answer.map_err(|error| store_error(&error))?)?.into_iter().map(entry).collect()
}

pub(super) fn stream_head(answer: Result<Value, RedisError>) -> Result<StreamHead, StoreError> {
    match answer.map_err(|error| store_error(&error))? {
        Value::Nil => Ok(StreamHead::EMPTY),
        answer => StreamHead::decode(&bytes(answer)?),
    }
}

/// `[sequence-0, [l, link, v, value]]`
fn entry(answer: Value) -> Result<Entry, StoreError> {
    let [id, fields] = exactly(answer)?;
    let [name_of_link, link, name_of_value, value] = exactly(fields)?;
    let id = String::from_utf8(bytes(id)?).map_err(|_| corrupt_reply())?;
    let sequence = id.strip_suffix("-0").and_then(|digits| digits.parse().ok()).ok_or_else(corrupt_reply)?;
    if bytes(name_of_link)? != b"l" || bytes(name_of_value)? != b"v" {
        return Err(corrupt_reply());
    }
    let link = bytes(link)?.try_into().map_err(|_| corrupt_reply())?;
    Ok(Entry { sequence, link, value: bytes(value)? })
}

fn exactly<const N: usize>(answer: Value) -> Result<[Value; N], StoreError> {
    array(answer)?.try_into().map_err(|_| corrupt_reply())
}

pub(super) fn array(answer: Value) -> Result<Vec<Value>, StoreError> {
    match answer {
        Value::Array(values) => Ok(values),
        _ => Err(corrupt_reply()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_13_one_answer_for_all_has_as_many_values_as_were_asked_for() {
        let answer = |values: Vec<Value>| gets(2, Ok(Value::Array(values)), Timestamp::UNIX_EPOCH);
        assert!(matches!(answer(vec![Value::Nil, Value::Nil]).as_deref(), Ok([Reply::Value(None), _])));
        for wrong in [vec![], vec![Value::Nil], vec![Value::Nil; 3], vec![Value::Nil, Value::Int(1)]] {
            assert!(matches!(answer(wrong), Err(StoreError::Corrupt(_) | StoreError::Unavailable(_))));
        }
    }
}
