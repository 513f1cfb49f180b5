//! A query to a question: what its names mean, its range, and how its answer is labelled.

use std::borrow::Cow;
use std::time::Duration;

use super::condition::{Asked, layer_names};
use super::fields::{self, Found, LAYERS, Meaning, place, whole};
use super::literal::{Constant, constant, mask_length};
use super::parse::parse;
use super::syntax::{Expr, Named, Node, Query, Sort, Top};
use super::{MAX_ASKED, PvqlError, Variable, Why};
use crate::base::{SmallMap, Time};
use crate::filter::{Filter, FilterError, MOST_PATTERN_COST};
use crate::query::values::{
    Aggregate, Arithmetic, Condition, End, Formula, Key, MOST_COLUMNS, MOST_MEMBERS, Number, Order, ValuesQuestion,
};

/// Widths that `time()` chooses from, in seconds.
pub const WIDTHS: &[u64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];
/// Most points that `time()` makes.
const POINTS: u64 = 120;
/// Where nobody says how far back.
const DEFAULT_RANGE: Duration = Duration::from_secs(3_600);
/// Members of a set where nobody says.
const SET_SIZE: usize = 100;
/// Most things that rows are sorted by.
const MOST_SORTS: usize = 8;
/// Longest query id.
const LONGEST_ID: usize = 128;

/// What a query is about that its text does not say.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// `@now`
    pub now: Time,
    /// Traffic groups: number and name.
    pub zones: &'a [(u16, String)],
}

/// Where an answer may come from, and how long it may take. The planner of [`crate::query::Rolled`] decides in both of the first
/// modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// From the rollups wherever these can answer, in whole windows as they are kept; else from the history, for as long as a
    /// few seconds.
    Fast,
    /// From the rollups, where these can answer and the history does not reach or is very long.
    #[default]
    Automatic,
    /// From the history.
    Precise,
    /// From the history, however long that takes.
    Unlimited,
}

/// A query that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// First moment of the range.
    pub from: Time,
    /// First moment after it.
    pub to: Time,
    /// Which sessions; where the server is the source, see [`ValuesQuestion::turned`].
    pub filter: Option<Filter>,
    /// The rows.
    pub values: ValuesQuestion,
    /// How keys are labelled.
    pub keys: Vec<Column>,
    /// How values are labelled.
    pub columns: Vec<Column>,
    /// What rows are sorted by.
    pub sort: Vec<Sorted>,
    /// The width of a point, where there is `time()`.
    pub step: Option<Duration>,
    /// See [`Mode`].
    pub mode: Mode,
    /// What the caller calls it.
    pub query_id: Option<String>,
    /// The layers asked.
    pub layers: Vec<&'static str>,
}

/// A column that rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorted {
    /// It is a value; else a key.
    pub is_value: bool,
    /// Its number, from 0.
    pub column: usize,
    /// The smallest first.
    pub ascending: bool,
}

/// How a key or value is labelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its alias, its field's name, or `<..>` with what was written.
    pub name: String,
    /// Its cells are zones, to be shown by name.
    pub is_zone: bool,
}

/// Parses a query and says what it asks.
///
/// # Errors
/// Where and why it cannot be asked.
pub fn plan(text: &str, variables: &SmallMap<String, Variable>, world: &World<'_>) -> Result<Plan, PvqlError> {
    let query = parse(text, variables)?;
    let range = range(&query, world)?;
    let mut planner = Planner {
        world,
        query: &query,
        range,
        aggregates: Vec::new(),
        keys: Vec::new(),
        columns: Vec::new(),
        two_sided: false,
        asked: 0,
    };
    planner.plan()
}

/// The whole path of a zone.
pub(super) fn zone_path(name: &str) -> Cow<'_, str> {
    if name.starts_with('/') { Cow::Borrowed(name) } else { Cow::Owned(format!("/{name}")) }
}

/// A query on its way to a plan.
pub(super) struct Planner<'a> {
    pub(super) world: &'a World<'a>,
    query: &'a Query,
    range: (Time, Time),
    aggregates: Vec<Aggregate>,
    /// The keys, and which of them are zones.
    keys: Vec<(Key, bool)>,
    columns: Vec<Formula>,
    two_sided: bool,
    /// What `HAVING` asks of a row so far.
    asked: usize,
}

