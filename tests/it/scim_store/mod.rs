//! SCIM users and groups through the directory, on both stores.
mod bounds;
mod concurrent;
mod cost;
mod damage;
mod groups;
mod kept;
mod large;
mod lists;
mod pairs;
mod put_out;
mod renamed;
mod replicas;
mod serial;
mod table;
mod users;
mod world;
