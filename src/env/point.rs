//! Named places in the code at which a test has the process killed or stopped, or lets another
//! one go on. Only builds with debug assertions have them; elsewhere they are nothing.
//!
//! The environment names one for the whole process: `BROKERLESS_AT=append.written:7:kill` (or
//! `:stop`) sends the process the signal when it comes there for the seventh time. A simulator
//! hears of those of its own thread: [`with_hook`].

/// A place that tests name.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) const fn point(_name: &'static str) {}

#[cfg(debug_assertions)]
pub(crate) use named::point;
#[cfg(debug_assertions)]
pub use named::with_hook;

#[cfg(debug_assertions)]
mod named {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use crate::env::syscall;

    /// Called with the name of each point that the thread comes to.
    type Hook = Rc<dyn Fn(&'static str)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

    /// A place that tests name.
    pub(crate) fn point(name: &'static str) {
        if let Some(plan) = PLAN.get_or_init(Plan::from_environment) {
            plan.pass(name);
        }
        // The hook may not come back.
        let hook = HOOK.with_borrow(Option::clone);
        if let Some(hook) = hook {
            hook(name);
        }
    }

    /// Runs `work` with `hook` called at each point that this thread comes to.
    pub fn with_hook<T>(hook: impl Fn(&'static str) + 'static, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<Hook>);
        impl Drop for Restore {
            fn drop(&mut self) {
                // What the hook holds may come to points of its own when it is dropped.
                drop(HOOK.replace(self.0.take()));
            }
        }
        let _restore = Restore(HOOK.replace(Some(Rc::new(hook))));
        work()
    }

    /// What the environment wants to happen.
    #[derive(Debug)]
    struct Plan {
        name: String,
        /// Passes until it happens.
        left: AtomicU64,
        signal: Signal,
    }

    impl Plan {
        fn from_environment() -> Option<Self> {
            Self::parse(&std::env::var("BROKERLESS_AT").ok()?)
        }

        fn parse(text: &str) -> Option<Self> {
            let mut parts = text.split(':');
            let name = parts.next()?.to_owned();
            let left = AtomicU64::new(parts.next()?.parse().ok()?);
            let signal = match parts.next()? {
                "kill" => Signal::KILL,
                "stop" => Signal::STOP,
                _ => return None,
            };
            Some(Self { name, left, signal })
        }

        fn pass(&self, name: &str) {
            // Each pass counts once, whichever thread it is in; below zero nothing happens again.
            if name == self.name && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                if self.signal == Signal::STOP {
                    return syscall::stop_here();
                }
                // A signal to oneself is not refused.
                let _ = kill_process(getpid(), self.signal);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_hook_hears_of_the_points_of_its_thread_while_the_work_is_done() {
            let heard = Rc::new(RefCell::new(Vec::new()));
            let hook = {
                let heard = heard.clone();
                move |name| heard.borrow_mut().push(name)
            };

            with_hook(hook, || {
                point("a");
                std::thread::spawn(|| point("b")).join().unwrap();
            });
            point("c");

            assert_eq!(*heard.borrow(), ["a"]);
        }

        #[test]
        fn a_plan_names_a_point_how_many_passes_and_a_signal() {
            let plan = Plan::parse("append.written:7:stop").unwrap();

            assert_eq!(plan.name, "append.written");
            assert_eq!(plan.left.into_inner(), 7);
            assert_eq!(plan.signal, Signal::STOP);
            assert!(Plan::parse("append.written:7").is_none());
            assert!(Plan::parse("append.written:7:nap").is_none());
        }
    }
}
