//! The only serialized types: what lies in the store.
