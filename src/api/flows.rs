//! Questions over the flows: parameters to a question, and the question on its way to its answer.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::{Failure, Outcome, World, honesty};
use crate::base::Time;
use crate::filter::Filter;
use crate::query::{CountBy, Direction, GroupBy, Limits, Question, Run, Step, TableQuestion, What};
use crate::schema::format;

/// Most questions being answered at once: each may hold megabytes.
pub const MOST_QUESTIONS: usize = 8;

/// How far back a ranking looks where nobody says.
const DEFAULT_RANGE: Duration = Duration::from_secs(15 * 60);

/// How long a ranking or a count may take; then it answers with what it has, and says so. A listing goes on for as long as
/// the client reads.
const DEADLINE: Duration = Duration::from_secs(60);

/// A question being answered. Dropping it cancels the work.
#[derive(Debug)]
pub struct Asked {
    run: Run,
    what: What,
    seat: Seat,
}

/// A place among [`MOST_QUESTIONS`], free again when dropped.
#[derive(Debug)]
struct Seat(Rc<World>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.questions.set(self.0.questions.get() - 1);
    }
}

impl Asked {
    /// What shape the answer will have.
    #[must_use]
    pub const fn what(&self) -> &What {
        &self.what
    }

    /// Does one block of work.
    pub fn step(&mut self, now: Time) -> Step {
        self.run.step(now, &self.seat.0.store.borrow())
    }

    /// How far the answer can be trusted; final once it is done.
    #[must_use]
    pub fn honesty(&self) -> Value {
        honesty::to_json(self.run.honesty(), &self.seat.0)
    }
}

/// `sessions`
pub(super) fn sessions(world: &Rc<World>, now: Time, parameters: &Value) -> Result<Outcome, Failure> {
    let first = parameters["sample_count"].as_u64().unwrap_or(0);
    let range = range(now, parameters, None);
    ask(world, now, range, parameters, What::Sessions { first })
}

/// `sessions.count`
pub(super) fn count(world: &Rc<World>, now: Time, parameters: &Value) -> Result<Outcome, Failure> {
    let (from, to) = range(now, parameters, None);
    // Sessions are counted by the update that carries them into the range; what history no longer has can carry none.
    let from = world.store.borrow().oldest().map_or(from, |oldest| from.max(oldest.min(to - Duration::from_micros(1))));
    ask(world, now, (from, to), parameters, What::Count)
}

/// `table`
pub(super) fn table(world: &Rc<World>, now: Time, parameters: &Value) -> Result<Outcome, Failure> {
    let word = |name: &str| parameters[name].as_str().unwrap_or_default();
    let number = |name: &str| parameters[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let otherwise = TableQuestion::default();
    let question = TableQuestion {
        group_by: GroupBy::parse(word("group_by")).unwrap_or(otherwise.group_by),
        count_by: CountBy::parse(word("count_by")).unwrap_or(otherwise.count_by),
        unique: GroupBy::parse_unique(word("unique")),
        direction: Direction::parse(word("direction")).unwrap_or(otherwise.direction),
        rows: number("rows").unwrap_or(otherwise.rows),
        buckets: number("time_series").unwrap_or(otherwise.buckets),
    };
    ask(world, now, range(now, parameters, Some(DEFAULT_RANGE)), parameters, What::Table(question))
}

/// The range that the parameters name: start and end together, else the relative one, else `otherwise`; where that is none,
/// whatever end is open reaches as far as there is history.
fn range(now: Time, parameters: &Value, otherwise: Option<Duration>) -> (Time, Time) {
    let moment = |name: &str| parameters[name].as_str().and_then(format::moment);
    // What happened in this very microsecond belongs to it.
    let end_of_now = now + Duration::from_micros(1);
    let relative = parameters["relative_time"].as_str().and_then(format::relative_time);
    match (moment("start_time"), moment("end_time"), relative.or(otherwise)) {
        (Some(from), Some(to), _) => (from, to),
        (_, _, Some(back)) => (now - back, end_of_now),
        (from, to, None) => (from.unwrap_or(Time::ZERO), to.unwrap_or(end_of_now)),
    }
}

fn ask(
    world: &Rc<World>,
    now: Time,
    (from, to): (Time, Time),
    parameters: &Value,
    what: What,
) -> Result<Outcome, Failure> {
    let filter = match parameters["filter"].as_str() {
        Some(text) if !text.trim().is_empty() => {
            Some(Filter::parse(text).map_err(|e| Failure::Filter { position: e.position, message: e.message })?)
        }
        _ => None,
    };
    if world.questions.get() >= MOST_QUESTIONS {
        world.questions_refused.set(world.questions_refused.get() + 1);
        return Err(Failure::Busy(format!("{MOST_QUESTIONS} questions are being answered: try again in a moment")));
    }
    world.questions.set(world.questions.get() + 1);
    let seat = Seat(Rc::clone(world));

    let deadline = if matches!(what, What::Sessions { .. }) { Time::MAX } else { now + DEADLINE };
    let limits = Limits { deadline, ..Limits::default() };
    let question = Question { from, to, filter, user_filter: None, what: what.clone() };
    let run = Run::new(question, limits, world.hash_key, &world.store.borrow());
    let mut run = run.map_err(|bad| Failure::Question(format!("{bad}")))?;
    world.live(now, |record| run.live(record));
    Ok(Outcome::Asked(Box::new(Asked { run, what, seat })))
}
