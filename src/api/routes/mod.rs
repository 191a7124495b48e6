//! The handlers of the table's routes, by what they are about. Who may call them was checked before; the directory looks again
//! at what the caller is at the moment of the act.
pub mod credentials;
pub mod enterprise;
pub mod holds;
pub mod invitations;
pub mod members;
pub mod organizations;
pub mod people;
pub mod scim_tokens;
pub mod sessions;
pub mod tokens;
pub mod user;

/// Cuts a list that was asked for with one entry too many to a page; whether there is more.
fn cut<T>(entries: &mut Vec<T>, per_page: usize) -> bool {
    let more = entries.len() > per_page;
    entries.truncate(per_page);
    more
}
