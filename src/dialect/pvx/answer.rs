//! A question in PVQL on its way to its messages: in one result, or as it is made.

use std::io::Write;

use serde_json::{Value, json};

use super::error::Error;
use super::rows::{self, Format};
use crate::api::{Asked, Label};
use crate::base::Time;
use crate::dialect::listing::{BLOCKS, PIECE};
use crate::dialect::{Chunk, Chunks};
use crate::query::values::Values;
use crate::query::{Answer, Step};

/// A larger answer keeps its seat until it is sent, so that slow readers do not fill the memory with answers.
const LARGE: usize = 256 * 1024;

/// In what messages an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// One `result`: an object.
    Merged,
    /// One `result`: a list of objects, as versions before 0.4 had it.
    Listed,
    /// The object by itself, as a part of a greater one that ends with its honesty.
    Inside,
    /// A `chunk` for the beginning, then some with rows, then `end`.
    Streamed,
}

/// A question being answered.
#[derive(Debug)]
pub(super) struct QueryAnswer {
    /// None when the answer is small and does not need its seat any more.
    asked: Option<Box<Asked>>,
    /// Taken from what was asked.
    label: Option<Box<Label>>,
    /// Known at the end.
    honesty: String,
    /// Of aggregation.
    level: u64,
    format: Format,
    told: Told,
    /// What every message begins with: `{`, and on a socket the call's id.
    opening: Vec<u8>,
    at: At,
    rows: Option<Box<Values>>,
    next_row: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Info,
    Work,
    Rows,
    End,
}

/// What one step brought.
#[derive(Debug)]
pub(super) enum Piece {
    /// Nothing yet.
    Busy,
    /// The beginning or middle of a message.
    Part(Vec<u8>),
    /// A message, or the rest of one.
    Message(Vec<u8>),
    /// There is no answer, and nothing of it was written (or, streamed, nothing more may be).
    Failed(Error),
    /// Everything was given.
    End,
}

impl QueryAnswer {
    pub(super) fn new(asked: Box<Asked>, format: Format, told: Told, opening: Vec<u8>) -> Self {
        let at = if told == Told::Streamed { At::Info } else { At::Work };
        Self {
            level: asked.level(),
            asked: Some(asked),
            label: None,
            honesty: String::new(),
            format,
            told,
            opening,
            at,
            rows: None,
            next_row: 0,
        }
    }

    /// Whether its first piece is still to be worked for.
    pub(super) fn is_working(&self) -> bool {
        self.at == At::Work && self.told != Told::Streamed
    }

    pub(super) fn next(&mut self, now: Time) -> Piece {
        match self.at {
            At::Info => {
                self.at = At::Work;
                let info = self.info(None);
                Piece::Message(self.message("chunk", &json!({ "info": info })))
            }
            At::Work => self.work(now),
            At::Rows if self.told == Told::Streamed => self.chunk(now),
            At::Rows => self.part(now),
            At::End => Piece::End,
        }
    }

    fn label(&self) -> Option<&Label> {
        self.label.as_deref().or_else(|| self.asked.as_ref()?.label())
    }

    /// The number of rows is only known at the end.
    fn info(&self, rows: Option<u64>) -> Value {
        self.label().map_or(Value::Null, |label| label.info(self.level, rows.or(label.expected())))
    }

    fn work(&mut self, now: Time) -> Piece {
        for _ in 0..BLOCKS {
            let Some(asked) = &mut self.asked else { return Piece::End };
            if asked.is_cancelled() {
                self.at = At::End;
                let id = asked.label().map(|label| label.query_id.clone());
                self.asked = None;
                return Piece::Failed(Error::new("CANCELLED", "The query was cancelled").with("query_id", json!(id)));
            }
            match asked.step(now) {
                Step::Busy | Step::Sessions(_) => {}
                Step::Done(Answer::Values(values)) => {
                    self.at = At::Rows;
                    self.honesty = asked.honesty();
                    self.level = asked.level();
                    let values = Box::new(values.compact());
                    if values.bytes() <= LARGE {
                        self.label = self.asked.take().and_then(|asked| asked.into_label());
                    }
                    let mut out = Vec::new();
                    if self.told != Told::Streamed {
                        out.extend_from_slice(&self.opening);
                        let info = self.info(Some(values.len() as u64));
                        let (before, after) = match self.told {
                            Told::Inside => ("", ","),
                            Told::Listed => ("\"type\":\"result\",\"result\":[", "},{"),
                            Told::Merged | Told::Streamed => ("\"type\":\"result\",\"result\":", ","),
                        };
                        let _ = write!(out, "{before}{{\"info\":{info}{after}\"data\":[");
                    }
                    self.rows = Some(values);
                    return if out.is_empty() { Piece::Busy } else { Piece::Part(out) };
                }
                Step::Done(_) => {
                    self.at = At::End;
                    return Piece::Failed(Error::broken());
                }
            }
        }
        Piece::Busy
    }

