//! A browser of one's own, driven over the W3C protocol for that.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::served::client;

/// Long enough for whatever comes by itself, on a machine that is busy with other things.
const IN_TIME: Duration = Duration::from_secs(60);

/// Keys that are no letters, as the protocol names them.
pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";
pub(super) const ESCAPE: &str = "\u{e00c}";
pub(super) const ARROW_LEFT: &str = "\u{e012}";

/// How the protocol writes a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium with one page. It ends with the value.
pub(super) struct Browser {
    client: reqwest::Client,
    session: String,
    driver: Driver,
}

impl Browser {
    /// Starts it.
    pub(super) async fn start() -> Self {
        let driver = Driver::start();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1440,1000",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let client = client();
        let sessions = format!("http://127.0.0.1:{}/session", driver.port);
        let answer = client.post(&sessions).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str();
        let id = id.unwrap_or_else(|| panic!("no browser: {answer}"));
        Self { client, session: format!("{sessions}/{id}"), driver }
    }

    /// Goes to a page.
    pub(super) async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub(super) async fn reload(&self) {
        self.post("refresh", json!({})).await;
    }

    /// What a script returns.
    pub(super) async fn script(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until a script returns something that counts as true.
    pub(super) async fn until(&self, script: &str) {
        let come = async {
            while self.script(&format!("return !!({script})")).await != true {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(IN_TIME, come).await.is_err() {
            let page = self.script("return document.body.innerText").await;
            panic!("never came: {script}; the page says: {page}; {:?}", self.log().await);
        }
    }

    /// The text of an element, as one sees it; waits for the element.
    pub(super) async fn text(&self, selector: &str) -> String {
        let path = format!("element/{}/text", self.find(selector).await);
        self.get(&path).await.as_str().unwrap().to_owned()
    }

    /// Clicks where an element is.
    pub(super) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        // A page that scrolls smoothly is still on its way when the click comes.
        let near = "scrollIntoView({ behavior: 'instant', block: 'center' })";
        self.script(&format!("document.querySelector({}).{near}", json!(selector))).await;
        let path = format!("element/{element}/click");
        self.post(&path, json!({})).await;
    }

    /// Types into an element, in place of what stands there.
    pub(super) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.post(&format!("element/{element}/clear"), json!({})).await;
        self.post(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(super) async fn press(&self, keys: &[&str]) {
        let strokes = keys.iter().flat_map(|key| ["keyDown", "keyUp"].map(|kind| (kind, key)));
        let strokes: Vec<_> =
            strokes.map(|(kind, key)| json!({ "type": kind, "value": key })).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    /// Has the browser take another look at the world, such as another size of its screen.
    pub(super) async fn emulate(&self, what: &str, terms: Value) {
        let command = json!({ "cmd": format!("Emulation.{what}"), "params": terms });
        self.post("goog/cdp/execute", command).await;
    }

    /// What the page has complained of since it was last asked.
    pub(super) async fn log(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({ "type": "browser" })).await;
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    async fn find(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({})", json!(selector))).await;
        let terms = json!({ "using": "css selector", "value": selector });
        self.post("element", terms).await[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        self.answer(self.client.get(format!("{}/{path}", self.session))).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.answer(self.client.post(format!("{}/{path}", self.session)).json(&body)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let is_good = answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(is_good, "{answer}");
        answer["value"].take()
    }
}

/// Without this the browser would outlive its driver.
impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        let closing = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let closing = async move { client().delete(session).send().await };
            runtime.block_on(async { tokio::time::timeout(IN_TIME, closing).await })?.ok();
            std::io::Result::Ok(())
        });
        drop(closing.join());
        drop(self.driver.child.kill());
        drop(self.driver.child.wait());
    }
}

/// What drives the browser.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("chromedriver: {error}; apt-get install chromium chromium-driver")
        });
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "chromedriver did not start");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        // It would wait for somebody to read what else it says.
        thread::spawn(move || drop(said.read_to_end(&mut Vec::new())));
        Self { child, port }
    }
}
