//! A PostgreSQL server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use forewarm::lab::{self, Data, PostgresServer};
use forewarm::{PostgresOptions, PostgresTier};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query};

use crate::faults::fault::Fault;

/// A server, and a role that owns nothing but what the tier creates.
pub(super) struct PostgresStore {
    pub(super) server: PostgresServer,
}

impl PostgresStore {
    pub(super) async fn launch() -> Self {
        let server = PostgresServer::launch(lab::PostgresOptions::default()).await.unwrap();
        let store = Self { server };
        let role = ["create role engine login", "grant create on database postgres to engine"];
        store.tell(&role).await;
        store
    }

    pub(super) async fn open(&self, via: SocketAddr) -> PostgresTier {
        let url = self.server.url_at(via).replace("postgres://postgres@", "postgres://engine@");
        PostgresOptions::new(&url).unwrap().connections(4).open().await.unwrap()
    }

    /// Copies the data as they are now, as a crash would leave them.
    pub(super) async fn copy(&self) {
        self.server.kill().unwrap();
        let directory = self.server.directory();
        copy(&directory.join("data"), &directory.join("kept"));
        self.server.start(Data::Kept).await.unwrap();
    }

    pub(super) async fn begin(&self, fault: Fault) {
        match fault {
            Fault::Frozen(_) => self.server.freeze().unwrap(),
            Fault::Killed | Fault::Emptied | Fault::SetBack => self.server.kill().unwrap(),
            Fault::Revoked => {
                let end = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where usename = 'engine'";
                self.tell(&["alter role engine nologin", end]).await;
            }
            Fault::ReadOnly => {
                let set = "alter system set default_transaction_read_only = on";
                self.tell(&[set, "select pg_reload_conf()"]).await;
            }
            _ => {}
        }
    }

    pub(super) async fn end(&self, fault: Fault) {
        match fault {
            Fault::Frozen(_) => self.server.thaw().unwrap(),
            Fault::Killed => self.server.start(Data::Kept).await.unwrap(),
            Fault::SetBack => {
                let directory = self.server.directory();
                fs::remove_dir_all(directory.join("data")).unwrap();
                copy(&directory.join("kept"), &directory.join("data"));
                self.server.start(Data::Kept).await.unwrap();
            }
            Fault::Emptied => {
                self.server.start(Data::Lost).await.unwrap();
                let role =
                    ["create role engine login", "grant create on database postgres to engine"];
                self.tell(&role).await;
            }
            Fault::Revoked => self.tell(&["alter role engine login"]).await,
            Fault::ReadOnly => {
                let writable = "set default_transaction_read_only = off";
                let reset = "alter system reset default_transaction_read_only";
                self.tell(&[writable, reset, "select pg_reload_conf()"]).await;
            }
            _ => {}
        }
    }

    pub(super) async fn deafen(&self) {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity \
            where query ilike 'listen %' and usename = 'engine'";
        self.tell(&[end]).await;
    }

    async fn tell(&self, statements: &[&str]) {
        let mut connection = PgConnection::connect(&self.server.url()).await.unwrap();
        for statement in statements {
            let statement = AssertSqlSafe((*statement).to_owned());
            query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}

/// Copies a directory, with whom it belongs to.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}
