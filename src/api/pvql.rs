//! Questions in PVQL: the text to a question, and how its answer is labelled; and what a text can name.

use crate::base::SmallMap;
use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::flows::Asked;
use super::{Call, Failure, Handler, Outcome, World};
use crate::base::Time;
use crate::enrich::apps;
use crate::objects::TrafficGroup;
use crate::query::pvql::plan::WIDTHS;
use crate::query::pvql::{self, Column, LAYERS, Mode, Plan, Sorted, Variable, fields};
use crate::query::{Question, What};
use crate::rollup::Width;
use crate::schema::registry::OBJECTS_READ;
use crate::schema::{Access, Fault, Problem};

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("query", query),
    ("queries.list", list),
    ("queries.cancel", cancel),
    ("fields", list_fields),
    ("layers", layers),
    ("applications", |_| Outcome::Done(all_applications())),
    ("zones", |call| Outcome::Done(all_zones(call))),
    ("degradations", degradations),
    ("configuration", configuration),
];

/// How an answer is labelled.
#[derive(Debug)]
pub struct Label {
    /// The question's text.
    pub expr: String,
    /// The keys.
    pub keys: Vec<Column>,
    /// The values.
    pub columns: Vec<Column>,
    /// What rows are sorted by.
    pub sort: Vec<Sorted>,
    /// Seconds of a point, where rows are made by time.
    pub step: Option<u64>,
    /// First moment of the range, and the first after it.
    pub range: (Time, Time),
    /// Layers asked.
    pub layers: Vec<&'static str>,
    /// Where it may come from.
    pub mode: Mode,
    /// Most rows, where that is said.
    pub limit: Option<u64>,
    /// Zones by number.
    pub zones: SmallMap<u16, String>,
    /// When it was asked.
    pub asked: Time,
    /// What it is called.
    pub query_id: String,
    running: Option<Running>,
}

/// The questions that are being answered.
#[derive(Debug, Default)]
pub struct Queries {
    running: Vec<Query>,
    named: u64,
}

impl Queries {
    /// A name for a question that has none.
    fn next_id(&mut self) -> String {
        self.named += 1;
        format!("Query-{}", self.named)
    }
}

/// A question that is being answered.
#[derive(Debug)]
struct Query {
    id: String,
    user: Rc<str>,
    expr: String,
    since: Time,
    cancelled: Rc<Cell<bool>>,
}

/// Its place in the list of those, left when dropped.
#[derive(Debug)]
struct Running {
    world: Rc<World>,
    cancelled: Rc<Cell<bool>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.queries.borrow_mut().running.retain(|query| !Rc::ptr_eq(&query.cancelled, &self.cancelled));
    }
}

impl Label {
    /// Whether somebody ended the question.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.cancelled.get())
    }

    /// How the question was understood, the level of aggregation ([`Asked::level`]), and how many rows are to be expected, if that
    /// is known.
    #[must_use]
    pub fn info(&self, level: u64, rows: Option<u64>) -> Value {
        let seconds = |time: Time| json!(time.micros() as f64 / 1_000_000.0);
        let sort = self.sort.iter().map(|by| {
            json!([if by.is_value { "values" } else { "key" }, by.column, if by.ascending { "ASC" } else { "DESC" }])
        });
        json!({
            "expr": self.expr, "level": level, "step": self.step, "timerange": [seconds(self.range.0), seconds(self.range.1)],
            "meta": {
                "context": { "degradation_mode": mode_word(self.mode) }, "expectedRowCount": rows, "query_id": self.query_id,
                "sources": self.layers, "sort": sort.collect::<Value>(),
                "complexity": { "max_requested": null, "selected": 0, "thresholds": [] },
            },
            "key": self.keys.iter().map(|column| &*column.name).collect::<Vec<_>>(),
            "values": self.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(),
        })
    }

    /// Rows to be expected, where the question says so itself.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        if self.keys.is_empty() { Some(1) } else { None }
    }
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Fast => "fast",
        Mode::Automatic => "automatic",
        Mode::Precise => "precise",
        Mode::Unlimited => "unlimited",
    }
}

