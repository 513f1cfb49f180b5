//! Questions over the flows: parameters to a question, and the question on its way to its answer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pvql::Label;
use super::world::LiveWalk;
use super::{Call, Failure, Handler, Outcome, World, honesty};
use crate::auth::Watch;
use crate::base::{Ip, Time};
use crate::filter::Filter;
use crate::query::pvql::Mode;
use crate::query::{
    CountBy, Direction, GroupBy, Honesty, Limits, Prefer, Question, Rolled, Run, Step, TableQuestion, What,
};
use crate::schema::format;

/// Most rankings and counts worked on at once. Others wait their turn; it comes, because each ends by [`DEADLINE`] however slow
/// its client is.
pub const MOST_RANKINGS: usize = 8;

/// A ranking that holds more bytes than this goes on alone: one at a time may hold megabytes.
const LARGE: usize = 1 << 20;

/// With more live sessions than this a ranking is taken for large from the start.
const LARGE_TABLE: u64 = 4_096;

/// Most rankings and counts that wait; one more is refused.
pub const MOST_WAITING: usize = 248;

/// Most listings at once; one more is refused, because a listing lasts as long as its client reads.
pub const MOST_LISTINGS: usize = 32;

/// How far back a ranking looks where nobody says.
const DEFAULT_RANGE: Duration = Duration::from_secs(15 * 60);

/// How long a ranking or a count may take; then it answers with what it has, and says so. A listing goes on for as long as
/// the client reads.
const DEADLINE: Duration = Duration::from_secs(60);

/// The same where the caller says that it is to be fast.
const SHORT_DEADLINE: Duration = Duration::from_secs(5);

/// The same where the caller says that it may take long.
const LONG_DEADLINE: Duration = Duration::from_secs(3_600);

/// A question being answered, or waiting for its turn. Dropping it cancels the work.
#[derive(Debug)]
pub struct Asked {
    question: Question,
    /// None while it waits.
    work: Option<Work>,
    /// While live sessions are given to the work.
    live: Option<LiveWalk>,
    large: Option<LargeSeat>,
    seat: Seat,
    mode: Mode,
    label: Option<Box<Label>>,
    /// None where nobody in particular asks.
    watch: Option<Watch>,
}

#[derive(Debug)]
enum Work {
    History(Box<Run>),
    Rollups(Box<Rolled>),
}

/// How many questions are being answered, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Questions {
    /// Listings under way.
    pub listings: usize,
    /// Rankings and counts under way.
    pub rankings: usize,
    /// Rankings and counts that wait.
    pub waiting: usize,
    /// Questions refused since the start because too many were asked.
    pub refused: u64,
    /// Whether a large ranking is under way.
    large: bool,
}

/// What a seat counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Listing,
    Ranking,
    Waiting,
}

/// A place among those that are answered at once, free again when dropped.
#[derive(Debug)]
struct Seat {
    world: Rc<World>,
    kind: Kind,
}

impl Seat {
    fn take(world: &Rc<World>, what: &What) -> Result<Self, Failure> {
        let mut questions = world.questions.borrow_mut();
        let kind = match what {
            What::Sessions { .. } if questions.listings < MOST_LISTINGS => Kind::Listing,
            What::Table(_) | What::Count | What::Values(_) if questions.rankings < MOST_RANKINGS => Kind::Ranking,
            What::Table(_) | What::Count | What::Values(_) if questions.waiting < MOST_WAITING => Kind::Waiting,
            _ => {
                questions.refused += 1;
                return Err(Failure::Busy("Too many questions are being answered: try again in a moment".to_owned()));
            }
        };
        *questions.of(kind) += 1;
        Ok(Self { world: Rc::clone(world), kind })
    }

    /// Whether its turn has come.
    fn may_work(&mut self) -> bool {
        if self.kind == Kind::Waiting {
            let mut questions = self.world.questions.borrow_mut();
            if questions.rankings < MOST_RANKINGS {
                questions.waiting -= 1;
                questions.rankings += 1;
                self.kind = Kind::Ranking;
            }
        }
        self.kind != Kind::Waiting
    }
}

/// The place of the one large ranking, free again when dropped.
#[derive(Debug)]
struct LargeSeat(Rc<World>);

impl LargeSeat {
    fn take(world: &Rc<World>) -> Option<Self> {
        let mut questions = world.questions.borrow_mut();
        (!std::mem::replace(&mut questions.large, true)).then(|| Self(Rc::clone(world)))
    }
}

impl Drop for LargeSeat {
    fn drop(&mut self) {
        self.0.questions.borrow_mut().large = false;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.world.questions.borrow_mut().of(self.kind) -= 1;
    }
}

