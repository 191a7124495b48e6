//! What people read when something did not work: one [`Class`] for each thing that they can do about it, its [`Texts`], and the
//! page around them. Texts and page may be the operator's; the policy of what a browser may do with the page is ours.
//!
//! Only the texts, the style and the request id ever stand in a page: nothing that a message, a URL or a field says (S-102).
use std::sync::{Arc, LazyLock};

use http::HeaderValue;

mod template;

pub use template::{TEMPLATE_BYTES_MAX, Template, TemplateFault};

/// The longest of the four texts of a class, in characters.
pub const TEXT_CHARS_MAX: usize = 500;

macro_rules! classes {
    ($($class:ident, $code:literal:
        $title:literal, $message:literal, $advice:literal, $action:literal;)+) => {
        /// What happened, as far as the person concerned can make use of it. Whoever adds one adds a line here, one in
        /// `docs/REASONS.md` and the table in `docs/ERROR_PAGES.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Class {
            $(#[doc = $message] $class,)+
        }

        impl Class {
            /// Every class, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$class),+];

            /// Stable, for logs, for clients that read JSON and for `texts.toml`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$class => $code),+ }
            }

            /// The texts that we ship.
            fn shipped(self) -> Texts {
                let (title, message, advice, action) = match self {
                    $(Self::$class => ($title, $message, $advice, $action)),+
                };
                let texts = [title, message, advice, action].map(str::to_owned);
                let [title, message, advice, action] = texts;
                Texts { title, message, advice, action }
            }
        }
    };
}