/// `query`
fn query(call: &Call) -> Outcome {
    asked(call).into()
}

fn asked(call: &Call) -> Result<Outcome, Failure> {
    let variables = variables(&call.parameters["variables"])?;
    let zones: Vec<(u16, String)> = zones_of(call).into_iter().collect();
    let world = pvql::World { now: call.now, zones: &zones };
    let expr = call.text("expr");
    let plan = pvql::plan(expr, &variables, &world).map_err(Failure::Pvql)?;
    let Plan { from, to, filter, values, keys, columns, sort, step, mode, query_id, layers } = plan;
    let query_id = match query_id {
        Some(id) => id,
        None => call.world().queries.borrow_mut().next_id(),
    };
    let mut label = Label {
        expr: expr.to_owned(),
        keys,
        columns,
        sort,
        step: step.map(|step| step.as_secs()),
        range: (from, to),
        layers,
        mode,
        limit: values.limit,
        zones: zones.into_iter().collect(),
        asked: call.now,
        query_id,
        running: None,
    };
    if call.parameters["dry"] == true {
        return Ok(Outcome::Done(json!({ "info": label.info(0, label.expected()) })));
    }
    let question = Question { from, to, filter, user_filter: None, what: What::Values(Box::new(values)) };
    let mut asked = Asked::begin(call, question, mode)?;
    label.running = Some(enter(call, &label));
    asked.set_label(label);
    Ok(Outcome::Asked(Box::new(asked)))
}

/// Writes a question into the list of those that are being answered.
fn enter(call: &Call, label: &Label) -> Running {
    let cancelled = Rc::new(Cell::new(false));
    call.world().queries.borrow_mut().running.push(Query {
        id: label.query_id.clone(),
        user: user(call),
        expr: label.expr.clone(),
        since: call.now,
        cancelled: Rc::clone(&cancelled),
    });
    Running { world: Rc::clone(call.world()), cancelled }
}

fn user(call: &Call) -> Rc<str> {
    call.identity.map_or_else(|| "".into(), |identity| Rc::clone(&identity.user))
}

fn variables(given: &Value) -> Result<SmallMap<String, Variable>, Failure> {
    let mut made = SmallMap::new();
    let mut faults = Vec::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        match Variable::from_json(value) {
            Ok(variable) => drop(made.insert(name.clone(), variable)),
            Err(why) => faults.push(Fault { path: format!("variables.{name}"), problem: Problem::Other(why) }),
        }
    }
    if faults.is_empty() { Ok(made) } else { Err(Failure::Parameters(faults)) }
}

/// `queries.list`
fn list(call: &Call) -> Outcome {
    let (user, queries) = (user(call), call.world().queries.borrow());
    let own = queries.running.iter().filter(|query| query.user == user);
    let shown = own.map(|query| json!({ "query_id": query.id, "expr": query.expr, "since": query.since.to_string() }));
    Outcome::Done(shown.collect())
}

/// `queries.cancel`
fn cancel(call: &Call) -> Outcome {
    let (user, queries) = (user(call), call.world().queries.borrow());
    let mut found = false;
    for query in queries.running.iter().filter(|query| query.user == user && query.id == call.text("query_id")) {
        query.cancelled.set(true);
        found = true;
    }
    Outcome::Done(json!(found))
}

/// Where a field can be asked, its words and its type.
fn list_fields(_: &Call) -> Outcome {
    let layers: Vec<&str> = LAYERS.iter().map(|layer| layer.name).collect();
    let shown = fields::names().map(|(name, field)| {
        let words = name.replace(['.', '_'], " ");
        json!({
            "name": name, "layers": layers, "category": if field.is_key() { "key" } else { "value" },
            "type": { "type": field.kind.word() }, "description": field.description, "title": words,
            "short_title": words.rsplit(' ').next(), "kind": field.kind.word(), "known": field.is_known(),
        })
    });
    let types = fields::Type::ALL.iter().map(|kind| (kind.word().to_owned(), json!({ "type": kind.word() })));
    Outcome::Done(json!({ "fields": shown.collect::<Value>(), "types": types.collect::<Map<_, _>>() }))
}

