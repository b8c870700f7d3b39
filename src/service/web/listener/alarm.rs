//! The timer of a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;
use tokio::time;

/// The timer of a connection, which is set once and not for each request.
///
/// Hyper sets a timer whenever it begins to wait for a request, and drops it when that is there. Nearly
/// none ever rings, and each would cost a lock of the runtime twice. Here all of a connection share one:
/// it rings for the first of them, and goes on to the one that counts then.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarm(Arc<Mutex<Option<Pin<Box<time::Sleep>>>>>);

/// A time that somebody waits for.
#[derive(Debug)]
struct Ring {
    deadline: time::Instant,
    alarm: Alarm,
}

impl Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Ring { deadline: deadline.into(), alarm: self.clone() })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }
}

impl Sleep for Ring {}

impl Future for Ring {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut set = self.alarm.0.lock();
        let set = set.get_or_insert_with(|| Box::pin(time::sleep_until(self.deadline)));
        if self.deadline < set.deadline() {
            set.as_mut().reset(self.deadline);
        }
        loop {
            ready!(set.as_mut().poll(cx));
            if self.deadline <= set.deadline() {
                return Poll::Ready(());
            }
            // It was set for a request that has come in time.
            set.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_the_one_that_waits_and_not_for_those_that_went() {
        let (alarm, start) = (Alarm::default(), time::Instant::now());
        let at = |secs| (start + Duration::from_secs(secs)).into();
        let mut first = alarm.sleep_until(at(10));
        assert!(futures_util::future::poll_immediate(&mut first).await.is_none());
        drop(first);
        time::advance(Duration::from_secs(5)).await;
        alarm.sleep_until(at(15)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(15));
        let late = alarm.sleep_until(at(60));
        assert!(futures_util::future::poll_immediate(late).await.is_none());
        alarm.sleep_until(at(20)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    }
}