    /// Some rows; says whether these were the last.
    fn write_rows(&mut self, out: &mut Vec<u8>) -> bool {
        let label = self.label.as_deref().or_else(|| self.asked.as_ref()?.label());
        let (Some(values), Some(label)) = (&self.rows, label) else { return true };
        let from = out.len();
        let first = self.next_row;
        while self.next_row < values.len() && out.len() - from < PIECE {
            if self.next_row > first || (self.told != Told::Streamed && first > 0) {
                out.push(b',');
            }
            rows::write(out, self.format, label, values, self.next_row);
            self.next_row += 1;
        }
        self.next_row >= values.len()
    }

    fn chunk(&mut self, now: Time) -> Piece {
        let mut out = self.opening.clone();
        out.extend_from_slice(b"\"type\":\"chunk\",\"chunk\":{\"data\":[");
        let is_last = self.write_rows(&mut out);
        let _ = write!(out, "],\"meta\":{}}}}}", self.meta(now));
        if is_last {
            self.at = At::End;
        }
        Piece::Message(out)
    }

    fn part(&mut self, now: Time) -> Piece {
        let mut out = Vec::new();
        if !self.write_rows(&mut out) {
            return Piece::Part(out);
        }
        let _ = write!(out, "],\"meta\":{}}}", self.meta(now));
        match self.told {
            Told::Inside => _ = write!(out, ",\"honesty\":{}}}", self.honesty),
            Told::Listed => out.extend_from_slice(b"]}"),
            Told::Merged | Told::Streamed => out.push(b'}'),
        }
        self.at = At::End;
        Piece::Message(out)
    }

    fn meta(&self, now: Time) -> String {
        let (Some(values), Some(label)) = (&self.rows, self.label()) else { return "{}".to_owned() };
        let elapsed = now.since(label.asked).as_secs_f64();
        let meta = json!({
            "sorted": true, "elapsed": elapsed, "accumulatedTime": elapsed, "accumulated_time": elapsed,
            "emptyData": values.is_empty(), "totalRowsToRead": values.len(), "totalRows": values.total(),
            "droppedRows": values.dropped(),
        });
        let text = meta.to_string();
        format!("{},\"honesty\":{}}}", text.trim_end_matches('}'), self.honesty)
    }

    fn message(&self, kind: &str, value: &Value) -> Vec<u8> {
        let mut out = self.opening.clone();
        let _ = write!(out, "\"type\":\"{kind}\",\"{kind}\":{value}}}");
        out
    }
}

/// The messages of an answer as the body of a reply, a line each.
pub(super) struct Body {
    answer: QueryAnswer,
    /// What was made already.
    made: Option<Vec<u8>>,
    ended: bool,
}

impl Body {
    pub(super) const fn new(answer: QueryAnswer, made: Option<Vec<u8>>) -> Self {
        Self { answer, made, ended: false }
    }
}

impl Chunks for Body {
    fn next_chunk(&mut self, now: Time) -> Chunk {
        if let Some(made) = self.made.take() {
            return Chunk::Data(made);
        }
        if self.ended {
            return Chunk::End;
        }
        match self.answer.next(now) {
            Piece::Busy => Chunk::Busy,
            Piece::Part(out) => Chunk::Data(out),
            Piece::Message(mut out) => {
                if self.answer.told != Told::Inside {
                    out.push(b'\n');
                }
                Chunk::Data(out)
            }
            Piece::Failed(_) if self.answer.told == Told::Inside => Chunk::Failed("it was cancelled".to_owned()),
            Piece::Failed(error) => {
                self.ended = true;
                Chunk::Data(format!("{}\n", error.message()).into_bytes())
            }
            Piece::End => {
                self.ended = true;
                match self.answer.told {
                    Told::Streamed => Chunk::Data(b"{\"type\":\"end\"}\n".to_vec()),
                    Told::Inside | Told::Merged | Told::Listed => Chunk::End,
                }
            }
        }
    }
}
