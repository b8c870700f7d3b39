//! The paths in a source text that lead to other modules of the crate.

/// A source file: its module path, and its words.
#[derive(Debug)]
pub(super) struct Source {
    file: String,
    /// The path of its module, such as `["limits", "slots"]`.
    pub(super) path: Vec<String>,
    tokens: Vec<Token>,
}

/// A path that leads to another top-level module.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) from: String,
    pub(super) to: String,
}

/// A word, `::`, or a character, and its line.
type Token = (usize, String);

impl Source {
    /// Takes the text of a file, named relative to the root of the crate.
    pub(super) fn new(file: &str, text: &str) -> Self {
        let path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        Self { file: file.to_owned(), path, tokens: tokens(&without_comments(text)) }
    }

    /// The top-level module that it belongs to.
    pub(super) fn module(&self) -> &str {
        &self.path[0]
    }

    /// The modules declared here that only tests see, each in a file of its own.
    pub(super) fn modules_of_tests(&self) -> Vec<Vec<String>> {
        let is_root = ["lib", "main"].contains(&self.module());
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            if let Some((name, at)) = self.module_of_tests(at)
                && self.is(at, ";")
            {
                let parents: &[String] = if is_root { &[] } else { &self.path };
                found.push([parents, &[name.to_owned()]].concat());
            }
        }
        found
    }

    /// The paths in it that lead to other top-level modules.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        // The inline modules that the walk is in, and the depth of braces at which each ends.
        let mut within = self.path.clone();
        let (mut inline, mut depth) = (Vec::new(), 0);
        let mut at = 0;
        while at < self.tokens.len() {
            if let Some((_, next)) = self.module_of_tests(at)
                && self.is(next, "{")
            {
                at = self.end_of_block(next);
                continue;
            }
            if self.is(at, "mod") && self.is(at + 2, "{") {
                within.push(self.word(at + 1).to_owned());
                inline.push(depth);
            }
            match self.word(at) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        within.pop();
                    }
                }
                "crate" | "super" | "self" if self.is(at + 1, "::") && !self.follows_path(at) => {
                    self.resolve(within.clone(), at, &mut imports);
                }
                _ => {}
            }
            at += 1;
        }
        imports
    }

    /// Follows a path, or a group of them, from the token `at`, beginning in the module `base`.
    fn resolve(&self, mut base: Vec<String>, mut at: usize, imports: &mut Vec<Import>) {
        loop {
            match self.word(at) {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                "self" => {}
                "{" => return self.resolve_group(&base, at, imports),
                to => {
                    // Where something is left of the base, the path stays in its module.
                    if base.is_empty() && to != self.module() {
                        let (line, to) = (self.tokens[at].0, to.to_owned());
                        let (file, from) = (self.file.clone(), self.module().to_owned());
                        imports.push(Import { file, line, from, to });
                    }
                    return;
                }
            }
            if !self.is(at + 1, "::") {
                return;
            }
            at += 2;
        }
    }

    fn resolve_group(&self, base: &[String], open: usize, imports: &mut Vec<Import>) {
        let end = self.end_of_block(open);
        let (mut depth, mut is_first) = (0, false);
        for at in open..end {
            match self.word(at) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ if is_first => self.resolve(base.to_vec(), at, imports),
                _ => {}
            }
            is_first = depth == 1 && (at == open || self.is(at, ","));
        }
    }

    /// If an attribute that asks for tests stands `at` this token, and a module after it: its name,
    /// and the token after that.
    fn module_of_tests(&self, at: usize) -> Option<(&str, usize)> {
        if !(self.is(at, "#") && self.is(at + 1, "[") && self.is(at + 2, "cfg")) {
            return None;
        }
        let mut end = at + 2;
        while !self.is(end, "]") {
            end += 1;
        }
        let asked = &self.tokens[at..end];
        let asks_for = |word: &str| asked.iter().any(|(_, token)| token == word);
        let mut next = end + 1;
        while ["pub", "(", "crate", "super", ")"].contains(&self.word(next)) {
            next += 1;
        }
        let is_module = self.is(next, "mod") && asks_for("test") && !asks_for("not");
        is_module.then(|| (self.word(next + 1), next + 2))
    }

    /// The token after the brace that closes the one `at` this token.
    fn end_of_block(&self, at: usize) -> usize {
        let mut depth = 0;
        for (nth, (_, token)) in self.tokens.iter().enumerate().skip(at) {
            depth += i32::from(token == "{") - i32::from(token == "}");
            if depth == 0 {
                return nth + 1;
            }
        }
        self.tokens.len()
    }

    fn follows_path(&self, at: usize) -> bool {
        at > 0 && self.is(at - 1, "::")
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(_, word)| word)
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.word(at) == word
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut is_in_word = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let is_word = c.is_alphanumeric() || c == '_';
            match tokens.last_mut() {
                Some((_, word)) if is_word && is_in_word => word.push(c),
                _ if c.is_whitespace() => {}
                _ if c == ':' && chars.next_if_eq(&':').is_some() => {
                    tokens.push((line, "::".into()));
                }
                _ => tokens.push((line, c.to_string())),
            }
            is_in_word = is_word;
        }
    }
    tokens
}

