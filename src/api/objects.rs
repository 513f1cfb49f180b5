//! What users make and name: traffic groups, preferences.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::{Call, Failure, Handler, Outcome};
use crate::auth::{Identity, Refusal};
use crate::filter::{Field, Net};
use crate::objects::{Edit, Objects, TrafficGroup, Trouble};
use crate::schema::registry::{LOG_AUDIT, OBJECTS_MODIFY};
use crate::schema::{Access, Fault, Problem};

/// As many bytes of a preference are too many for a line of the audit log.
const LONG: usize = 512;

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("trafficgroups", trafficgroups),
    ("trafficgroups.create", create),
    ("trafficgroup", trafficgroup),
    ("trafficgroup.set", set),
    ("trafficgroup.delete", delete),
    ("prefs", prefs),
    ("prefs.put", prefs_put),
    ("prefs.merge", prefs_merge),
    ("prefs.delete", prefs_delete),
];

/// `trafficgroups`
fn trafficgroups(call: &Call) -> Outcome {
    let partition = number(call, "partition");
    let objects = call.world().objects.borrow();
    let wanted = |group: &&TrafficGroup| partition.is_none_or(|p| p == group.partition) && sees(call, group.partition);
    Outcome::Done(objects.groups.iter().filter(wanted).map(shown).collect())
}

/// `trafficgroup`
fn trafficgroup(call: &Call) -> Outcome {
    match find(call, &call.world().objects.borrow()) {
        Ok(group) => Outcome::Done(shown(group)),
        Err(failure) => failure.into(),
    }
}

/// `trafficgroups.create`
fn create(call: &Call) -> Outcome {
    change_groups(call, |call, objects| {
        let edit = edit(call)?;
        let partition = number(call, "partition").unwrap_or(0);
        if !sees(call, partition) {
            return Err(Failure::Refused(Refusal::Forbidden));
        }
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        Ok(objects.groups.create(state, partition, edit)?)
    })
}

/// `trafficgroup.set`
fn set(call: &Call) -> Outcome {
    change_groups(call, |call, objects| {
        let (id, edit) = (find(call, objects)?.id, edit(call)?);
        objects.groups.edit(objects.state.as_mut().ok_or_else(no_state)?, id, edit)?;
        Ok(id)
    })
}

/// `trafficgroup.delete`
fn delete(call: &Call) -> Outcome {
    change_groups(call, |call, objects| {
        let id = find(call, objects)?.id;
        objects.groups.remove(objects.state.as_mut().ok_or_else(no_state)?, id)?;
        Ok(id)
    })
}

/// `prefs`
fn prefs(call: &Call) -> Outcome {
    let read = || {
        let owner = owner(call, LOG_AUDIT)?;
        let objects = call.world().objects.borrow();
        let state = objects.state.as_ref().ok_or_else(no_state)?;
        let found = objects.prefs.get(state, &owner, &path(call)?)?;
        found.ok_or_else(|| Failure::NotFound(format!("There is no preference '{}'", call.text("path"))))
    };
    read().map_or_else(Outcome::Failed, Outcome::Done)
}

/// `prefs.put`
fn prefs_put(call: &Call) -> Outcome {
    change_prefs(call, |call, objects, owner| {
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        Ok(objects.prefs.put(state, owner, &path(call)?, call.parameters["value"].clone())?)
    })
}

/// `prefs.merge`
fn prefs_merge(call: &Call) -> Outcome {
    change_prefs(call, |call, objects, owner| {
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        Ok(objects.prefs.merge(state, owner, &path(call)?, call.parameters["value"].clone())?)
    })
}

/// `prefs.delete`
fn prefs_delete(call: &Call) -> Outcome {
    change_prefs(call, |call, objects, owner| {
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        Ok(objects.prefs.remove(state, owner, &path(call)?)?)
    })
}

