//! Light and dark, large and small.

use serde_json::json;

use super::{Browser, Shown};

async fn background(browser: &Browser) -> String {
    let script = "return getComputedStyle(document.body).backgroundColor";
    browser.script(script).await.as_str().unwrap().to_owned()
}

async fn prefer(browser: &Browser, name: &str, value: &str) {
    let features = json!({ "features": [{ "name": name, "value": value }] });
    browser.emulate("setEmulatedMedia", features).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_light_or_dark_as_the_system_or_somebody_says() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    prefer(browser, "prefers-color-scheme", "light").await;
    let light = background(browser).await;
    prefer(browser, "prefers-color-scheme", "dark").await;
    let dark = background(browser).await;
    assert_ne!(light, dark);
    browser.click("#theme option[value=light]").await;
    assert_eq!(background(browser).await, light);
    browser.reload().await;
    assert_eq!(background(browser).await, light, "it is forgotten");
    browser.click("#theme option[value='']").await;
    assert_eq!(background(browser).await, dark);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_where_that_is_not_wanted() {
    let shown = Shown::with("").await;
    let browser = &shown.browser;
    prefer(browser, "prefers-reduced-motion", "reduce").await;
    let moving = "return [...document.querySelectorAll('*')].filter((element) => {\
                  const look = getComputedStyle(element, '::before');\
                  return look.animationName !== 'none' || getComputedStyle(element).scrollBehavior !== 'auto';\
                  }).length";
    assert_eq!(browser.script(moving).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_needs_not_scroll_sideways() {
    let shown = Shown::live().await;
    let browser = &shown.browser;
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    browser.emulate("setDeviceMetricsOverride", phone).await;
    for _ in 0..3 {
        shown.service.read("note", super::HOSTILE).await;
    }
    shown.read_users(1..20).await;
    browser.until("document.querySelectorAll('#hot tbody tr').length === 20").await;
    let widths = "return [document.documentElement.scrollWidth, innerWidth]";
    assert_eq!(browser.script(widths).await, json!([390, 390]));
    // Cards stand one below the other, and tables scroll within theirs.
    let columns = "return new Set([...document.querySelectorAll('.card')].map((card) => \
                   Math.round(card.getBoundingClientRect().left))).size";
    assert_eq!(browser.script(columns).await, 1);
    let tiers = "const box = document.querySelector('#tiers .scroll');\
                 return box.scrollWidth > box.clientWidth && box.clientWidth < 390";
    assert_eq!(browser.script(tiers).await, true);
}