/// The same text with its comments and literals blank, line by line.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => literal(rest, 1),
            'r' if !kept.ends_with(|c: char| c.is_alphanumeric()) => raw_literal(rest).unwrap_or(0),
            // A lifetime has no second quote where a character has its.
            '\'' if rest.starts_with("'\\") => literal(rest, 1),
            '\'' if rest.chars().nth(2) == Some('\'') => {
                2 + rest[1..].chars().next().unwrap().len_utf8()
            }
            _ => 0,
        };
        if length == 0 {
            kept.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            kept.extend(rest[..length].chars().filter(|c| *c == '\n'));
            kept.push(' ');
            rest = &rest[length..];
        }
    }
    kept
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if at > 0 && text[at - 1..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    text.len()
}

/// The length of a literal that begins with a quote of `open` bytes and may hold escapes.
fn literal(text: &str, open: usize) -> usize {
    let (quote, mut is_escaped) = (&text[..open], false);
    for (at, c) in text.char_indices().skip(open) {
        if !is_escaped && text[at..].starts_with(quote) {
            return at + quote.len();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

/// The length of a literal such as `r#".."#`, if there is one.
fn raw_literal(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let open = 1 + hashes;
    let body = text.get(open..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&close).map_or(text.len(), |end| open + 1 + end + close.len()))
}

#[test]
fn only_paths_count_that_lead_elsewhere_and_are_not_for_tests() {
    let text = r##"
        //! See [`crate::comment`].
        use crate::{a::{b, crate_c}, own::d,
            e};
        /* use crate::f; /* crate::f */ crate::f */
        const TEXT: (&str, &str, char) = ("crate::g \" crate::g", r#"crate::h "crate::h"#, '"');
        pub(crate) fn f<'a>(x: &'a u8) -> crate::i::I { super::super::j::go(self::k, '\'') }
        mod inner {
            use super::l;
            use super::super::m;
            use super::super::super::n;
        }
        use super::{o, super::p};
        use metrics::crate_::q;
        #[cfg(not(shuttle))]
        mod also { use crate::r; }
        #[cfg(all(test, shuttle))]
        mod elsewhere;
        #[cfg(test)]
        mod tests { fn t() { crate::s(); } }
        use crate::t;
    "##;
    let source = Source::new("own/part.rs", text);
    let imports: Vec<_> = source.imports().into_iter().map(|i| (i.line, i.to)).collect();
    let expected = [(3, "a"), (4, "e"), (7, "i"), (7, "j"), (11, "n"), (13, "p"), (16, "r")];
    let expected = expected.into_iter().chain([(21, "t")]).map(|(line, to)| (line, to.to_owned()));
    assert_eq!(imports, expected.collect::<Vec<_>>());
    assert_eq!(source.modules_of_tests(), [["own", "part", "elsewhere"]]);
}