impl Questions {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Listing => &mut self.listings,
            Kind::Ranking => &mut self.rankings,
            Kind::Waiting => &mut self.waiting,
        }
    }
}

impl Asked {
    /// Why an answer is cut off that is given already.
    pub const ENDED: &'static str = "it was cancelled, or who asked may not have it any more";

    /// Begins to answer a question. The one way to ask: here what the caller may see is ANDed into it.
    pub(super) fn begin(call: &Call, question: Question, mode: Mode) -> Result<Self, Failure> {
        let (world, now) = (call.world(), call.now);
        let internal = |filter: Filter| filter.with_internal(world.internal());
        let user_filter = call.identity.and_then(|identity| identity.filter().cloned()).map(internal);
        let question = Question { user_filter, filter: question.filter.map(internal), ..question };
        let seat = Seat::take(world, &question.what)?;
        world.note_losses(now);
        let watch = call.identity.map(|identity| world.auth.borrow_mut().watch(identity));
        let mut asked = Self { seat, question, work: None, live: None, large: None, mode, label: None, watch };
        asked.begin_work(now)?;
        if asked.work.is_none() {
            // Whether it makes sense is said now; the run itself begins when its turn comes.
            asked.new_run(now)?;
        }
        Ok(asked)
    }

    fn new_run(&self, now: Time) -> Result<Run, Failure> {
        let world = &self.seat.world;
        let lists = matches!(self.question.what, What::Sessions { .. });
        let deadline = match self.mode {
            _ if lists => Time::MAX,
            Mode::Unlimited => now + LONG_DEADLINE,
            Mode::Fast => now + SHORT_DEADLINE,
            Mode::Automatic | Mode::Precise => now + DEADLINE,
        };
        let limits = Limits { deadline, ..Limits::default() };
        let run = Run::new(self.question.clone(), limits, world.hash_key, &world.store.borrow());
        run.map_err(|bad| Failure::Question(bad.to_string()))
    }

    /// Begins to work, if its turn has come. From here on live sessions are looked at, with whose updates the history has none
    /// that is appended later.
    fn begin_work(&mut self, now: Time) -> Result<(), Failure> {
        let world = Rc::clone(&self.seat.world);
        let starts_large = matches!(self.question.what, What::Table(_) | What::Values(_))
            && self.large.is_none()
            && world.live_sessions() > LARGE_TABLE;
        if !self.seat.may_work() || (starts_large && !self.may_be_large()) {
            return Ok(());
        }
        let Some(live) = world.begin_live(now) else { return Ok(()) };
        let run = self.new_run(now)?;
        let mut kept = world.rollup_store.borrow_mut();
        // While nobody has set the clock they count nothing.
        let counting = !world.clock.get().never_set();
        let rolled = kept
            .as_mut()
            .filter(|_| counting && !matches!(self.mode, Mode::Precise | Mode::Unlimited))
            .and_then(|kept| {
                let prefer = if self.mode == Mode::Fast { Prefer::Coarse } else { Prefer::Exact };
                Rolled::new(&self.question, prefer, now, &world.store.borrow(), &world.rollups.borrow(), kept)
            });
        self.work = Some(rolled.map_or_else(|| Work::History(Box::new(run)), |rolled| Work::Rollups(Box::new(rolled))));
        self.live = Some(live);
        self.look();
        Ok(())
    }

    /// Gives some live sessions to the work; says whether there are more.
    fn look(&mut self) -> bool {
        let more = match (&mut self.live, &mut self.work) {
            (Some(live), Some(Work::History(run))) => live.step(|record| run.live(record)),
            (Some(live), Some(Work::Rollups(rolled))) => live.step(|record| {
                rolled.live(record);
                1
            }),
            _ => false,
        };
        if !more {
            self.live = None;
        }
        more
    }

    fn may_be_large(&mut self) -> bool {
        if self.large.is_none() {
            self.large = LargeSeat::take(&self.seat.world);
        }
        self.large.is_some()
    }

    /// What shape the answer will have.
    #[must_use]
    pub const fn what(&self) -> &What {
        &self.question.what
    }

