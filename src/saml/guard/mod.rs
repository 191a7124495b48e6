//! The guards between a message and what it may set in motion, by name, so that a test can take one away and see what it
//! kept out: a POST to the ACS, a logout message, an IdP's metadata.
//!
//! Each check that refuses something asks [`stands`] for its guard. That is a constant unless the crate is built with the
//! feature `guard-ablation`, which only builds with debug assertions know: what ships has no switch. Checks without which
//! there would be no value to go on with (an Assertion without a Subject) have no guard here.
mod list;

pub use list::Guard;

/// Whether a guard is in its place.
#[cfg(not(feature = "guard-ablation"))]
#[inline(always)]
pub(crate) const fn stands(_guard: Guard) -> bool {
    true
}

/// What a check found; without its guard the default, where it found a fault.
#[inline(always)]
pub(crate) fn excused<T: Default, E>(guard: Guard, checked: Result<T, E>) -> Result<T, E> {
    match checked {
        Err(_) if !stands(guard) => Ok(T::default()),
        checked => checked,
    }
}

#[cfg(feature = "guard-ablation")]
pub use ablation::{stands, without};

#[cfg(feature = "guard-ablation")]
mod ablation {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Guard;

    static GONE: [AtomicBool; Guard::ALL.len()] = [const { AtomicBool::new(false) }; Guard::ALL.len()];

    /// Whether a guard is in its place.
    pub fn stands(guard: Guard) -> bool {
        !GONE[guard as usize].load(Ordering::SeqCst)
    }

    /// Runs `work` while the guards are gone, in every thread of the process.
    pub fn without<T>(guards: &[Guard], work: impl FnOnce() -> T) -> T {
        /// Puts them back, even if `work` panics.
        struct Back<'a>(&'a [Guard]);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                set(self.0, false);
            }
        }
        set(guards, true);
        let _back = Back(guards);
        work()
    }

    fn set(guards: &[Guard], gone: bool) {
        for guard in guards {
            GONE[*guard as usize].store(gone, Ordering::SeqCst);
        }
    }
}

#[cfg(all(feature = "guard-ablation", not(debug_assertions)))]
compile_error!("the feature guard-ablation takes guards away and must not be in a build that could ship");
