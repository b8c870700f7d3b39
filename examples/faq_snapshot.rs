//! The sections of a help centre: loaded at the start and every day at midnight, from an HTTP source
//! that can fail, and that can answer with half of them.
//!
//! ```sh
//! cargo run --features service --example faq_snapshot
//! ```
#![expect(clippy::print_stdout, reason = "this program shows something")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use forewarm::{Forewarm, LoadError, Snapshot, SnapshotStatus, SourcePolicy, SqliteTier};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

/// The dataset, replaced as a whole: the ids and the sections always belong together.
#[derive(Debug, Deserialize, Serialize)]
struct Faq {
    sec_ids: Vec<u64>,
    faq_sections: Vec<Section>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Section {
    id: u64,
    name: String,
}

/// When it is renewed, as an application would read it from its settings.
const CACHE_REFRESH_HOUR: u8 = 0;
const CACHE_REFRESH_MINUTE: u8 = 0;
const ZONE: &str = "Asia/Shanghai";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // reqwest is built without one here, and takes what the process has.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir()?;
    let help_desk = HelpDesk::open().await?;

    let (forewarm, faq) = engine(folder.path(), help_desk.address).await?;
    println!("start: sections {:?}, {} request", faq.loaded().await?.sec_ids, help_desk.asked());
    println!("snapshot: {}", serde_json::to_string(&Shown::of(&faq))?);

    let answers = join_all((0..20).map(|_| faq.refresh())).await;
    let renewed = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("20 ask for a refresh: {renewed} get it, {} request", help_desk.asked());

    help_desk.has(None);
    let error = faq.refresh().await.err().map(|error| chain(&error)).unwrap_or_default();
    println!("the source fails: {error}");
    println!("readers have {:?}, failures {}", ids(&faq), faq.status().consecutive_failures);

    help_desk.has(Some(1));
    let error = faq.refresh().await.err().map(|error| chain(&error)).unwrap_or_default();
    println!("it answers with one section: {error}");
    println!("readers have {:?}, failures {}", ids(&faq), faq.status().consecutive_failures);
    println!("taken all the same: {:?}", faq.refresh_unchecked().await?.sec_ids);
    forewarm.shutdown(Duration::from_secs(5)).await;
    help_desk.asked();

    help_desk.has(None);
    let (forewarm, faq) = engine(folder.path(), help_desk.address).await?;
    println!("restart: sections {:?}, {} requests", faq.loaded().await?.sec_ids, help_desk.asked());
    forewarm.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn engine(
    folder: &Path,
    help_desk: SocketAddr,
) -> Result<(Forewarm, Snapshot<Faq>), Box<dyn Error>> {
    let tier = SqliteTier::open(folder.join("faq.db")).await?;
    let forewarm = Forewarm::builder().prefix("help").tier(tier).build().await?;
    let client = reqwest::Client::new();
    let faq =
        forewarm
            .snapshot("faq")
            .daily_at(CACHE_REFRESH_HOUR, CACHE_REFRESH_MINUTE, ZONE)
            .jitter(Duration::from_secs(30))
            .refuse_shrinking(0.5, |faq: &Faq| faq.sec_ids.len())
            // The job tries again; here one attempt is enough for each of its runs.
            .source(SourcePolicy {
                deadline: Duration::from_secs(10),
                attempts: 1,
                ..SourcePolicy::default()
            })
            .load_with(move || {
                let client = client.clone();
                async move {
                    list_all_faq_sections(&client, help_desk).await.map_err(LoadError::transient)
                }
            })
            .build()?;
    forewarm.start().await?;
    Ok((forewarm, faq))
}

async fn list_all_faq_sections(
    client: &reqwest::Client,
    help_desk: SocketAddr,
) -> reqwest::Result<Faq> {
    let response = client.get(format!("http://{help_desk}/sections")).send().await?;
    let faq_sections: Vec<Section> = response.error_for_status()?.json().await?;
    Ok(Faq { sec_ids: faq_sections.iter().map(|section| section.id).collect(), faq_sections })
}

/// What an endpoint would show of it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    faq: Option<Arc<Faq>>,
    #[serde(flatten)]
    status: SnapshotStatus,
}

impl Shown {
    fn of(faq: &Snapshot<Faq>) -> Self {
        Self { faq: faq.get(), status: faq.status() }
    }
}

fn ids(faq: &Snapshot<Faq>) -> Vec<u64> {
    faq.get().map(|faq| faq.sec_ids.clone()).unwrap_or_default()
}

/// An error and its causes.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The source: an HTTP service of its own.
struct HelpDesk {
    address: SocketAddr,
    desk: Arc<Desk>,
}

struct Desk {
    asked: AtomicU64,
    /// How many sections it answers with; `usize::MAX` if it fails.
    sections: AtomicUsize,
}

impl HelpDesk {
    async fn open() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk { asked: AtomicU64::new(0), sections: AtomicUsize::new(4) });
        let router = Router::new().route("/sections", get(sections)).with_state(Arc::clone(&desk));
        #[expect(clippy::disallowed_methods, reason = "a service beside the engine, not of it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, desk })
    }

    /// The requests since the last time.
    fn asked(&self) -> u64 {
        self.desk.asked.swap(0, Relaxed)
    }

    fn has(&self, sections: Option<usize>) {
        self.desk.sections.store(sections.unwrap_or(usize::MAX), Relaxed);
    }
}

async fn sections(State(desk): State<Arc<Desk>>) -> Result<Json<Vec<Section>>, StatusCode> {
    desk.asked.fetch_add(1, Relaxed);
    let names = ["Billing", "Login", "Shipping", "Returns"];
    match desk.sections.load(Relaxed) {
        usize::MAX => Err(StatusCode::SERVICE_UNAVAILABLE),
        count => {
            let section = |(id, name): (u64, &str)| Section { id, name: name.to_owned() };
            Ok(Json((1..).zip(names).take(count).map(section).collect()))
        }
    }
}