/// Changes preferences; answers with what the path names now.
fn change_prefs(call: &Call, make: impl FnOnce(&Call, &mut Objects, &str) -> Result<(), Failure>) -> Outcome {
    change(call, |call, objects| {
        let owner = owner(call, OBJECTS_MODIFY)?;
        let (user, path) = (call.text("user"), path(call)?);
        if call.operation.name != "prefs.delete" {
            refuse_filter(&path, &call.parameters["value"])?;
        }
        let show = |objects: &Objects| -> Result<Value, Failure> {
            let state = objects.state.as_ref().ok_or_else(no_state)?;
            Ok(objects.prefs.get(state, &owner, &path)?.unwrap_or_default())
        };
        let before = show(objects)?;
        make(call, objects, &owner)?;
        let after = show(objects)?;
        call.changed(&format!("prefs/{user}/{}", path.join("/")), &brief(before), &brief(after.clone()));
        Ok(after)
    })
}

/// What some systems have among the preferences and we do not: a filter that nobody looks at would be taken for one that
/// restricts.
const FILTER: &str = "userfilter";

fn refuse_filter(path: &[&str], value: &Value) -> Result<(), Failure> {
    let names = |name: &str| name.eq_ignore_ascii_case(FILTER);
    let is_named = match path {
        [] => value.as_object().is_some_and(|stanza| stanza.keys().any(|name| names(name))),
        [first, ..] => names(first),
    };
    if is_named {
        let why = "what restricts a user is no preference of theirs: it is the filter of the user";
        return Err(Failure::Parameters(vec![fault(FILTER, why)]));
    }
    Ok(())
}

/// What the audit log shows of a value: of a long one only how long it is.
fn brief(value: Value) -> Value {
    match value.to_string().len() {
        long @ LONG.. => json!(format!("{long} bytes")),
        _ => value,
    }
}

/// Makes a change and answers when it is durable.
pub(super) fn change(call: &Call, make: impl FnOnce(&Call, &mut Objects) -> Result<Value, Failure>) -> Outcome {
    let mut objects = call.world().objects.borrow_mut();
    let Some(state) = &objects.state else { return no_state().into() };
    let Some(flush) = state.flush() else {
        return Failure::Busy("Too many changes at once: try again in a moment".to_owned()).into();
    };
    match make(call, &mut objects) {
        Ok(value) => Outcome::Save {
            work: Box::new(move || flush.run()),
            resume: Box::new(move |_, written| match written {
                Ok(()) => Outcome::Done(value),
                Err(error) => {
                    log::error!("state: {error}");
                    Failure::Broken(
                        "The change is made, but would not survive a power cut: the log says why".to_owned(),
                    )
                    .into()
                }
            }),
        },
        Err(failure) => failure.into(),
    }
}

/// Changes a group, and tags by the groups as they are then; answers with the group, or nothing where it is gone.
fn change_groups(call: &Call, make: impl FnOnce(&Call, &mut Objects) -> Result<u16, Failure>) -> Outcome {
    let outcome = change(call, |call, objects| {
        let show = |objects: &Objects, id| objects.groups.get(id).map(shown).unwrap_or_default();
        if is_held_by_groups(call) {
            return Err(call.author().refused(call.now, Refusal::Forbidden));
        }
        let before = show(objects, number(call, "id").unwrap_or(0));
        let id = make(call, objects)?;
        let after = show(objects, id);
        call.changed(&format!("trafficgroups/{id}"), &before, &after);
        Ok(after)
    });
    call.world().retag();
    outcome
}

fn shown(group: &TrafficGroup) -> Value {
    let mut out = Map::from_iter([("id".to_owned(), json!(group.id))]);
    if let Value::Object(rest) = group.to_json() {
        out.extend(rest);
    }
    Value::Object(out)
}

/// The group that the parameters name.
fn find<'a>(call: &Call, objects: &'a Objects) -> Result<&'a TrafficGroup, Failure> {
    let (id, partition) = (number(call, "id").unwrap_or(0), number(call, "partition"));
    let there = |group: &&TrafficGroup| partition.is_none_or(|p| p == group.partition) && sees(call, group.partition);
    let found = objects.groups.get(id).filter(there);
    found.ok_or_else(|| match partition {
        Some(partition) => Failure::NotFound(format!("There is no traffic group {id} in partition {partition}")),
        None => Failure::NotFound(format!("There is no traffic group {id}")),
    })
}

/// Whether the groups of a partition are for the caller: who has a partition sees those of it alone, and who has a filter of their
/// own none, because netblocks and names tell what there is outside.
pub(super) fn sees(call: &Call, partition: u16) -> bool {
    let is_theirs = |who: &Identity| who.partition() == 0 || who.partition() == u32::from(partition);
    call.identity.is_some_and(|who| is_theirs(who) && !who.rights().has_own_filter())
}