classes! {
    SignInRefused, "sign_in_refused":
        "You are not signed in",
        "The answer of your identity provider could not be accepted.",
        "Please sign in again. If that does not help, give your administrator the request id below.",
        "Sign in again";
    SignInDenied, "sign_in_denied":
        "You are not signed in",
        "Your identity provider did not sign you in.",
        "If you stopped there, just start again. Otherwise ask your administrator whether this application is open to you, and give the request id below.",
        "Start again";
    SignInExpired, "sign_in_expired":
        "Please sign in again",
        "This sign-in took too long, or it has been used already.",
        "Nothing is wrong with your account. Going back in the browser or opening an old tab leads here: start again at the application.",
        "Start again";
    SignInUnsolicited, "sign_in_unsolicited":
        "Please start at the application",
        "This sign-in began at your identity provider, and this application takes only those that begin here.",
        "Start again with the button below, and keep the application's own address as your bookmark.",
        "Open the application";
    SignInNotSetUp, "sign_in_not_set_up":
        "You cannot sign in yet",
        "Your identity provider signed you in, but its settings and those of this application do not fit together.",
        "Trying again will not help. Please give your administrator the request id below: it leads to the setting that has to be changed.",
        "To the start page";
    SignInUnreadable, "sign_in_unreadable":
        "You are not signed in",
        "The message that should have signed you in did not arrive as a whole.",
        "Please sign in again. If that does not help, give your administrator the request id below.",
        "Sign in again";
    SignInUnavailable, "sign_in_unavailable":
        "Not available right now",
        "Signing in is not possible at the moment.",
        "Please try again in a minute. If it stays so, give your administrator the request id below.",
        "Try again";
    SignedOut, "signed_out":
        "You are signed out",
        "You are signed out here and at your identity provider.",
        "You can close this window.",
        "Sign in again";
    SignedOutPartly, "signed_out_partly":
        "You are signed out here",
        "Your identity provider could not reach every other application.",
        "Close the browser to be safe.",
        "Sign in again";
    SignedOutHere, "signed_out_here":
        "You are signed out here",
        "You may still be signed in at your identity provider.",
        "Close the browser to be safe.",
        "Sign in again";
    LogoutRefused, "logout_refused":
        "You may still be signed in",
        "The sign-out message of your identity provider could not be accepted, and changed nothing.",
        "To be sure, sign out at the application, or close the browser. Your administrator finds more by the request id below.",
        "To the start page";
    LogoutUnreadable, "logout_unreadable":
        "You may still be signed in",
        "The message that should have signed you out did not arrive as a whole.",
        "To be sure, sign out at the application, or close the browser.",
        "To the start page";
    LogoutCrossSite, "logout_cross_site":
        "You are still signed in",
        "This sign-out did not come from the application itself.",
        "If you want to sign out, do so at the application.",
        "To the start page";
    CrossSite, "cross_site":
        "That did not work",
        "What was sent did not come from a page of this application.",
        "Please open the page again and send it from there.",
        "To the start page";
    InvitationRefused, "invitation_refused":
        "This invitation cannot be accepted",
        "It was withdrawn, has run out, was accepted already, or is meant for somebody else.",
        "Please use the newest mail and sign in as the person whom it was sent to, or ask for another invitation.",
        "To the start page";
    RecoveryRefused, "recovery_refused":
        "You are not signed in",
        "The enterprise, the user and the code do not fit together.",
        "Please use the first code of your list that you have not used yet. Each code works once.",
        "To the start page";
    RecoveryThrottled, "recovery_throttled":
        "You are not signed in",
        "There were too many attempts.",
        "Please wait a moment and try again.",
        "To the start page";
    SignInRequired, "sign_in_required":
        "Please sign in",
        "You are not signed in, or not any more, so what you sent did not get through.",
        "Please sign in, go back to where you were, and send it again.",
        "Sign in";
    StepUpRequired, "step_up_required":
        "Please sign in again",
        "This part asks for another sign-in than yours, so what you sent did not get through.",
        "Please open the page again, sign in once more, and send it again.",
        "To the start page";
    TokenRefused, "token_refused":
        "This token opens nothing",
        "The token is not one that can be used here.",
        "It may have run out or been revoked, or it is for another application: make a new one, or ask your administrator and give the request id below.",
        "To the start page";
    Forbidden, "forbidden":
        "No access",
        "You are signed in, but this part is not open to you.",
        "If it should be, ask your administrator for access, and give the request id below.",
        "To the start page";
    NotFound, "not_found":
        "Nothing here",
        "There is nothing at this address.",
        "Please check the address, or begin at the start page.",
        "To the start page";
    UnknownHost, "unknown_host":
        "Nothing here",
        "This host is not served here.",
        "Please check the address. If it is right, give your administrator the request id below.",
        "To the start page";
    MethodNotAllowed, "method_not_allowed":
        "That did not work",
        "This address cannot be used in this way.",
        "Please begin at the start page.",
        "To the start page";
    BadRequest, "bad_request":
        "That did not work",
        "The request could not be understood.",
        "Please go back and try again. If it happens again, give your administrator the request id below.",
        "To the start page";
    FieldRefused, "field_refused":
        "That did not work",
        "Your browser, or something between it and us, sent along what it may not send.",
        "Please try again without browser extensions. If it happens again, give your administrator the request id below.",
        "To the start page";
    ExpectationFailed, "expectation_failed":
        "That did not work",
        "The request expects something that is not offered here.",
        "Please go back and try again. If it happens again, give your administrator the request id below.",
        "To the start page";
    Unavailable, "unavailable":
        "Not available right now",
        "This cannot be answered at the moment.",
        "Please try again in a minute. If it stays so, give your administrator the request id below.",
        "Try again";
    OriginUnavailable, "origin_unavailable":
        "Not available right now",
        "The application cannot be reached at the moment.",
        "Please try again in a minute. If it stays so, give your administrator the request id below.",
        "Try again";
    OriginTimeout, "origin_timeout":
        "Not available right now",
        "The application takes too long to answer.",
        "Please try again in a minute. If it stays so, give your administrator the request id below.",
        "Try again";
    OriginFailed, "origin_failed":
        "Not available right now",
        "The application did not answer properly.",
        "Please try again in a minute. If it stays so, give your administrator the request id below.",
        "Try again";
    Internal, "internal":
        "Something went wrong",
        "This is our fault, not yours.",
        "Please give your administrator the request id below.",
        "To the start page";
}

/// What a page says, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    pub title: String,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do next.
    pub advice: String,
    /// The label of the button that leads to `/`.
    pub action: String,
}

