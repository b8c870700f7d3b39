//! Connections of their own, for calls that must not wait for the others nor for their runtime.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join;
use parking_lot::Mutex;
use redis::Value;
use tokio::runtime::{self, Handle};
use tokio::time::Instant;

use super::fault::Fault;
use super::link::{Link, Shared};
use super::open::{Open, Visitor};
use super::options::RedisOptions;
use super::route::Route;
use super::script::Call;

/// The connections of one runtime: that of whoever made the last call.
#[derive(Debug)]
pub(super) struct Apart {
    options: RedisOptions,
    state: Mutex<Option<Arc<State>>>,
}

#[derive(Debug)]
struct State {
    runtime: runtime::Id,
    route: Route,
    /// By the slots of domains.
    opens: Mutex<HashMap<u16, Arc<Open>>>,
}

impl Apart {
    pub(super) const fn new(options: RedisOptions) -> Self {
        Self { options, state: Mutex::new(None) }
    }

    /// Calls a script in a domain; once more on a new connection if the one before is no good. The
    /// answer counts only if the server has not been replaced until the call began.
    pub(super) async fn call(&self, link: &Link, call: &Call<'_>) -> Result<Value, Fault> {
        let (state, slot) = (self.here()?, link.names.slot());
        let known = state.opens.lock().remove(&slot);
        if let Some(open) = known
            && let Ok(answer) = state.confirmed(&link.shared, &open, call).await
        {
            state.opens.lock().insert(slot, open);
            return Ok(answer);
        }
        let (began_at, timeout) = (Instant::now(), link.shared.response_timeout);
        let info = state.route.locate(slot, began_at, timeout).await?;
        let (names, layout, clock) = (&link.names, &link.shared.layout, &link.shared.clock);
        let visitor = Visitor { names, layout, clock, began_at };
        let open = Arc::new(Open::new(&info, timeout, visitor).await?.0);
        let answer = state.confirmed(&link.shared, &open, call).await?;
        state.opens.lock().insert(slot, open);
        Ok(answer)
    }

    /// What belongs to the runtime of the caller.
    fn here(&self) -> Result<Arc<State>, Fault> {
        let runtime = Handle::current().id();
        let mut state = self.state.lock();
        if let Some(state) = state.as_ref().filter(|state| state.runtime == runtime) {
            return Ok(Arc::clone(state));
        }
        // They could be read when the tier was opened.
        let route = self.options.route().map_err(|_error| Fault::Closed)?;
        let new = Arc::new(State { runtime, route, opens: Mutex::default() });
        *state = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Ends the connections.
    pub(super) fn close(&self) {
        *self.state.lock() = None;
    }
}

impl State {
    async fn confirmed(
        &self,
        shared: &Shared,
        open: &Open,
        call: &Call<'_>,
    ) -> Result<Value, Fault> {
        let confirmed = self.route.confirm(&open.address, shared.response_timeout);
        let (answer, confirmed) = join(open.call(call), confirmed).await;
        confirmed?;
        answer
    }
}
