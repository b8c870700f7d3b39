//! All of it, without a pointer.

use super::{ARROW_LEFT, Browser, ENTER, ESCAPE, LIVE, Shown, TAB};

/// More than there is to be reached.
const STEPS_MAX: usize = 200;

/// Remembers what has had the focus, and whether one could see it.
const WATCH: &str = "
window.seen = new Set();
window.unmarked = [];
addEventListener('focusin', ({ target }) => {
  seen.add(target);
  const marked = target.type === 'radio' ? target.nextElementSibling : target;
  const { outlineStyle } = getComputedStyle(marked);
  if (outlineStyle === 'none' && target.id !== 'main') unmarked.push(target.outerHTML.slice(0, 90));
});";

/// What can be used and was not reached; of a group of choices, the chosen one is.
const MISSED: &str = "
return [...document.querySelectorAll('a[href], button, select, input, summary, [tabindex=\"0\"]')]
  .filter((element) => element.checkVisibility() && !(element.type === 'radio' && !element.checked))
  .filter((element) => !seen.has(element))
  .map((element) => element.outerHTML.slice(0, 90));";

/// Goes on until an expression about the element with the focus holds.
async fn tab_to(browser: &Browser, is_it: &str) {
    for _ in 0..STEPS_MAX {
        let script = format!("const at = document.activeElement; return !!({is_it})");
        if browser.script(&script).await == true {
            return;
        }
        browser.press(&[TAB]).await;
    }
    panic!("never reached: {is_it}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_and_seen_by_the_keyboard_alone() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    shown.read_users(1..6).await;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 5").await;
    browser.until("document.querySelectorAll('#snapshots tbody tr').length === 1").await;
    browser.script(WATCH).await;
    tab_to(browser, "at.id === 'theme'").await;
    tab_to(browser, "at === document.body || at.className === 'skip'").await;
    let missed = browser.script(MISSED).await;
    assert_eq!(missed.as_array().unwrap().len(), 0, "not reached: {missed:#}");
    let unmarked = browser.script("return unmarked").await;
    assert_eq!(unmarked.as_array().unwrap().len(), 0, "not to be seen: {unmarked:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_and_a_chart_is_read_by_the_keyboard() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    browser.press(&[TAB]).await;
    let first = browser.script("return document.activeElement.textContent").await;
    assert_eq!(first, "Skip to the figures");
    browser.press(&[ENTER]).await;
    browser.until("document.activeElement.id === 'main'").await;
    browser
        .until("Number(document.querySelector('.plot').getAttribute('aria-valuemax')) >= 3")
        .await;
    tab_to(browser, "at.className === 'plot'").await;
    browser.press(&[ARROW_LEFT, ARROW_LEFT]).await;
    // All charts tell of the same instant.
    let chosen = "[...document.querySelectorAll('.legend .at')].every((at) => /^\\d\\d:\\d\\d:\\d\\d$/.test(at.textContent))";
    browser.until(chosen).await;
    let told = browser.script("return document.activeElement.getAttribute('aria-valuetext')").await;
    assert!(told.as_str().unwrap().contains("with preloading"), "{told}");
    browser.press(&[ESCAPE]).await;
    browser.until("document.querySelector('.legend .at').textContent === 'now'").await;
    tab_to(browser, "at.ariaLabel === 'Run popular now'").await;
    browser.press(&[ENTER]).await;
    browser.until("document.querySelector('#runs tbody').innerText.includes('manual')").await;
    // The focus stays where it was.
    let focused = browser.script("return document.activeElement.ariaLabel").await;
    assert_eq!(focused, "Run popular now");
    browser.until(LIVE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_has_a_name_and_what_does_not_scroll_is_no_stop() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    shown.read_users(1..60).await;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 59").await;
    let nameless = "return [...document.querySelectorAll('th')].filter((title) => title.textContent.trim() === '').length";
    assert_eq!(browser.script(nameless).await, 0);
    browser.until("document.getElementById('health').textContent === 'up'").await;
    let states = "return document.querySelector('[role=status].states').textContent.replace(/\\s+/g, ' ').trim()";
    assert_eq!(browser.script(states).await, "Service: up Figures: live");
    let scrolls = "box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight";
    let boxes = "[...document.querySelectorAll('.scroll')].filter((box) => box.checkVisibility())";
    browser
        .until(&format!("{boxes}.every((box) => box.hasAttribute('tabindex') === ({scrolls}))"))
        .await;
    browser.until("document.querySelector('#hot .scroll[tabindex]')").await;
    browser.until("document.querySelector('#job-list .scroll:not([tabindex])')").await;
}