type Made<T> = Result<T, PvqlError>;

impl Planner<'_> {
    fn plan(&mut self) -> Made<Plan> {
        let query = self.query;
        self.two_sided = is_two_sided(query);
        for named in &query.keys {
            let asked = self.asked(&named.node)?.ok_or_else(|| {
                let message = format!("{} is no key: rows are made by keys such as client.ip or time()", named.text);
                PvqlError::new(named.node.at, Why::Meaning, message)
            })?;
            self.keys.push((asked.key, asked.is_zone));
        }
        for named in &query.values {
            let formula = self.formula(&named.node, false)?;
            self.columns.push(formula);
        }
        for (named, what) in [(&query.keys, "keys"), (&query.values, "values")] {
            if let Some(over) = named.get(MOST_COLUMNS) {
                return Err(PvqlError::new(
                    over.node.at,
                    Why::TooLong,
                    format!("expected at most {MOST_COLUMNS} {what}"),
                ));
            }
        }
        let step = self.step()?;
        let (from, to) = match step {
            Some(step) => {
                (self.range.0.floor_to(step), (self.range.1 - Duration::from_micros(1)).floor_to(step) + step)
            }
            None => self.range,
        };
        let layers = self.layers()?;
        let filter = self.selection(&layers, 0)?;
        let turned = match (&filter, self.two_sided) {
            (Some(_), true) => self.selection(&layers, 1)?,
            _ => None,
        };
        let having = query.having.as_ref().map(|node| self.condition(node)).transpose()?;
        if let (Some(node), true) = (&query.having, having.as_ref().is_some_and(costs_too_much)) {
            let message = "the patterns are too many or too large together; ask with fewer of them".to_owned();
            return Err(PvqlError::new(node.at, Why::TooLong, message));
        }
        let (sort, order) = self.order()?;
        let settings = self.settings()?;
        let top = query.top.clone().unwrap_or_default();
        Ok(Plan {
            from,
            to,
            filter,
            values: ValuesQuestion {
                keys: self.keys.iter().map(|(key, _)| *key).collect(),
                aggregates: std::mem::take(&mut self.aggregates),
                columns: std::mem::take(&mut self.columns),
                having,
                order,
                offset: top.offset,
                limit: top.limit,
                set_size: settings.set_size,
                two_sided: self.two_sided,
                turned,
            },
            keys: query.keys.iter().zip(&self.keys).map(|(named, (_, is_zone))| label(named, *is_zone)).collect(),
            columns: query.values.iter().map(|named| label(named, self.shows_zones(&named.node))).collect(),
            sort,
            step,
            mode: if query.raw && settings.mode == Mode::Automatic { Mode::Precise } else { settings.mode },
            query_id: settings.query_id,
            layers,
        })
    }

    /// A field by its name.
    pub(super) fn find(&self, name: &str, at: usize) -> Made<Found> {
        fields::find(name).ok_or_else(|| {
            let names: Vec<String> = fields::names().map(|(name, _)| name).collect();
            let near = crate::schema::nearest(&name.to_ascii_lowercase(), names.iter().map(String::as_str));
            let hint = near.map_or_else(|| "list-fields names them".to_owned(), |near| format!("is {near} meant?"));
            PvqlError::new(at, Why::UnknownField, format!("there is no field {name}: {hint}"))
        })
    }

    /// An expression as a key; none where it is none.
    pub(super) fn asked(&self, node: &Node) -> Made<Option<Asked>> {
        let key = |key: Key| Ok(Some(Asked { key, is_zone: false }));
        match &node.expr {
            Expr::Name(name) => {
                let found = self.find(name, node.at)?;
                Ok(match found.meaning() {
                    Meaning::Key(key) => Some(Asked { key, is_zone: found.is_zone_name() }),
                    Meaning::UnknownKey => Some(Asked { key: Key::Nothing, is_zone: false }),
                    Meaning::Value(_) => None,
                })
            }
            Expr::Prefix(address, bits) | Expr::Arithmetic(Arithmetic::Divide, address, bits) => {
                let Some(Asked { key: Key::Ip(end), .. }) = self.asked(address)? else { return Ok(None) };
                let Some(bits) = self.bits(bits, 128)? else { return Ok(None) };
                key(Key::Subnet(end, bits.min(32), bits))
            }
            Expr::Call(name, arguments) => {
                let name = name.to_ascii_lowercase();
                match (name.as_str(), arguments.as_slice()) {
                    ("time", []) => key(Key::Time(self.default_step())),
                    ("time", [width]) => match constant(width, self.world.now)? {
                        Some(Constant::Number(seconds)) if (1.0..=31_622_400.0).contains(&seconds.as_f64()) => {
                            key(Key::Time(Duration::from_secs(seconds.as_f64() as u64)))
                        }
                        _ => Err(PvqlError::new(
                            width.at,
                            Why::Meaning,
                            "expected seconds from 1 to 31622400 in time(..)".to_owned(),
                        )),
                    },
                    ("prefix" | "prefix6", [address, bits]) => {
                        let Some(Asked { key: Key::Ip(end), .. }) = self.asked(address)? else { return Ok(None) };
                        let (v4, v6) = if name == "prefix" {
                            (self.bits(bits, 32)?, Some(128))
                        } else {
                            (Some(32), self.bits(bits, 128)?)
                        };
                        match (v4, v6) {
                            (Some(v4), Some(v6)) => key(Key::Subnet(end, v4, v6)),
                            _ => Ok(None),
                        }
                    }
                    ("family", [address]) => match self.asked(address)? {
                        Some(Asked { key: Key::Ip(_), .. }) => key(Key::Family),
                        _ => Ok(None),
                    },
                    // Names are in lower case as they are.
                    ("flatten" | "text" | "itext" | "lower" | "date" | "strip_url", [inner]) => self.asked(inner),
                    ("safesum", _) => Ok(None),
                    _ => Err(PvqlError::new(
                        node.at,
                        Why::UnknownFunction,
                        format!(
                            "there is no function {name} of so many arguments here: time, prefix, prefix6, family, flatten, text, itext, lower, date, safesum, glob, iglob, re, ire"
                        ),
                    )),
                }
            }
            _ => Ok(None),
        }
    }

    fn bits(&self, node: &Node, most: u8) -> Made<Option<u8>> {
        match constant(node, self.world.now)? {
            Some(Constant::Number(Number::Whole(bits))) => match u8::try_from(bits) {
                Ok(bits) if bits <= most => Ok(Some(bits)),
                _ => Err(PvqlError::new(node.at, Why::Meaning, format!("expected a prefix length from 0 to {most}"))),
            },
            Some(Constant::Net(mask)) => match mask_length(&mask) {
                Some(bits) if bits <= most => Ok(Some(bits)),
                _ => {
                    let message = "expected a prefix length or a mask such as 255.255.255.0";
                    Err(PvqlError::new(node.at, Why::Meaning, message.to_owned()))
                }
            },
            _ => Ok(None),
        }
    }

    /// An expression as a column. `of_rows`: in HAVING, where names of columns count too and keys are those of the row.
    pub(super) fn formula(&mut self, node: &Node, of_rows: bool) -> Made<Formula> {
        if of_rows
            && let Expr::Name(name) = &node.expr
            && let Some((is_value, at)) = self.column_of(name)
        {
            let formula =
                if is_value { self.columns.get(at).cloned().unwrap_or(Formula::Ignored) } else { Formula::Key(at) };
            self.ask(node, formula.parts())?;
            return Ok(formula);
        }
        self.ask(node, usize::from(of_rows))?;
        match &node.expr {
            Expr::Integer(number) => Ok(whole(*number)),
            Expr::Decimal(number) => Ok(Formula::Constant(Number::Fraction(*number))),
            Expr::Negative(inner) => {
                let inner = self.formula(inner, of_rows)?;
                Ok(Formula::Arithmetic(Arithmetic::Subtract, Box::new(whole(0)), Box::new(inner)))
            }
            Expr::Distinct(inner) => match self.asked(inner)? {
                Some(Asked { key: Key::Nothing, .. }) => Ok(Formula::Ignored),
                Some(Asked { key: Key::Time(_), .. }) | None => {
                    Err(PvqlError::new(inner.at, Why::Meaning, "expected a key such as client.ip after #".to_owned()))
                }
                Some(asked) => Ok(Formula::Aggregate(place(&mut self.aggregates, Aggregate::Distinct(asked.key)))),
            },
            Expr::Call(name, parts) if name.eq_ignore_ascii_case("safesum") => {
                Ok(Formula::SafeSum(parts.iter().map(|part| self.formula(part, of_rows)).collect::<Made<_>>()?))
            }
            _ => {
                if let Some(asked) = self.asked(node)? {
                    return self.key_formula(node, asked, of_rows);
                }
                match &node.expr {
                    Expr::Name(name) => match self.find(name, node.at)?.meaning() {
                        Meaning::Value(value) => Ok(value.formula(&mut self.aggregates)),
                        Meaning::Key(_) | Meaning::UnknownKey => Ok(Formula::Ignored),
                    },
                    Expr::Arithmetic(operation, left, right) => {
                        let (left, right) = (self.formula(left, of_rows)?, self.formula(right, of_rows)?);
                        Ok(Formula::Arithmetic(*operation, Box::new(left), Box::new(right)))
                    }
                    _ => {
                        let message = "expected a field, a number, or an expression of these";
                        Err(PvqlError::new(node.at, Why::Meaning, message.to_owned()))
                    }
                }
            }
        }
    }

    /// `HAVING` asks so much more of a row.
    pub(super) fn ask(&mut self, node: &Node, more: usize) -> Made<()> {
        self.asked += more;
        if self.asked > MAX_ASKED {
            let message = format!("expected HAVING to ask less of a row: at most {MAX_ASKED} values and zones");
            return Err(PvqlError::new(node.at, Why::TooLong, message));
        }
        Ok(())
    }

    fn key_formula(&mut self, node: &Node, asked: Asked, of_rows: bool) -> Made<Formula> {
        if of_rows {
            let at = self.keys.iter().position(|(key, is_zone)| (*key, *is_zone) == (asked.key, asked.is_zone));
            return at.map(Formula::Key).ok_or_else(|| {
                let message = "HAVING asks keys that stand after BY, and values; WHERE asks the others";
                PvqlError::new(node.at, Why::Meaning, message.to_owned())
            });
        }
        match asked.key {
            Key::Nothing => Ok(Formula::Ignored),
            Key::Time(_) => Err(PvqlError::new(node.at, Why::Meaning, "time() stands after BY".to_owned())),
            key => Ok(Formula::Aggregate(place(&mut self.aggregates, Aggregate::Set(key)))),
        }
    }

    /// `v1`, `k1` or an alias: whether it is a value, and its number.
    fn column_of(&self, name: &str) -> Option<(bool, usize)> {
        let by_alias = |named: &[Named]| named.iter().position(|named| named.alias.as_deref() == Some(name));
        if let Some(at) = by_alias(&self.query.values) {
            return Some((true, at));
        }
        if let Some(at) = by_alias(&self.query.keys) {
            return Some((false, at));
        }
        let lower = name.to_ascii_lowercase();
        let number = |prefix: char, most: usize| {
            let number: usize = lower.strip_prefix(prefix)?.parse().ok()?;
            (1..=most).contains(&number).then(|| number - 1)
        };
        let value = number('v', self.query.values.len()).map(|at| (true, at));
        value.or_else(|| number('k', self.query.keys.len()).map(|at| (false, at)))
    }

    pub(super) fn is_zone(&self, key: usize) -> bool {
        self.keys.get(key).is_some_and(|(_, is_zone)| *is_zone)
    }

    pub(super) fn is_name(&self, key: usize) -> bool {
        self.keys.get(key).is_some_and(|(key, _)| *key == Key::ServerName)
    }

    pub(super) fn is_address(&self, key: usize) -> bool {
        self.keys
            .get(key)
            .is_some_and(|(key, _)| matches!(key, Key::Ip(_) | Key::Subnet(..) | Key::Netblock(_) | Key::Exporter))
    }

    fn shows_zones(&self, node: &Node) -> bool {
        self.asked(node).ok().flatten().is_some_and(|asked| asked.is_zone)
    }

    fn layers(&self) -> Made<Vec<&'static str>> {
        let found = self.query.from.iter().map(|(name, at)| {
            let lower = name.to_ascii_lowercase();
            let layer = LAYERS.iter().find(|layer| layer.name == lower).map(|layer| layer.name);
            layer.ok_or_else(|| {
                PvqlError::new(*at, Why::UnknownLayer, format!("there is no layer {name:?}: {}", layer_names()))
            })
        });
        let found: Vec<_> = found.collect::<Made<_>>()?;
        Ok(if found.is_empty() { vec!["transport"] } else { found })
    }

    /// The filter of the layers and of WHERE.
    fn selection(&self, layers: &[&str], view: usize) -> Made<Option<Filter>> {
        let bad = |error: FilterError| PvqlError::new(0, Why::TooLong, error.message);
        let of_layers = LAYERS.iter().filter(|layer| layers.contains(&layer.name));
        let mut parts = Vec::new();
        if of_layers.clone().all(|layer| !layer.filter.is_empty()) {
            let layers = of_layers.map(|layer| Filter::parse(layer.filter)).collect::<Result<Vec<_>, _>>();
            parts.push(layers.and_then(Filter::any).map_err(bad)?);
        }
        if let Some(node) = &self.query.filter {
            parts.push(self.filter(node, view)?);
        }
        if parts.is_empty() { Ok(None) } else { Filter::all(parts).map(Some).map_err(bad) }
    }

    fn default_step(&self) -> Duration {
        let seconds = self.range.1.since(self.range.0).as_secs();
        let width = WIDTHS.iter().find(|width| seconds / **width <= POINTS);
        Duration::from_secs(width.or(WIDTHS.last()).copied().unwrap_or(1))
    }

    fn step(&self) -> Made<Option<Duration>> {
        let mut widths =
            self.keys.iter().filter_map(|(key, _)| if let Key::Time(width) = key { Some(*width) } else { None });
        let step = widths.next();
        if widths.any(|width| Some(width) != step) {
            let at = self.query.keys.last().map_or(0, |named| named.node.at);
            return Err(PvqlError::new(at, Why::Meaning, "expected one width of time(..) only".to_owned()));
        }
        Ok(step)
    }

    /// What rows are sorted by, and the same for the answer's label.
    fn order(&self) -> Made<(Vec<Sorted>, Vec<Order>)> {
        let sorts = self.query.top.as_ref().map_or(&[][..], |top: &Top| &top.sort);
        let values =
            |ascending: bool| (0..self.columns.len()).map(move |column| Sorted { is_value: true, column, ascending });
        let keys =
            |ascending: bool| (0..self.keys.len()).map(move |column| Sorted { is_value: false, column, ascending });
        let mut sort: Vec<Sorted> = Vec::new();
        for Sort { name, ascending, at } in sorts {
            match (name.as_str(), ascending) {
                ("v*" | "V*", given) => sort.extend(values(given.unwrap_or(false))),
                ("k*" | "K*", given) => sort.extend(keys(given.unwrap_or(true))),
                ("*", given) => sort.extend(values(given.unwrap_or(false)).chain(keys(given.unwrap_or(true)))),
                (name, given) => {
                    let (is_value, column) =
                        self.column_of(name).or_else(|| self.column_by_text(name)).ok_or_else(|| {
                            let message =
                                format!("{name} is none of the values (v1, ..), the keys (k1, ..) or their aliases");
                            PvqlError::new(*at, Why::Meaning, message)
                        })?;
                    sort.push(Sorted { is_value, column, ascending: given.unwrap_or(!is_value) });
                }
            }
        }
        if sort.is_empty() {
            let time = self.keys.iter().position(|(key, _)| matches!(key, Key::Time(_)));
            sort.extend(time.map(|column| Sorted { is_value: false, column, ascending: true }));
            sort.extend(values(false).chain(keys(true).filter(|key| Some(key.column) != time)));
        }
        sort.truncate(MOST_SORTS);
        let order = sort.iter().map(|&Sorted { is_value, column: at, ascending }| {
            let by =
                if is_value { self.columns.get(at).cloned().unwrap_or(Formula::Ignored) } else { Formula::Key(at) };
            Order { by, ascending }
        });
        let order = order.collect();
        Ok((sort, order))
    }

    /// A column by what was written for it.
    fn column_by_text(&self, text: &str) -> Option<(bool, usize)> {
        let by_text = |named: &[Named]| named.iter().position(|named| named.text.eq_ignore_ascii_case(text));
        by_text(&self.query.values).map(|at| (true, at)).or_else(|| by_text(&self.query.keys).map(|at| (false, at)))
    }

    fn settings(&self) -> Made<Settings> {
        let mut settings = Settings { set_size: SET_SIZE, mode: Mode::Automatic, query_id: None };
        for (name, node) in &self.query.settings {
            let bad = |message: &str| Err(PvqlError::new(node.at, Why::Meaning, message.to_owned()));
            match (name.to_ascii_lowercase().as_str(), &node.expr) {
                ("limit_size_set", Expr::All) => settings.set_size = MOST_MEMBERS,
                ("limit_size_set", Expr::Integer(size @ 1..)) => {
                    settings.set_size = usize::try_from(*size).unwrap_or(MOST_MEMBERS).min(MOST_MEMBERS);
                }
                ("limit_size_set", _) => return bad("expected a number above 0, or ALL"),
                ("query_id", Expr::Text(id) | Expr::Name(id)) if (1..=LONGEST_ID).contains(&id.len()) => {
                    settings.query_id = Some(id.clone());
                }
                ("query_id", Expr::Integer(id)) => settings.query_id = Some(id.to_string()),
                ("query_id", _) => return bad("expected a text of at most 128 octets"),
                ("degradation_mode", Expr::Text(mode) | Expr::Name(mode)) => {
                    settings.mode = match mode.to_ascii_lowercase().as_str() {
                        "fast" => Mode::Fast,
                        "precise" => Mode::Precise,
                        "unlimited" => Mode::Unlimited,
                        _ => return bad("expected \"fast\", \"precise\" or \"unlimited\""),
                    };
                }
                ("degradation_mode", _) => return bad("expected \"fast\", \"precise\" or \"unlimited\""),
                _ => return bad("settings are limit_size_set, query_id and degradation_mode"),
            }
        }
        Ok(settings)
    }
}

