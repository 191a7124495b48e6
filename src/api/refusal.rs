//! What the directory refuses, as the API says it.
use http::StatusCode;

use super::{
    call::Call,
    limiter::TooOften,
    problem::{Code, Problem},
};
use crate::directory::{ActError, InviteError, TokenError, TokenRefusal};

impl From<TooOften> for Problem {
    fn from(early: TooOften) -> Self {
        Self::from(Code::TooMany).again_after(early.retry_after_seconds)
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        let status = match &error {
            ActError::Store(error) => return error.clone().into(),
            ActError::Contended(_) => return Code::Contended.into(),
            // Foreign and unknown are one.
            ActError::UnknownOrganization
            | ActError::UnknownPerson
            | ActError::NotMember
            | ActError::NotHeld => return Self::inside(Code::NotFound, error.code()),
            // Between the look at the caller's role and the act the role was lost.
            ActError::NotAllowed => return Code::OwnerRequired.into(),
            ActError::OwnRole => StatusCode::FORBIDDEN,
            ActError::LastOwner
            | ActError::HasOwner
            | ActError::NotRestorable
            | ActError::Inactive
            | ActError::OrganizationExists
            | ActError::OrganizationConfigured
            | ActError::TooManyOrganizations => StatusCode::CONFLICT,
            ActError::OrganizationInvalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::of(status, error.code(), sentence(&error))
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let status = match &error {
            TokenError::Store(error) => return error.clone().into(),
            TokenError::Random(_) => return Self::inside(Code::Unavailable, error.to_string()),
            TokenError::Contended(_) => return Code::Contended.into(),
            TokenError::NotFound => return Code::NotFound.into(),
            // Between the look at the caller's role and the act the role was lost.
            TokenError::NotOwner => return Code::OwnerRequired.into(),
            TokenError::NotEnterpriseOwner => return Code::EnterpriseOwnerRequired.into(),
            TokenError::Session => return Self::inside(Code::CredentialInvalid, error.code()),
            TokenError::Recovery | TokenError::SessionAge(_) | TokenError::Person => StatusCode::FORBIDDEN,
            TokenError::TooMany | TokenError::TooManyScim => StatusCode::CONFLICT,
            TokenError::Name | TokenError::Scopes | TokenError::Expiry(_) | TokenError::NotMember(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Self::of(status, error.code(), sentence(&error))
    }
}

impl Call<'_> {
    /// What became of an act on invitations.
    pub fn invite_problem(&self, error: InviteError) -> Problem {
        let status = match &error {
            InviteError::Store(error) => return error.clone().into(),
            InviteError::Random(_) => return Problem::inside(Code::Unavailable, error.to_string()),
            InviteError::Contended(_) => return Code::Contended.into(),
            InviteError::UnknownOrganization | InviteError::NotFound => {
                return Problem::inside(Code::NotFound, error.code());
            }
            InviteError::NotOwner => return Code::OwnerRequired.into(),
            InviteError::MailOff => StatusCode::CONFLICT,
            InviteError::Email | InviteError::Role => StatusCode::UNPROCESSABLE_ENTITY,
            InviteError::TooMany | InviteError::ResendTooSoon { .. } | InviteError::ResentTooOften => {
                StatusCode::TOO_MANY_REQUESTS
            }
        };
        let problem = Problem::of(status, error.code(), sentence(&error));
        match error {
            InviteError::ResendTooSoon { retry_at } => {
                problem.again_after(retry_at.as_second() - self.now.as_second())
            }
            _ => problem,
        }
    }
}

impl From<TokenRefusal> for Problem {
    fn from(refusal: TokenRefusal) -> Self {
        match refusal {
            TokenRefusal::Store(error) => error.into(),
            // V-20: nobody is told which of them it is.
            other => Self::inside(Code::CredentialInvalid, other.to_string()),
        }
    }
}

/// An error's words as a sentence: they speak of what was asked for, never of what lies in the store.
pub(super) fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::StoreError;

    #[test]
    fn what_is_hidden_reads_like_what_is_not_there() {
        let body = |problem: Problem| problem.response("id").body().clone();
        let unknown = body(Code::NotFound.into());
        for error in [ActError::UnknownOrganization, ActError::UnknownPerson, ActError::NotMember] {
            assert_eq!(body(error.into()), unknown);
        }
        assert_eq!(body(TokenError::NotFound.into()), unknown);
        let invalid = body(Code::CredentialInvalid.into());
        for refusal in [TokenRefusal::Unknown, TokenRefusal::Expired, TokenRefusal::Person] {
            assert_eq!(body(refusal.into()), invalid);
        }
        let problem = Problem::from(ActError::Store(StoreError::Corrupt("alice's record".into())));
        assert!(!String::from_utf8_lossy(problem.response("id").body()).contains("alice"));
    }

    #[test]
    fn reasons_are_sentences() {
        let problem = Problem::from(ActError::HasOwner);
        assert_eq!((problem.status.as_u16(), problem.code), (409, "organization_owned"));
        assert_eq!(problem.reason(), "The organization has an owner.");
    }
}
