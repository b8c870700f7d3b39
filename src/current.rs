//! What holds while a task runs.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::LocalKey;

use pin_project_lite::pin_project;

/// What holds for the code of a task, as [`tokio::task_local!`] has it, where every hit asks: a word of
/// the thread without a destructor costs one instruction to read.
pub(crate) type Current<T> = LocalKey<Cell<T>>;

pin_project! {
    /// A future for whose code something holds.
    pub(crate) struct Within<T, F>
    where
        T: 'static,
    {
        current: &'static Current<T>,
        value: T,
        #[pin]
        future: F,
    }
}

/// Lets `value` hold while `future` runs.
pub(crate) fn within<T: Copy, F: Future>(
    current: &'static Current<T>,
    value: T,
    future: F,
) -> Within<T, F> {
    Within { current, value, future }
}

impl<T: Copy, F: Future> Future for Within<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        enter(this.current, *this.value, || this.future.poll(cx))
    }
}

/// Lets `value` hold while `function` runs.
pub(crate) fn enter<T: Copy, R>(
    current: &'static Current<T>,
    value: T,
    function: impl FnOnce() -> R,
) -> R {
    let _outer = Restore { current, outer: current.replace(value) };
    function()
}

/// Brings back what held before, whether the function returns or panics.
struct Restore<T: Copy + 'static> {
    current: &'static Current<T>,
    outer: T,
}

impl<T: Copy> Drop for Restore<T> {
    fn drop(&mut self) {
        self.current.set(self.outer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }

    #[tokio::test]
    async fn it_holds_for_the_code_of_the_future_alone() {
        let seen = async {
            let before = NUMBER.get();
            tokio::task::yield_now().await;
            (before, NUMBER.get(), enter(&NUMBER, 8, || NUMBER.get()), NUMBER.get())
        };
        let others = async { NUMBER.get() };
        let both = futures_util::future::join(within(&NUMBER, 7, seen), others).await;
        assert_eq!((both, NUMBER.get()), (((7, 7, 8, 7), 0), 0));
    }

    #[test]
    fn a_panic_ends_it() {
        let panics = || enter(&NUMBER, 7, || panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(NUMBER.get(), 0);
    }
}