/// Looking at one row must not hold the thread, in `HAVING` as in `WHERE`.
fn costs_too_much(having: &Condition) -> bool {
    having.pattern_cost() > MOST_PATTERN_COST
}

struct Settings {
    set_size: usize,
    mode: Mode,
    query_id: Option<String>,
}

fn label(named: &Named, is_zone: bool) -> Column {
    let name = match (&named.alias, &named.node.expr) {
        (Some(alias), _) => alias.clone(),
        (None, Expr::Name(name)) => name.clone(),
        (None, _) => format!("<{}>", named.text),
    };
    Column { name, is_zone }
}

/// Whether a field of `source` or `dest` stands anywhere.
fn is_two_sided(query: &Query) -> bool {
    let all = query.values.iter().chain(&query.keys).map(|named| &named.node);
    all.chain(&query.filter).chain(&query.having).any(|node| {
        let mut found = false;
        node.visit(&mut |expr| {
            if let Expr::Name(name) = expr {
                found |= fields::find(name).is_some_and(|found| matches!(found.end, Some(End::Source | End::Dest)));
            }
        });
        found
    })
}

fn range(query: &Query, world: &World<'_>) -> Made<(Time, Time)> {
    let moment = |node: &Node| {
        match constant(node, world.now)? {
            Some(Constant::Moment(time)) => Ok(time),
            Some(Constant::Number(seconds)) => super::lex::from_seconds(seconds.as_f64()).ok_or(node.at),
            Some(Constant::Text(text)) => super::lex::time(&text).ok_or(node.at),
            _ => Err(node.at),
        }
        .map_err(|at| {
            let message = "expected a moment: @now - 3600, @(2018-02-20T10:00:00) or seconds since 1970";
            PvqlError::new(at, Why::Meaning, message.to_owned())
        })
    };
    // What happened in this very microsecond belongs to it.
    let end_of_now = world.now + Duration::from_micros(1);
    let to = query.until.as_ref().map_or(Ok(end_of_now), moment)?;
    let from = match &query.since {
        Some(node) => moment(node)?,
        None => to - DEFAULT_RANGE,
    };
    if from >= to {
        let at = query.since.as_ref().or(query.until.as_ref()).map_or(0, |node| node.at);
        return Err(PvqlError::new(at, Why::Meaning, "expected SINCE to be before UNTIL".to_owned()));
    }
    Ok((from, to))
}
