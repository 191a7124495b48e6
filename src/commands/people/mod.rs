//! What operators do to people and organizations in the store: `org`, `person`, `invitation`, `session`, `token`, `hold`.
mod hold;
mod invitation;
mod org;
mod person;
mod session;
mod token;

pub use hold::{Hold, hold};
pub use invitation::{InvitationCommand, invitation};
pub use org::{Org, org};
pub use person::{PersonCommand, person};
pub use session::{SessionCommand, session};
pub use token::{Token, token};