    /// How the answer of a question in PVQL is labelled.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.label.as_deref()
    }

    /// The name of a host, where DNS answers that passed tell it. None for a caller who may not see all flows: who asked for the
    /// name may be somebody they may not see.
    #[must_use]
    pub fn host_name(&self, now: Time, ip: Ip) -> Option<Arc<str>> {
        if self.question.user_filter.is_some() {
            return None;
        }
        self.seat.world.meter.borrow().hosts().name(now, ip).cloned()
    }

    /// What a partition is called; nothing where it is no more.
    #[must_use]
    pub fn partition_name(&self, cid: u16) -> String {
        if cid == 0 {
            return "main".to_owned();
        }
        let auth = self.seat.world.auth.borrow();
        let name = auth.users().ok().and_then(|users| Some(users.partitions.get(&u32::from(cid))?.name.clone()));
        name.unwrap_or_default()
    }

    /// The level of aggregation that it is answered from, once that is known: 0 is the history, the widths of the rollups are
    /// above it.
    #[must_use]
    pub fn level(&self) -> u64 {
        if let Some(Work::Rollups(rolled)) = &self.work { rolled.level() } else { 0 }
    }

    /// Leaves its seat and everything else but the label.
    #[must_use]
    pub fn into_label(self) -> Option<Box<Label>> {
        self.label
    }

    pub(super) fn set_label(&mut self, label: Label) {
        self.label = Some(Box::new(label));
    }

    /// Whether somebody ended it: nobody waits for its answer any more, or who asked may not have it any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.label.as_ref().is_some_and(|label| label.is_cancelled()) || self.watch.as_ref().is_some_and(Watch::is_over)
    }

    /// Does one block of work, or waits.
    pub fn step(&mut self, now: Time) -> Step {
        if self.work.is_none() && self.begin_work(now).is_err() {
            return Step::Busy;
        }
        if self.look() {
            return Step::Busy;
        }
        let is_large = match &self.work {
            Some(Work::History(run)) => self.large.is_none() && run.bytes() > LARGE,
            _ => false,
        };
        if is_large && !self.may_be_large() {
            return Step::Busy;
        }
        let world = &self.seat.world;
        match (&mut self.work, world.rollup_store.borrow_mut().as_mut()) {
            (Some(Work::History(run)), _) => run.step(now, &world.store.borrow()),
            (Some(Work::Rollups(rolled)), Some(kept)) => rolled.step(kept),
            // A rollup store that is there stays there: the question waits, and that is all.
            _ => Step::Busy,
        }
    }

    /// How far the answer can be trusted, as JSON text; final once it is done.
    #[must_use]
    pub fn honesty(&self) -> String {
        let honesty = match &self.work {
            Some(Work::History(run)) => run.honesty().clone(),
            Some(Work::Rollups(rolled)) => rolled.honesty().clone(),
            None => Honesty::default(),
        };
        let range = self.question.from..self.question.to;
        honesty::to_json(&honesty, &self.seat.world, &range, self.question.user_filter.is_some())
    }
}

pub(super) static HANDLERS: &[(&str, Handler)] = &[("sessions", sessions), ("sessions.count", count), ("table", table)];

/// `sessions`
fn sessions(call: &Call) -> Outcome {
    let first = call.parameters["sample_count"].as_u64().unwrap_or(0);
    ask(call, range(call, None), What::Sessions { first }).into()
}

/// `sessions.count`
fn count(call: &Call) -> Outcome {
    ask(call, range(call, None), What::Count).into()
}

/// `table`
fn table(call: &Call) -> Outcome {
    let number = |name: &str| call.parameters[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let otherwise = TableQuestion::default();
    let question = TableQuestion {
        group_by: GroupBy::parse(call.text("group_by")).unwrap_or(otherwise.group_by),
        count_by: CountBy::parse(call.text("count_by")).unwrap_or(otherwise.count_by),
        unique: GroupBy::parse_unique(call.text("unique")),
        direction: Direction::parse(call.text("direction")).unwrap_or(otherwise.direction),
        rows: number("rows").unwrap_or(otherwise.rows),
        buckets: number("time_series").unwrap_or(otherwise.buckets),
        ways: call.parameters["ways"].as_bool().unwrap_or(otherwise.ways),
    };
    ask(call, range(call, Some(DEFAULT_RANGE)), What::Table(question)).into()
}

/// The range that the parameters name: start and end together, else the relative one, else `otherwise`; where that is none,
/// whatever end is open reaches as far as there is history.
fn range(call: &Call, otherwise: Option<Duration>) -> (Time, Time) {
    let Call { now, parameters, .. } = *call;
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

fn ask(call: &Call, (from, to): (Time, Time), what: What) -> Result<Outcome, Failure> {
    let filter = match call.parameters["filter"].as_str() {
        Some(text) if !text.trim().is_empty() => {
            let filter =
                Filter::parse(text).map_err(|e| Failure::Filter { position: e.position, message: e.message })?;
            Some(filter)
        }
        _ => None,
    };
    let question = Question { from, to, filter, user_filter: None, what };
    Ok(Outcome::Asked(Box::new(Asked::begin(call, question, Mode::Automatic)?)))
}