/// `layers`
fn layers(_: &Call) -> Outcome {
    let of = |layer: &pvql::Layer| {
        let described =
            json!({ "granularity": WIDTHS.first(), "description": layer.description, "filter": layer.filter });
        (layer.name.to_owned(), described)
    };
    Outcome::Done(Value::Object(LAYERS.iter().map(of).collect()))
}

fn all_applications() -> Value {
    let of = |(number, name): (u16, &str)| {
        let id = number.to_string();
        let shown =
            json!({ "id": id, "name": name, "description": "", "color": null, "is_deleted": false, "bca_id": null });
        (id, shown)
    };
    Value::Object(apps::all().map(of).collect())
}

/// The zones that the caller may ask by and finds in answers: traffic groups of their partition, and those of all.
fn zones_of(call: &Call) -> SmallMap<u16, String> {
    let partition = call.identity.map_or(0, |identity| identity.partition());
    let seen =
        |group: &&TrafficGroup| partition == 0 || group.partition == 0 || u32::from(group.partition) == partition;
    let path = |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    let objects = call.world().objects.borrow();
    objects.groups.iter().filter(seen).map(|group| (group.id, path(&group.name))).collect()
}

/// The zones that are told unasked. Who sees their own partition alone is told of its own; who sees the flows of a filter alone
/// of none: names tell what there is beside.
fn shown_zones(call: &Call) -> SmallMap<u16, String> {
    let mut zones = zones_of(call);
    let objects = call.world().objects.borrow();
    zones.retain(|id, _| objects.groups.get(*id).is_some_and(|group| super::objects::sees(call, group.partition)));
    zones
}

fn all_zones(call: &Call) -> Value {
    let zones = shown_zones(call);
    let named = |path: &str| zones.iter().find(|(_, name)| *name == path).map(|(id, _)| id.to_string());
    let of = |(id, path): (&u16, &String)| {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let shown = json!({ "id": id.to_string(), "name": name, "fullpath": path, "parent_id": named(parent) });
        (id.to_string(), shown)
    };
    Value::Object(zones.iter().map(of).collect())
}

/// `degradations`: levels above 0 are those of the rollups, which have some fields, and these in layers without a filter.
fn degradations(_: &Call) -> Outcome {
    let levels: Vec<usize> = (1..=Width::ALL.len()).collect();
    let of = |(name, _): (String, &fields::Field)| {
        let is_kept = |layer: &pvql::Layer| fields::is_rolled(&name) && layer.filter.is_empty();
        let without = LAYERS.iter().filter(|layer| !is_kept(layer));
        let layers: Map<_, _> =
            without.map(|layer| (layer.name.to_owned(), json!({ "degraded_on": levels }))).collect();
        (!layers.is_empty()).then_some((name, Value::Object(layers)))
    };
    Outcome::Done(Value::Object(fields::names().filter_map(of).collect()))
}

/// `configuration`
fn configuration(call: &Call) -> Outcome {
    let zones = shown_zones(call);
    let may_read = call.identity.is_some_and(|who| who.may(Access::Privilege(OBJECTS_READ), "/objects/trafficgroups"));
    let objects = call.world().objects.borrow();
    let rules = objects.groups.iter().filter(|group| may_read && zones.contains_key(&group.id));
    let rules: Value = rules
        .map(|group| {
            let blocks: Vec<String> = group.blocks.iter().map(ToString::to_string).collect();
            json!({ "zone_id": group.id.to_string(), "subnets": blocks, "filter": group.filter })
        })
        .collect();
    let hierarchy: Value = zones.iter().map(|(id, path)| json!([id.to_string(), path])).collect();
    Outcome::Done(json!({
        "applications": all_applications(), "applications_rules": [], "nodes": [], "version": env!("CARGO_PKG_VERSION"),
        "zone_hierarchy": hierarchy, "zone_rules": rules, "zones": all_zones(call),
    }))
}
