//! What stays as it is, and what goes by itself.

use serde_json::json;

use super::login::{ASKED, TOKENS};
use super::{LIVE, Shown};

/// A table with a row, whose key is marked and selected.
const SELECT: &str = "
const code = document.querySelector('#hot tbody code');
window.points = () => code.closest('tr').querySelector('.sparkline path').getAttribute('d').split(/[ML]/).length;
window.before = points();
getSelection().selectAllChildren(code);
return getSelection().toString()";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_stays_selected() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    for _ in 0..3 {
        shown.read_users(7..8).await;
    }
    browser.until("document.querySelector('#hot .sparkline path')?.getAttribute('d')").await;
    assert_eq!(browser.script(SELECT).await, "7");
    // Two samples more were drawn beside it.
    browser.until("points() >= before + 2").await;
    assert_eq!(browser.script("return getSelection().toString()").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_be_missing_before_it_is_known() {
    let shown = Shown::with(TOKENS).await;
    let browser = &shown.browser;
    browser.until(ASKED).await;
    let said = "return [...new Set([...document.querySelectorAll('.nothing')].map((text) => text.textContent))]";
    assert_eq!(browser.script(said).await, json!(["Not loaded yet."]));
}

/// Counts what is said, and how often is asked for a place among the listeners; lets nobody ask before
/// `ask()`.
const COUNT: &str = "
window.said = window.asked = 0;
const may_ask = new Promise((ask) => { window.ask = ask; });
new MutationObserver((changes) => changes.forEach(({ addedNodes }) => said += addedNodes.length))
  .observe(document.getElementById('messages'), { childList: true, subtree: true, characterData: true });
const send = fetch;
window.fetch = async (path, ...terms) => {
  if (String(path).includes('/admin/events')) {
    await may_ask;
    asked += said > 0;
  }
  return send(path, ...terms);
};";

/// How many may listen at a time.
const PLACES: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_said_once_and_no_more_when_it_is_over() {
    let mut shown = Shown::live().await;
    shown.browser.script(COUNT).await;
    shown.service.stop();
    shown.browser.until("document.getElementById('live').textContent === 'reconnecting'").await;
    shown.service.launch();
    let mut listening = Vec::new();
    for _ in 0..PLACES {
        listening.push(shown.service.listen().await);
        assert_eq!(listening.last().unwrap().status(), 200);
    }
    shown.browser.script("ask()").await;
    let told = "document.getElementById('messages').innerText.includes('Too many listen already.')";
    shown.browser.until(told).await;
    shown.browser.until("asked >= 3").await;
    assert_eq!(shown.browser.script("return said").await, 1);
    drop(listening);
    shown.browser.until(LIVE).await;
    shown.browser.until("document.getElementById('messages').childElementCount === 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_looked_at_alone() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    shown.read_users(1..12).await;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 11").await;
    let reads = "[...document.querySelectorAll('#tiles div')].find((tile) => tile.innerText.startsWith('Reads'))\
                 .querySelector('b').textContent";
    browser.until(&format!("/[1-9]/.test({reads})")).await;
    browser.click("#resource option[value=note]").await;
    browser.until(&format!("{reads} === '0/s'")).await;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 0").await;
    // What came before it was looked at is known as well.
    browser.click("#resource option[value=user]").await;
    browser.until(&format!("/[1-9]/.test({reads})")).await;
    browser.until(LIVE).await;
    assert_eq!(browser.log().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_another_node_is_seen_here() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    browser.until(&super::row("job-list", "popular")).await;
    let choose = "[...document.querySelectorAll('#job-list .link')].find((job) => job.textContent === 'popular').click()";
    browser.script(choose).await;
    browser.until("document.getElementById('runs-title').textContent === 'Runs of popular'").await;
    let other = shown.service.another();
    assert_eq!(other.post("/admin/jobs/popular/trigger", &json!({})).await.0, 202);
    browser.until("document.querySelector('#runs tbody').innerText.includes('manual')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_not_asked_for_twice_at_once() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    browser.until("document.querySelector(\"[aria-label='Run popular now']\")").await;
    let twice = "const button = document.querySelector(\"[aria-label='Run popular now']\");\
                 button.click(); button.click(); return button.ariaDisabled";
    assert_eq!(browser.script(twice).await, "true");
    let free =
        "document.querySelector(\"[aria-label='Run popular now']\").ariaDisabled === 'false'";
    browser.until(free).await;
    browser.until("document.querySelectorAll('#audit-rows tbody tr').length === 1").await;
}
