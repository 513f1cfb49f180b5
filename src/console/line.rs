//! Lines as they are typed: history, completion, and the words of a line.

use std::io;
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use super::words;
use crate::cli::complete;

/// Lines remembered.
const REMEMBERED: usize = 100;
/// The longest line.
const LONGEST: usize = 4_096;

/// Reads lines from the terminal.
pub(super) struct Lines(Editor<Completion, MemHistory>);

impl Lines {
    /// Completion asks the weir of that data folder for names.
    pub(super) fn new(data: &Path) -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(broken)?
            .completion_type(rustyline::CompletionType::List)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(broken)?;
        editor.set_helper(Some(Completion { data: data.to_owned() }));
        Ok(Self(editor))
    }

    /// The next line's words; none at its end (^D), and none of an empty line or one given up (^C).
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<String>>> {
        match self.0.readline("weir> ") {
            Ok(typed) if typed.len() > LONGEST => Ok(Some(Vec::new())),
            Ok(typed) => {
                let words = split(&typed);
                if !words.is_empty() {
                    self.0.add_history_entry(typed).map_err(broken)?;
                }
                Ok(Some(words))
            }
            Err(ReadlineError::Interrupted) => Ok(Some(Vec::new())),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}

fn broken(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Completes our own words, and calls as the shells' completion does.
struct Completion {
    data: PathBuf,
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or(line);
        let begins = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let mut typed: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
        if before.is_empty() || before.ends_with(char::is_whitespace) {
            typed.push(String::new());
        }
        let found = if typed.len() == 1 { words::beginning(before) } else { self.calls(&typed) };
        Ok((begins, found.into_iter().map(|text| Pair { display: text.clone(), replacement: text }).collect()))
    }
}

impl Completion {
    /// What the command line would offer, without the options that are of no use here.
    fn calls(&self, typed: &[String]) -> Vec<String> {
        let others = ["--data", "--host", "--key-file", "--fingerprint"];
        let found = complete::candidates_of(typed, &self.data.display().to_string());
        found.into_iter().map(|found| found.text).filter(|text| !others.contains(&text.as_str())).collect()
    }
}

impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

/// The words of a line: blanks part them, quotes (' or ") hold them together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_words_and_quotes_hold_them_together() {
        assert_eq!(
            split("get /flows/table --filter 'SRVPORT == 443' "),
            ["get", "/flows/table", "--filter", "SRVPORT == 443"]
        );
        assert_eq!(split(r#"set a="b c"d '' "#), ["set", "a=b cd", ""]);
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split("never 'closed one"), ["never", "closed one"]);
    }

    #[test]
    fn first_words_and_paths_are_completed() {
        let completion = Completion { data: "/nowhere".into() };
        let complete = |line: &str| {
            let history = MemHistory::new();
            let (at, found) = completion.complete(line, line.len(), &Context::new(&history)).unwrap();
            (at, found.into_iter().map(|pair| pair.replacement).collect::<Vec<_>>())
        };
        assert_eq!(complete("sta"), (0, vec!["status".to_owned()]));
        assert_eq!(complete("get /flows/tab"), (4, vec!["/flows/table".to_owned()]));
        assert_eq!(complete("get /flows/table --gro"), (17, vec!["--group_by".to_owned()]));
        assert!(!complete("get /flows/table --").1.contains(&"--host".to_owned()));
    }
}