/// Whether what the caller may see hangs on which addresses are in a group: then it is not theirs to say.
fn is_held_by_groups(call: &Call) -> bool {
    let names_groups = |field: &Field| matches!(field, Field::Group | Field::ClientGroup | Field::ServerGroup);
    let filter = call.identity.and_then(Identity::filter);
    filter.is_some_and(|filter| filter.fields().iter().any(names_groups))
}

/// What the parameters change of a group.
fn edit(call: &Call) -> Result<Edit, Failure> {
    let text = |name: &str| call.parameters[name].as_str().map(str::to_owned);
    let deletes_filter = call.parameters["delete"].as_array().is_some_and(|words| words.iter().any(|w| w == "filter"));
    let filter = if deletes_filter { Some(None) } else { text("filter").map(Some) };
    let blocks = nets(call, "blocks")?;
    Ok(Edit { name: text("name"), filter, blocks, added: nets(call, "add")?.unwrap_or_default() })
}

/// The netblocks of a parameter; every one that is none is reported.
fn nets(call: &Call, name: &str) -> Result<Option<Vec<Net>>, Failure> {
    let Some(given) = call.parameters[name].as_array() else { return Ok(None) };
    let (mut nets, mut faults) = (Vec::new(), Vec::new());
    for (at, text) in given.iter().enumerate() {
        match text.as_str().and_then(|text| Net::parse(text.trim())) {
            Some(net) => nets.push(net),
            None => faults.push(fault(&format!("{name}[{at}]"), "is no address and no netblock such as 192.0.2.0/24")),
        }
    }
    if faults.is_empty() { Ok(Some(nets)) } else { Err(Failure::Parameters(faults)) }
}

/// Whose preferences a call is about, by what they are stored under: the user's id, because another may come to have the name.
/// One's own are one's own; those of others need a privilege that ordinary users do not have, and that their partition is the caller's. Who has a filter of
/// their own sees none of others: dashboards name what others may see.
fn owner(call: &Call, privilege: &'static str) -> Result<String, Failure> {
    let forbidden = || Failure::Refused(Refusal::Forbidden);
    let (who, name) = (call.identity.ok_or_else(forbidden)?, call.text("user"));
    let is_own = *who.user == *name;
    let may_others = who.may(Access::Privilege(privilege), "/objects/prefs") && !who.rights().has_own_filter();
    if !is_own && !may_others {
        return Err(forbidden());
    }
    let auth = call.world().auth.borrow();
    let found = auth.users()?.find(name);
    match found.filter(|user| is_own || who.partition() == 0 || who.partition() == user.partition) {
        Some(user) => Ok(user.id.clone()),
        // Over the local socket, also before there is an administrator.
        None if is_own => Ok(name.to_owned()),
        None => Err(Failure::NotFound(format!("There is no user '{name}'"))),
    }
}

/// The names that the parameter `path` joins.
fn path<'a>(call: &'a Call) -> Result<Vec<&'a str>, Failure> {
    let text = call.text("path").trim_matches('/');
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = text.split('/').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(Failure::Parameters(vec![fault("path", "has a name of no letters")]));
    }
    Ok(names)
}

pub(super) fn number(call: &Call, name: &str) -> Option<u16> {
    call.parameters[name].as_u64().and_then(|n| u16::try_from(n).ok())
}

fn fault(path: &str, why: impl Display) -> Fault {
    Fault { path: path.to_owned(), problem: Problem::Other(why.to_string()) }
}

pub(super) fn no_state() -> Failure {
    Failure::Broken("The database of traffic groups and preferences cannot be opened: the log says why".to_owned())
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Absent(what) => Self::NotFound(what),
            Trouble::Wrong { property, why } => Self::Parameters(vec![fault(property, why)]),
            Trouble::Filter(error) => Self::Filter { position: error.position, message: error.message },
            Trouble::Full(what) => Self::Question(what),
            Trouble::State(error) => {
                log::error!("state: {error}");
                Self::Broken("The change could not be stored: the log says why".to_owned())
            }
        }
    }
}
