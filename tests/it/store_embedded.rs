//! What only the embedded store promises: it survives being killed, and belongs to one process.
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use portcullis::{
    domain::PersonId,
    store::{Committed, Key, Op, StoreError, Write, embedded},
};

use crate::store::{at, change, embedded, enterprise, get, one, person, put, session, versioned};

const PATH_VARIABLE: &str = "PORTCULLIS_TEST_CRASH_STORE";
const ACKNOWLEDGED: &str = "acknowledged ";
/// Commits that the child acknowledges before it is killed.
const COMMITS: usize = 200;
const WRITERS: u32 = 4;

fn numbered(n: u32) -> Key {
    Key::Person(enterprise(1), PersonId::derived(&[&n.to_be_bytes()]))
}

/// Commits until it is killed, several writers at once, and says which commits were acknowledged.
#[tokio::test]
#[ignore = "run by acknowledged_commits_survive_a_kill"]
async fn commit_until_killed() {
    let path = std::env::var_os(PATH_VARIABLE).expect("its parent sets the path").into();
    let store = Arc::new(embedded::Embedded::open(&embedded::Settings { path }).unwrap());
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store) as Arc<dyn portcullis::store::Store>;
        tokio::spawn(async move {
            for n in (writer..).step_by(WRITERS as usize) {
                let writes = [Write::Put(numbered(n), n.to_be_bytes().to_vec())];
                assert_eq!(
                    store.commit(change(&[(numbered(n), 0)], &writes)).await.unwrap(),
                    Committed::Applied
                );
                println!("{ACKNOWLEDGED}{n}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn acknowledged_commits_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/demand/store.redb");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store_embedded::commit_until_killed", "--exact", "--ignored", "--nocapture"])
        .env(PATH_VARIABLE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The line that the kill cut off may lack digits, which makes another number that was acknowledged, or none.
        let Ok(line) = line else { break };
        if let Some(n) = line.strip_prefix(ACKNOWLEDGED).and_then(|n| n.parse::<u32>().ok()) {
            acknowledged.push(n);
        }
        if acknowledged.len() == COMMITS {
            let second = embedded::Embedded::open(&embedded::Settings { path: path.clone() }).map(drop);
            assert!(
                matches!(second, Err(StoreError::Unavailable(why)) if why.ends_with("in use by another process"))
            );
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= COMMITS, "the child ended early, after {}", acknowledged.len());

    let store = embedded(&folder).await;
    for n in acknowledged {
        assert_eq!(get(&store, at(0), numbered(n)).await, versioned(1, &n.to_be_bytes()), "{n}");
    }
    store.ready().await.unwrap();
}

#[tokio::test]
async fn values_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = embedded(&folder).await;
        one(&store, at(0), put(session(1), b"x", at(1_000))).await;
    }
    let store = embedded(&folder).await;
    assert_eq!(get(&store, at(999), session(1)).await, versioned(0, b"x"));
    assert_eq!(get(&store, at(1_000), session(1)).await, None);
}

#[tokio::test]
async fn what_was_queued_is_written_when_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = embedded(&folder).await;
        for n in 0..50 {
            // Polled once, which queues it, and given up.
            let commit = store.commit(change(&[], &[Write::Put(person(n), vec![n])]));
            let _ = tokio::time::timeout(Duration::ZERO, commit).await;
        }
    }
    let store = embedded(&folder).await;
    for n in 0..50 {
        assert_eq!(get(&store, at(0), person(n)).await, versioned(1, &[n]), "{n}");
    }
}

#[tokio::test]
async fn a_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let settings = embedded::Settings { path };
    let first = embedded::Embedded::open(&settings).unwrap();
    match embedded::Embedded::open(&settings).map(drop) {
        Err(StoreError::Unavailable(why)) => assert!(why.ends_with("is in use by another process"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(first);
    embedded::Embedded::open(&settings).map(drop).unwrap();
}

/// A process that is being replaced, or a child that it was starting, may hold the file a moment longer.
#[tokio::test]
async fn opening_waits_for_a_process_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let settings = embedded::Settings { path: folder.path().join("store.redb") };
    let first = embedded::Embedded::open(&settings).unwrap();
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(first);
    });
    embedded::Embedded::open(&settings).map(drop).unwrap();
    ending.join().unwrap();
}

#[tokio::test]
async fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, b"not a database, whatever its name says".repeat(1_000)).unwrap();
    assert!(embedded::Embedded::open(&embedded::Settings { path: path.clone() }).is_err());
    let below_a_file = path.join("store.redb");
    assert!(embedded::Embedded::open(&embedded::Settings { path: below_a_file }).is_err());
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = embedded(&folder).await;
    one(&store, at(0), Op::Delete(session(1))).await;
    for (path, expected) in [("made", 0o700), ("made/on/demand/store.redb", 0o600)] {
        let mode = std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{path}");
    }
}
