//! The dashboard, in a real browser.

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use self::service::{HOSTILE, Service};
use super::browser::{ARROW_LEFT, Browser, ENTER, ESCAPE, TAB};

mod keyboard;
mod login;
mod looks;
mod service;
mod steady;

/// A browser takes what a small machine has: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// A service, and a browser that shows its dashboard.
struct Shown {
    browser: Browser,
    service: Service,
    _turn: MutexGuard<'static, ()>,
}

impl Shown {
    async fn with(settings: &str) -> Self {
        let turn = TURN.lock().await;
        let service = Service::start(settings).await;
        let browser = Browser::start().await;
        browser.go(&service.page()).await;
        Self { browser, service, _turn: turn }
    }

    /// One that is let in, and hears what happens.
    async fn live() -> Self {
        let shown = Self::with("").await;
        shown.browser.until(LIVE).await;
        shown
    }

    async fn read_users(&self, keys: std::ops::Range<u32>) {
        for key in keys {
            self.service.read("user", &key.to_string()).await;
        }
    }
}

const LIVE: &str = "document.getElementById('live').textContent === 'live'";

/// The text of a row of a table that begins with a name, as an expression.
fn row(table: &str, name: &str) -> String {
    format!(
        "[...document.querySelectorAll('#{table} tbody tr')].map((row) => row.innerText)\
         .find((text) => text.trim().startsWith({}))",
        json!(name)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_service_does_and_complains_of_nothing() {
    let shown = Shown::live().await;
    shown.read_users(1..20).await;
    let browser = &shown.browser;
    for (table, name) in [
        ("score", "user"),
        ("tiers", "note"),
        ("hot", "19"),
        ("job-list", "popular"),
        ("job-list", "nightly"),
        ("components", "l2"),
        ("snapshots", "teams"),
    ] {
        browser.until(&row(table, name)).await;
    }
    browser.until("document.querySelector('#nodes tbody tr').innerText.includes('this one')").await;
    browser.until("document.getElementById('health').textContent === 'up'").await;
    browser.until("document.getElementById('version').textContent !== ''").await;
    browser.until("document.querySelectorAll('#charts figure path.line').length >= 6").await;
    assert_eq!(browser.log().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_come_live_and_come_again_after_a_restart() {
    let mut shown = Shown::live().await;
    // As many as no other reads of this service are.
    shown.read_users(1..151).await;
    let reads = format!("({}).includes('150')", row("tiers", "user"));
    shown.browser.until(&reads).await;
    // The events alone tell the tiles and the charts.
    shown
        .browser
        .until("document.querySelector('#charts h3').textContent.includes('of reads did not wait')")
        .await;
    shown
        .browser
        .until("Number(document.querySelector('.plot').getAttribute('aria-valuemax')) >= 2")
        .await;
    shown.service.stop();
    shown.browser.until("document.getElementById('live').textContent === 'reconnecting'").await;
    // Nobody knows how it is doing, and what is shown is marked as old.
    shown.browser.until("document.getElementById('health').textContent === 'unknown'").await;
    shown.browser.until("document.body.classList.contains('old')").await;
    shown.service.launch();
    shown.browser.until(LIVE).await;
    shown.browser.until("document.getElementById('health').textContent === 'up'").await;
    shown.browser.until("!document.body.classList.contains('old')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_filtered_as_one_types() {
    let shown = Shown::live().await;
    shown.read_users(1..40).await;
    let browser = &shown.browser;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 39").await;
    browser.fill("#filter", "user 3").await;
    // 3, and 30 to 39.
    browser.until("document.querySelectorAll('#hot tbody tr').length === 11").await;
    assert_eq!(browser.text("#filtered").await, "11 of 39 keys");
    browser.fill("#filter", "nobody").await;
    browser.until("document.querySelector('#hot .nothing').checkVisibility()").await;
    assert_eq!(browser.text("#hot .nothing").await, "No key matches.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_paused_and_resumed() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    browser.click("[aria-label='Run popular now']").await;
    browser.until("document.getElementById('runs-title').textContent === 'Runs of popular'").await;
    let done = "[...document.querySelectorAll('#runs tbody tr')].some((row) => \
                row.innerText.includes('manual') && row.innerText.includes('succeeded'))";
    browser.until(done).await;
    browser
        .until("document.getElementById('messages').innerText.includes('popular triggered')")
        .await;
    browser.click("[aria-label='Pause nightly']").await;
    browser.until(&format!("({}).includes('paused')", row("job-list", "nightly"))).await;
    browser.click("[aria-label='Resume nightly']").await;
    browser.until(&format!("!({}).includes('paused')", row("job-list", "nightly"))).await;
    // Who has done it, newest first.
    browser.until("document.querySelectorAll('#audit-rows tbody tr').length === 3").await;
    let audit = browser.text("#audit-rows tbody").await;
    let places = ["resume", "pause", "trigger"].map(|action| audit.find(action).unwrap());
    assert!(places.is_sorted(), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_renewed() {
    let shown = Shown::live().await;
    shown.browser.click("[aria-label='Renew teams']").await;
    let told = "document.getElementById('messages').innerText.includes('teams renewed')";
    shown.browser.until(told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_explained_in_sentences() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    for _ in 0..3 {
        shown.read_users(5..7).await;
    }
    browser.until("document.querySelector('#explain-resource option[value=user]')").await;
    browser.script("document.getElementById('explain-resource').value = 'user'").await;
    browser.fill("#explain-key", "5").await;
    browser.click("#explain-form button").await;
    browser.until("document.querySelector('#explained .summary')").await;
    let explained = browser.text("#explained").await;
    for part in ["5 of user", "fresh: a value", "somebody waited for it", "probable", "/s now"] {
        assert!(explained.contains(part), "no {part:?} in {explained}");
    }
    // A key that was never read has a reason too; from the table, one click suffices.
    browser.fill("#explain-key", "no number").await;
    browser.click("#explain-form button").await;
    browser.until("document.querySelector('#explained').innerText.includes('no number')").await;
    assert!(browser.text("#explained").await.contains("Not loaded ahead"));
    browser.click("[aria-label='Explain 6 of user']").await;
    browser.until("document.querySelector('#explained h4').innerText === '6 of user'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_key_is_a_text_wherever_it_stands() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    for _ in 0..5 {
        shown.service.read("note", HOSTILE).await;
        shown.read_users(1..2).await;
    }
    let cell = "document.querySelector('#hot tbody code')";
    browser.until(&format!("[...document.querySelectorAll('#hot tbody code')].some((code) => code.textContent === {})", json!(HOSTILE))).await;
    browser.until(cell).await;
    browser.script("document.getElementById('explain-resource').value = 'note'").await;
    browser.fill("#explain-key", HOSTILE).await;
    browser.click("#explain-form button").await;
    browser.until("document.querySelector('#explained .summary')").await;
    let title = browser.script("return document.querySelector('#explained h4').textContent").await;
    assert_eq!(title, format!("{HOSTILE} of note"));
    // What was read one after the other stands among the associations.
    browser.until("document.querySelector('#pairs tbody').textContent.includes('onerror')").await;
    let pictures = browser.script("return document.querySelectorAll('main img').length").await;
    assert_eq!(pictures, 0);
    assert_eq!(browser.script("return document.title").await, "forewarm");
    // Were a part of the page to read texts as markup, the browser would not let it.
    let refused =
        "try { document.body.innerHTML = ''; return 'taken' } catch (e) { return e.name }";
    assert_eq!(browser.script(refused).await, "TypeError");
}
