//! The guides: files of settings in them work, what they show is what is answered, links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::readme::document;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents for people, by their paths in the project.
fn documents() -> Vec<PathBuf> {
    let of =
        |folder: &str| fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    of("").chain(of("docs")).chain(of("benches")).filter(is_document).collect()
}

/// How a heading is linked to: in small letters, with hyphens for spaces and without most signs.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1));
    targets.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let mut followed = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == heading), "{}: {link}", path.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 50, "{followed} links");
}

#[test]
fn every_guide_begins_with_two_lines_that_say_it_all() {
    for path in documents().iter().filter(|path| path.parent().unwrap().ends_with("docs")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["metrics.md", "source-systems.md"].contains(&name) {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text.lines().take(5).collect();
        assert!(lines[0].starts_with("# ") && lines[1].is_empty() && lines[4].is_empty(), "{name}");
        assert!(lines[2].ends_with('.') && lines[3].ends_with('.'), "{name}");
    }
}

#[test]
fn every_setting_of_the_file_is_in_the_guide() {
    let guide = document("docs/service.md");
    let words: BTreeSet<_> = guide
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let mut settings = 0;
    for file in ["server", "auth", "log", "l2", "source", "resource", "snapshot", "job"] {
        let source = document(&format!("src/service/settings/{file}.rs"));
        for line in source.lines() {
            let field = line.strip_prefix("    pub(crate) ").and_then(|rest| rest.split_once(": "));
            // Functions have a brace before their types.
            if let Some((name, _)) = field.filter(|(name, _)| !name.contains(['(', ' '])) {
                assert!(words.contains(name), "`{name}` of {file}.rs is not in docs/service.md");
                settings += 1;
            }
        }
    }
    assert!(settings > 60, "{settings} settings");
}

#[cfg(feature = "service")]
mod service {
    use std::process::Command;

    use reqwest::RequestBuilder;
    use serde_json::Value;

    use super::{document, documents};
    use crate::readme::replay::{log, rows};
    use crate::served::{COMMON, Served, command};
    use crate::waiting::until;

    /// The blocks of code in a document, each with what is said of it.
    fn blocks(text: &str) -> Vec<(&str, &str)> {
        let fenced = text.split("```").skip(1).step_by(2);
        fenced.filter_map(|block| block.split_once('\n')).collect()
    }

    /// The words of a command line, as a shell parts them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote, mut has_word) = (vec![String::new()], None, false);
        for c in line.chars() {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                (c, Some(_)) => words.last_mut().unwrap().push(c),
                ('"' | '\'', None) => (quote, has_word) = (Some(c), true),
                (c, None) if c.is_whitespace() => {
                    if has_word {
                        words.push(String::new());
                    }
                    has_word = false;
                }
                (c, None) => {
                    has_word = true;
                    words.last_mut().unwrap().push(c);
                }
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    /// The request that a command line of curl sends, and its path.
    fn request(served: &Served, line: &str) -> (RequestBuilder, String) {
        let words = words(line);
        let after = |option: &str| {
            words.iter().position(|word| word == option).map(|at| words[at + 1].as_str())
        };
        let url = words.iter().find(|word| word.starts_with("http")).unwrap();
        let path = url.strip_prefix("http://127.0.0.1:7700").unwrap().to_owned();
        let body = after("-d");
        let usual = if body.is_some() { "POST" } else { "GET" };
        let method = after("-X").unwrap_or(usual);
        let request = served.request(method, &path);
        let request = match after("-H").and_then(|header| header.split_once(": ")) {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        (request.body(body.unwrap_or_default().to_owned()), path)
    }

    /// Without how long a value is still fresh, which differs from time to time.
    fn timeless(header: &str) -> String {
        let (before, rest) = header.split_once("ttl=").unwrap_or((header, ""));
        format!("{before}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    }

    async fn is_held(served: &Served, path: &str) {
        until("it is held", async || {
            let request = served.request("GET", path).header("cache-control", "only-if-cached");
            request.send().await.unwrap().status() == 200
        })
        .await;
    }

    /// Sends what a console shows, and compares what is answered with what it shows.
    async fn replay(served: &Served, console: &str) -> usize {
        let mut asked = 0;
        for shown in console.split("$ curl ").skip(1) {
            let (line, shown) = shown.split_once('\n').unwrap();
            let (request, path) = request(served, line);
            if shown.contains("; hit;") {
                is_held(served, &path).await;
            }
            let answer = request.send().await.unwrap();
            let headers: Vec<_> = answer
                .headers()
                .iter()
                .map(|(name, value)| timeless(&format!("{name}: {}", value.to_str().unwrap())))
                .collect();
            let status = format!("HTTP/1.1 {}", answer.status());
            let body: Value = answer.json().await.unwrap();
            for shown in shown.lines() {
                let is_so = match serde_json::from_str::<Value>(shown) {
                    Ok(value) => value == body,
                    Err(_) => shown == status || headers.contains(&timeless(shown)),
                };
                assert!(is_so, "curl {line}: {shown}: {status} {headers:?} {body}");
            }
            asked += 1;
        }
        asked
    }

    #[tokio::test]
    async fn the_file_of_the_readme_answers_its_requests_as_it_says() {
        let readme = document("README.md");
        let blocks = blocks(&readme);
        let whole = |block: &&(&str, &str)| block.1.starts_with("# forewarm.toml");
        let settings = blocks.iter().find(whole).unwrap().1;
        let sql =
            readme.split("executescript(\"\"\"").nth(1).unwrap().split("\"\"\"").next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let shop = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&shop).await.unwrap();

        let variables =
            [("FOREWARM__SERVER__LISTEN", "127.0.0.1:0"), ("FOREWARM__LOG__FORMAT", "json")];
        let served = Served::start(folder.path(), settings, &variables);
        let checked = command(folder.path(), ["check"]).output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
        let consoles = blocks.iter().filter(|(kind, _)| *kind == "console");
        let mut asked = 0;
        for (_, console) in consoles {
            asked += replay(&served, console).await;
        }
        assert_eq!(asked, 6);
    }

    #[tokio::test]
    async fn every_endpoint_is_in_the_guide() {
        let guide = document("docs/service.md");
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(folder.path(), COMMON, &[]);
        let (status, described) = served.get("/openapi.json").await;
        assert_eq!(status, 200);
        let paths = described["paths"].as_object().unwrap();
        assert!(paths.len() > 25, "{paths:?}");
        let told = routes(&guide);
        for (path, methods) in paths {
            // The names of what is in braces differ.
            let path = nameless(path);
            for method in methods.as_object().unwrap().keys() {
                let route = format!("{} {path}", method.to_uppercase());
                assert!(told.contains(&route), "{route} is not in docs/service.md: {told:#?}");
            }
        }
    }

    /// The routes in the first cells of tables: `GET /a/{id}/logs`, `/runs` are two.
    fn routes(guide: &str) -> std::collections::BTreeSet<String> {
        let (mut routes, methods) = (std::collections::BTreeSet::new(), ["GET", "POST", "DELETE"]);
        for row in guide.lines().filter(|line| line.starts_with("| `")) {
            let cell = row.split(" | ").next().unwrap();
            let (mut method, mut before) = (None, String::new());
            for quoted in cell.split('`').skip(1).step_by(2) {
                let given = quoted.split_once(' ').filter(|(method, _)| methods.contains(method));
                method = given.map(|(method, _)| method).or(method);
                let Some(method) = method else { continue };
                let path = given.map_or(quoted, |(_, path)| path).split('?').next().unwrap();
                let folder = before.rsplit_once('/').map_or("", |(folder, _)| folder);
                routes.insert(format!("{method} {}", nameless(path)));
                // It may be written as another one's end, such as `/pause`.
                routes.insert(format!("{method} {}", nameless(&format!("{folder}{path}"))));
                if given.is_some() {
                    path.clone_into(&mut before);
                }
            }
        }
        routes
    }

    fn nameless(path: &str) -> String {
        let part =
            |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn the_dependencies_of_the_readme_are_those_of_the_crate() {
        let readme = document("README.md");
        let shown = blocks(&readme);
        let shown = shown.iter().find(|(_, text)| text.starts_with("[dependencies]")).unwrap().1;
        let shown: toml::Table = toml::from_str(shown).unwrap();
        let manifest: toml::Table = toml::from_str(&document("Cargo.toml")).unwrap();
        let version = |of: &toml::Value| {
            let version = of.get("version").unwrap_or(of).as_str();
            version.unwrap().to_owned()
        };
        for (name, wanted) in shown["dependencies"].as_table().unwrap() {
            if name != "forewarm" {
                let ours = version(&manifest["dependencies"][name]);
                assert!(ours.starts_with(&version(wanted)), "{name}: {ours}");
            }
        }
    }

    #[test]
    fn every_file_of_settings_in_the_guides_is_accepted() {
        let mut checked = 0;
        for path in documents() {
            let text = std::fs::read_to_string(&path).unwrap();
            let whole =
                |block: &&(&str, &str)| block.0 == "toml" && block.1.starts_with("# forewarm.toml");
            for (_, settings) in blocks(&text).iter().filter(whole) {
                let folder = tempfile::tempdir().unwrap();
                std::fs::write(folder.path().join("forewarm.toml"), settings).unwrap();
                let output = command(folder.path(), ["check", "--offline"]).output().unwrap();
                assert!(output.status.success(), "{}: {output:?}", path.display());
                checked += 1;
            }
        }
        assert!(checked > 0);
    }

    #[test]
    fn the_replays_of_the_guide_give_its_figures() {
        let guide = document("docs/tuning.md");
        let blocks = blocks(&guide);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("reads.csv"), log()).unwrap();
        let mut replayed = 0;
        for pair in blocks.windows(2) {
            let [("sh", line), ("text", shown)] = pair else { continue };
            let arguments = line.trim().strip_prefix("forewarm ").unwrap().split_whitespace();
            let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
            let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            assert_eq!(rows(shown), rows(&output), "{line}\n{output}");
            replayed += 1;
        }
        assert_eq!(replayed, 4);
    }

    #[test]
    fn command_lines_are_parted_as_by_a_shell() {
        let line = r#"-H "A: b" -d '{"x":["1"]}' http://x"#;
        assert_eq!(words(line), ["-H", "A: b", "-d", r#"{"x":["1"]}"#, "http://x"]);
    }
}
