//! Whether a stream is as it was appended: every sequence there, every link right.
use super::{
    ENTRIES_PER_PAGE_MAX, Key, Store, StoreError,
    stream::{self, Link},
};

/// A trim that overtakes the walk makes it begin anew.
const WALKS_MAX: usize = 3;

/// A stream that holds together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The first entry that is kept.
    pub first: u64,
    pub last: u64,
    /// The link of the last entry: who keeps it knows later whether anything up to here was changed.
    pub link: Link,
}

/// Where a stream no longer holds together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("entry {sequence} is not there")]
    Missing { sequence: u64 },
    /// The entry itself, its sequence or its link is not what was appended.
    #[error("entry {sequence} is not what was appended")]
    Changed { sequence: u64 },
    /// The head tells of another end than the entries.
    #[error("the stream ends at {last} with another link than its head says")]
    OtherEnd { last: u64 },
    /// What somebody kept is not what lies there.
    #[error("entry {sequence} does not have the link that was noted")]
    NotAsNoted { sequence: u64 },
}

/// Walks the whole stream. `noted` is a sequence and its link from an earlier walk: it must still be so, unless it was trimmed.
pub async fn verify_stream(
    store: &dyn Store,
    stream: Key,
    noted: Option<(u64, Link)>,
) -> Result<Result<Chain, Broken>, StoreError> {
    let mut found = walk(store, stream, noted).await?;
    for _ in 1..WALKS_MAX {
        match found {
            Err(Broken::Missing { sequence }) if sequence < store.stream_head(stream).await?.first => {
                found = walk(store, stream, noted).await?;
            }
            _ => break,
        }
    }
    Ok(found)
}

async fn walk(
    store: &dyn Store,
    stream: Key,
    noted: Option<(u64, Link)>,
) -> Result<Result<Chain, Broken>, StoreError> {
    let head = store.stream_head(stream).await?;
    let (mut sequence, mut link) = (head.first.saturating_sub(1), head.link_before_first);
    let contradicts = |sequence, link| noted.is_some_and(|noted| noted.0 == sequence && noted.1 != link);
    if contradicts(sequence, link) || noted.is_some_and(|(noted, _)| noted > head.last) {
        let sequence = noted.map_or(sequence, |(noted, _)| noted);
        return Ok(Err(Broken::NotAsNoted { sequence }));
    }
    while sequence < head.last {
        let page = store.entries(stream, sequence, ENTRIES_PER_PAGE_MAX).await?;
        if page.is_empty() {
            return Ok(Err(Broken::Missing { sequence: sequence + 1 }));
        }
        // What was appended since belongs to another head.
        for entry in page.into_iter().filter(|entry| entry.sequence <= head.last) {
            sequence += 1;
            if entry.sequence != sequence {
                return Ok(Err(Broken::Missing { sequence }));
            }
            link = stream::link(&link, sequence, &entry.value);
            if entry.link != link {
                return Ok(Err(Broken::Changed { sequence }));
            }
            if contradicts(sequence, link) {
                return Ok(Err(Broken::NotAsNoted { sequence }));
            }
        }
    }
    if link != head.link {
        return Ok(Err(Broken::OtherEnd { last: head.last }));
    }
    Ok(Ok(Chain { first: head.first, last: head.last, link }))
}
