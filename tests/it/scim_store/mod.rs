//! SCIM users and groups through the directory, on both stores.
mod concurrent;
mod damage;
mod groups;
mod large;
mod lists;
mod table;
mod users;
mod world;
