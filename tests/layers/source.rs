//! Rust source as a list of paths (`std::io::Read`) and keywords, each with its line.
//!
//! Comments and literals are left out; `use` groups are written out in full; `super` and `crate`
//! become the place they lead to.

/// One thing that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) line: usize,
    /// `["crate", "log", "segment"]`, `["std", "fs"]`, `["unsafe"]`; a glob ends with `*`.
    pub(crate) path: Vec<String>,
    /// In code that only tests have.
    pub(crate) in_test: bool,
}

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) names: Vec<Name>,
    /// Modules that are declared here for tests only, and lie in files of their own.
    pub(crate) test_modules: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    line: usize,
    text: String,
    in_test: bool,
}

impl Source {
    /// `module` is where the file stands: `["log", "segment"]`.
    pub(crate) fn parse(text: &str, module: &[&str]) -> Self {
        let mut tokens = tokens(text);
        let test_modules = mark_tests(&mut tokens);
        let mut source = Self { names: Vec::new(), test_modules };
        let mut scope = Scope::new(module);
        let mut at = 0;
        while at < tokens.len() {
            if is_name(&tokens[at].text) {
                let path = Path { tokens: &tokens, scope: &scope };
                at = path.read(at, &[], &mut source.names);
            } else {
                scope.step(&tokens, at);
                at += 1;
            }
        }
        source
    }
}

/// The module that a place in a file belongs to.
struct Scope {
    module: Vec<String>,
    /// Of each open brace, whether it is that of an inline module.
    braces: Vec<bool>,
}

impl Scope {
    fn new(module: &[&str]) -> Self {
        let module = std::iter::once(&"crate").chain(module).map(ToString::to_string).collect();
        Self { module, braces: Vec::new() }
    }

    fn step(&mut self, tokens: &[Token], at: usize) {
        match tokens[at].text.as_str() {
            "{" => {
                let inline = at >= 2 && tokens[at - 2].text == "mod";
                if inline {
                    self.module.push(tokens[at - 1].text.clone());
                }
                self.braces.push(inline);
            }
            "}" => {
                let inline = self.braces.pop();
                if inline == Some(true) {
                    self.module.pop();
                }
            }
            _ => {}
        }
    }

    /// Where a path leads, seen from here.
    fn resolve(&self, path: &[String]) -> Vec<String> {
        let up = path.iter().take_while(|part| *part == "super").count();
        let rest = &path[up..];
        match path.first().map(String::as_str) {
            Some("super") => {
                let left = self.module.len().saturating_sub(up).max(1);
                [&self.module[..left], rest].concat()
            }
            Some("self") if path.len() > 1 => [&self.module[..], &path[1..]].concat(),
            _ => path.to_vec(),
        }
    }
}

/// Reads one path, and what its groups make of it.
struct Path<'a> {
    tokens: &'a [Token],
    scope: &'a Scope,
}

impl Path<'_> {
    /// Reads from the name at `at`, with `before` in front of it; gives the place behind.
    fn read(&self, mut at: usize, before: &[String], names: &mut Vec<Name>) -> usize {
        let start = at;
        let mut path = before.to_vec();
        loop {
            path.push(self.tokens[at].text.clone());
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            match self.text(at + 1) {
                "{" => return self.read_group(at + 2, &path, names),
                "*" => {
                    path.push("*".to_owned());
                    at += 2;
                    break;
                }
                next if is_name(next) => at += 1,
                _ => break, // `::<`
            }
        }
        let Token { line, in_test, .. } = self.tokens[start];
        names.push(Name { line, path: self.scope.resolve(&path), in_test });
        at
    }

    fn read_group(&self, mut at: usize, before: &[String], names: &mut Vec<Name>) -> usize {
        loop {
            at = match self.text(at) {
                "" => return at,
                "}" => return at + 1,
                // The new name of what stands before it.
                "as" => at + 2,
                "self" | "*" => {
                    let glob = (self.text(at) == "*").then(|| "*".to_owned());
                    let path: Vec<_> = before.iter().cloned().chain(glob).collect();
                    let Token { line, in_test, .. } = self.tokens[at];
                    names.push(Name { line, path: self.scope.resolve(&path), in_test });
                    at + 1
                }
                name if is_name(name) => self.read(at, before, names),
                _ => at + 1,
            };
        }
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Marks what stands under `#[cfg(test)]`, and gives the modules in files of their own there.
fn mark_tests(tokens: &mut [Token]) -> Vec<String> {
    let mut modules = Vec::new();
    for start in 0..tokens.len() {
        if !is_cfg_test(&tokens[start..]) {
            continue;
        }
        let inner = tokens[start + 1].text == "!";
        let end = if inner { tokens.len() } else { item_end(tokens, start) };
        for token in &mut tokens[start..end] {
            token.in_test = true;
        }
        if !inner && end >= 3 && tokens[end - 1].text == ";" && tokens[end - 3].text == "mod" {
            modules.push(tokens[end - 2].text.clone());
        }
    }
    modules
}

/// `#[cfg(test)]`, `#![cfg(test)]` or `#[cfg(all(test, ...))]`.
fn is_cfg_test(tokens: &[Token]) -> bool {
    let text: Vec<_> = tokens.iter().take(8).map(|token| token.text.as_str()).collect();
    let text = text.iter().filter(|text| **text != "!").copied().collect::<Vec<_>>();
    text.starts_with(&["#", "[", "cfg", "(", "test", ")"])
        || text.starts_with(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// Behind the item whose first attribute is at `start`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Names and punctuation; `::` is one token.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = literal_or_comment(rest).unwrap_or_else(|| {
            let len = token_len(rest, first);
            let text = rest[..len].trim_start_matches("r#").to_owned();
            if !first.is_whitespace() && !first.is_ascii_digit() {
                tokens.push(Token { line, text, in_test: false });
            }
            len
        });
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    tokens
}

fn token_len(text: &str, first: char) -> usize {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    if text.starts_with("::") {
        2
    } else if let Some(raw) = text.strip_prefix("r#") {
        2 + word(raw).unwrap_or(raw.len())
    } else if first.is_alphanumeric() || first == '_' {
        word(text).unwrap_or(text.len())
    } else {
        first.len_utf8()
    }
}

/// How long the comment or literal is that begins here, if one does.
fn literal_or_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text[prefix.len().min(text.len())..].starts_with(['"', '\'', '#'])
            && text.starts_with(prefix)
    })?;
    let body = &text[prefix.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if prefix.ends_with('r') && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let open = prefix.len() + hashes + 1;
        return Some(text[open..].find(&end).map_or(text.len(), |at| open + at + end.len()));
    }
    match body.chars().next()? {
        '"' => Some(prefix.len() + quoted(body, '"')),
        '\'' if !is_lifetime(body) => Some(prefix.len() + quoted(body, '\'')),
        '\'' => Some(1),
        _ => None,
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// `'a` and not `'a'`.
fn is_lifetime(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.next() != Some('\'')
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