/// The template and the texts of every class. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    template: Template,
    /// In the order of [`Class::ALL`].
    texts: Vec<Texts>,
}

impl Pages {
    /// Pages with a template of the operator's, or ours, and with the texts that `change` makes of ours.
    pub fn new(template: Option<Template>, change: impl Fn(Class, &mut Texts)) -> Self {
        let texts = Class::ALL.iter().map(|class| {
            let mut texts = class.shipped();
            change(*class, &mut texts);
            texts
        });
        let texts = texts.collect();
        Self(Arc::new(Inner { template: template.unwrap_or_else(Template::shipped), texts }))
    }

    /// What a class says.
    pub fn texts(&self, class: Class) -> &Texts {
        // The list is as long as that of the classes; ours are the same words should it ever not be.
        static SHIPPED: LazyLock<Texts> = LazyLock::new(|| Class::Internal.shipped());
        self.0.texts.get(class as usize).unwrap_or(&SHIPPED)
    }

    /// The page of a class.
    pub fn html(&self, class: Class, request_id: &str) -> String {
        self.0.template.render(self.texts(class), request_id)
    }

    /// What a browser may do with the page: show it in its own style, and nothing else.
    pub fn policy(&self) -> &HeaderValue {
        self.0.template.policy()
    }
}

/// Ours.
impl Default for Pages {
    fn default() -> Self {
        static SHIPPED: LazyLock<Pages> = LazyLock::new(|| Pages::new(None, |_, _| ()));
        SHIPPED.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_code_texts_of_its_own_and_its_place_in_the_list() {
        for (index, class) in Class::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index);
            assert!(Class::ALL[..index].iter().all(|other| other.code() != class.code()));
            let pages = Pages::default();
            let texts = pages.texts(*class);
            for text in [&texts.title, &texts.message, &texts.advice, &texts.action] {
                assert!(!text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX, "{class:?}");
            }
            assert!(texts.message.ends_with('.') && texts.advice.ends_with('.'), "{class:?}");
            assert_eq!(texts.message.matches(". ").count(), 0, "{class:?}: what happened is one sentence");
        }
    }

    /// `UPDATE_FIXTURES=1 cargo test --lib edge::pages` writes the part between the two marks anew.
    #[test]
    fn the_documentation_has_every_text() {
        const BEGIN: &str = "<!-- texts: begin -->\n```toml\n";
        const END: &str = "```\n<!-- texts: end -->";
        let table: Vec<String> = Class::ALL
            .iter()
            .map(|class| {
                let Texts { title, message, advice, action } = class.shipped();
                let code = class.code();
                format!("[{code}]\ntitle = {title:?}\nmessage = {message:?}\nadvice = {advice:?}\naction = {action:?}\n")
            })
            .collect();
        let table = table.join("\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ERROR_PAGES.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (head, rest) = page.split_once(BEGIN).unwrap();
        let (old, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(path, [head, BEGIN, &table, END, tail].concat()).unwrap();
        } else {
            assert_eq!(old, table, "run with UPDATE_FIXTURES=1");
        }
    }

    #[test]
    fn every_class_is_in_the_list_of_reasons() {
        for class in Class::ALL {
            let entry = format!("\n- `{}`", class.code());
            assert!(include_str!("../../../docs/REASONS.md").contains(&entry), "{entry}");
        }
    }

    #[test]
    fn texts_may_be_replaced_and_are_escaped() {
        let pages = Pages::new(None, |class, texts| {
            if class == Class::Forbidden {
                texts.message = "<b>\"R & D\"</b> {{advice}}".into();
            }
        });
        let html = pages.html(Class::Forbidden, "id-1");
        assert!(html.contains("&lt;b&gt;&quot;R &amp; D&quot;&lt;/b&gt; {{advice}}"), "{html}");
        assert_eq!(pages.texts(Class::Forbidden).title, Class::Forbidden.shipped().title);
        assert_eq!(pages.texts(Class::NotFound), &Class::NotFound.shipped());
    }
}
