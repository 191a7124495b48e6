//! What redis-rs and the server say, in our words. No URL, password, key or value may get into a message.
use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// The code with which our scripts report a value that they cannot read.
const CORRUPT: &str = "CORRUPT";
/// How much of the server's own words is passed on.
const DETAIL_CHARS_MAX: usize = 200;

/// An error of the connection or of one command.
pub(super) fn store_error(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Io => StoreError::Unavailable(shortened(&error.to_string())),
        // The text may repeat what it was given, the URL with its password.
        ErrorKind::InvalidClientConfig => StoreError::Unavailable("its URL is not usable".into()),
        _ => match error.code() {
            Some(CORRUPT) => StoreError::Corrupt(shortened(error.detail().unwrap_or(CORRUPT))),
            Some(code) => StoreError::Unavailable(with_detail(code, error)),
            None => StoreError::Unavailable(with_detail(error.category(), error)),
        },
    }
}

/// The same, in other words where the user lacks `rights`.
pub(super) fn error_or_lack(error: &RedisError, rights: &str) -> StoreError {
    if is_forbidden(error) { lack(rights) } else { store_error(error) }
}

pub(super) fn is_forbidden(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

pub(super) fn lack(rights: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "its user lacks rights that we need: {rights}; docs/REDIS.md lists them all"
    ))
}

/// An answer of a shape that its command does not have.
pub(super) fn corrupt_reply() -> StoreError {
    StoreError::Corrupt("the server's answer has an unexpected shape".into())
}

fn with_detail(code: &str, error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => format!("{code}: {}", shortened(detail)),
        None => code.to_owned(),
    }
}

/// Cuts off what a server repeats of an unknown command's arguments, and whatever is too long.
fn shortened(text: &str) -> String {
    let text = text.split(", with args").next().unwrap_or_default();
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_repeat_neither_url_nor_arguments() {
        let error = RedisError::from((ErrorKind::InvalidClientConfig, "bad", "redis://u:secret@h".into()));
        assert!(!store_error(&error).to_string().contains("secret"));
        let detail = "unknown command 'GETDEL', with args beginning with: 'secret'";
        let error = RedisError::from((ErrorKind::Client, "ERR", detail.into()));
        let text = store_error(&error).to_string();
        assert!(text.contains("GETDEL") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn long_words_are_cut() {
        let error = RedisError::from((ErrorKind::Client, "ERR", "é".repeat(10_000)));
        assert!(store_error(&error).to_string().chars().count() < 2 * DETAIL_CHARS_MAX);
    }
}
