//! A Redis server.

use std::net::SocketAddr;
use std::time::Duration;

use forewarm::lab::{self, Data, Persistence, RedisServer};
use forewarm::{RedisOptions, RedisTier};
use redis::{AsyncConnectionConfig, FromRedisValue, cmd};

use crate::faults::fault::Fault;

/// A server, and a user of it that may do no more than the tier asks for.
pub(super) struct RedisStore {
    pub(super) server: RedisServer,
}

const USER: &str = "engine";
const PASSWORD: &str = "secret";

const IN_TIME: Duration = Duration::from_mins(1);

impl RedisStore {
    pub(super) async fn launch(fault: Fault) -> Self {
        // Only what has been saved is found after a kill, if not all that was acknowledged is.
        let kept = if fault == Fault::Killed { Persistence::Aof } else { Persistence::Off };
        let options = lab::RedisOptions::default().persistence(kept);
        let store = Self { server: RedisServer::launch(options).await.unwrap() };
        let rule = RedisOptions::new(store.server.url()).acl_rule();
        let words = format!("ACL SETUSER {USER} on >{PASSWORD} {rule}");
        store.tell::<()>(&words).await;
        store.tell::<()>("ACL SAVE").await;
        store
    }

    pub(super) async fn open(&self, via: SocketAddr) -> RedisTier {
        let options = RedisOptions::new(self.server.url_at(via));
        options.credentials(USER, PASSWORD).open().await.unwrap()
    }

    /// Keeps what is there now, to be found after a kill.
    pub(super) async fn copy(&self) {
        self.server.save().await.unwrap();
    }

    pub(super) async fn begin(&self, fault: Fault) {
        match fault {
            Fault::Frozen(_) => self.server.freeze().unwrap(),
            Fault::Killed | Fault::Emptied | Fault::SetBack => self.server.kill().unwrap(),
            // Less than an empty server takes.
            Fault::Full => self.tell::<()>("CONFIG SET maxmemory 1000").await,
            // Of one who is not there.
            Fault::ReadOnly => self.tell::<()>("REPLICAOF 127.0.0.1 1").await,
            Fault::Revoked => {
                self.tell::<()>(&format!("ACL SETUSER {USER} off")).await;
                let _killed: u64 = self.tell(&format!("CLIENT KILL USER {USER}")).await;
            }
            _ => {}
        }
    }

    pub(super) async fn end(&self, fault: Fault) {
        match fault {
            Fault::Frozen(_) => self.server.thaw().unwrap(),
            Fault::Killed | Fault::SetBack => self.server.start(Data::Kept).await.unwrap(),
            Fault::Emptied => self.server.start(Data::Lost).await.unwrap(),
            Fault::Full => self.tell::<()>("CONFIG SET maxmemory 0").await,
            Fault::ReadOnly => self.tell::<()>("REPLICAOF NO ONE").await,
            Fault::Revoked => self.tell::<()>(&format!("ACL SETUSER {USER} on")).await,
            _ => {}
        }
    }

    pub(super) async fn deafen(&self) {
        let _killed: u64 = self.tell("CLIENT KILL TYPE pubsub").await;
    }

    async fn tell<T: FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        let client = redis::Client::open(self.server.url()).unwrap();
        // A machine that is busy is no fault of the server's.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(IN_TIME))
            .set_response_timeout(Some(IN_TIME));
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}
