//! Who is let in, and what those are told who are not.

use super::Shown;
use super::service::{LOOKER, OPS, WRITER};

pub(super) const TOKENS: &str = r#"
[auth]
tokens = [
    { name = "ops", secret = { env = "OPS" }, scopes = ["read", "write", "admin"] },
    { name = "looker", secret = { env = "LOOKER" }, scopes = ["read"] },
    { name = "writer", secret = { env = "WRITER" }, scopes = ["write"] },
]
"#;

pub(super) const ASKED: &str = "document.getElementById('login').open";

async fn log_in(shown: &Shown, token: &str) {
    shown.browser.fill("#token", token).await;
    shown.browser.click("#login-form [type=submit]").await;
}

async fn is_refused(shown: &Shown, why: &str) {
    let told = format!("document.getElementById('login-problem').innerText.includes('{why}')");
    shown.browser.until(&told).await;
    assert_eq!(shown.browser.script("return sessionStorage.length").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_forgotten_at_the_end() {
    let shown = Shown::with(TOKENS).await;
    let browser = &shown.browser;
    browser.until(ASKED).await;
    log_in(&shown, "wrong-token-of-more-than-thirty-two-bytes").await;
    is_refused(&shown, "not known").await;
    // No header can hold it, so that it is no token.
    log_in(&shown, "\u{43a}\u{43b}\u{44e}\u{447}").await;
    is_refused(&shown, "not known").await;
    log_in(&shown, OPS.1).await;
    browser.until(super::LIVE).await;
    browser.click("[aria-label='Run popular now']").await;
    browser.until("document.querySelector('#runs tbody')?.innerText.includes('manual')").await;
    browser.until("document.querySelector('#audit-rows tbody')?.innerText.includes('ops')").await;
    // It is known to this tab, and to nothing that lasts.
    browser.reload().await;
    browser.until(super::LIVE).await;
    let kept = browser.script("return JSON.stringify(localStorage) + document.cookie").await;
    assert!(!kept.as_str().unwrap().contains("token-of"), "{kept}");
    browser.click("#log-out").await;
    browser.until(ASKED).await;
    assert_eq!(browser.script("return sessionStorage.length").await, 0);
    let rows = browser.script("return document.querySelectorAll('tbody tr').length").await;
    assert_eq!(rows, 0, "what was shown is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_is_told_what_is_missing() {
    let shown = Shown::with(TOKENS).await;
    let browser = &shown.browser;
    browser.until(ASKED).await;
    log_in(&shown, WRITER.1).await;
    is_refused(&shown, "lacks the scope \u{201c}read\u{201d}").await;
    log_in(&shown, LOOKER.1).await;
    browser.until(super::LIVE).await;
    browser.click("[aria-label='Run popular now']").await;
    let told = "document.getElementById('messages').innerText.includes('lacks the scope \u{201c}admin\u{201d}')";
    browser.until(told).await;
    // It goes on showing what it may.
    browser.until(super::LIVE).await;
}
