//! The audit log, and partitions.

use std::rc::Rc;
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use super::{Edited, bare_name, change_then, filter, look, texts, trial};
use crate::api::{Call, Failure, Handler, Outcome, World};
use crate::auth::users::{MOST_PARTITIONS, Partition, Users};
use crate::auth::{Refusal, Search};
use crate::base::Time;
use crate::schema::registry::{LOG_AUDIT, USER_MODIFY};
use crate::schema::{Access, format};

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("audit.list", audit),
    ("partitions.list", list_partitions),
    ("partitions.set", set_partition),
    ("partitions.delete", delete_partition),
];

/// `audit.list`
fn audit(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let asked = match call.parameters["userid"].as_str().map(|_| bare_name(call, "userid")).transpose() {
        Ok(asked) => asked,
        Err(failure) => return failure.into(),
    };
    // Who may not see all flows does not see either who asked for which.
    let may_all = identity.may(Access::Privilege(LOG_AUDIT), "/access/audit") && !identity.is_restricted();
    if !may_all && asked.as_deref().is_some_and(|asked| asked != &*identity.user) {
        return call.author().refused(call.now, Refusal::Forbidden).into();
    }
    let moment = |name: &str| call.parameters[name].as_str().and_then(format::moment);
    let search = Search {
        from: moment("start_time").unwrap_or(Time::ZERO),
        to: moment("end_time").unwrap_or(Time::MAX),
        user: if may_all { asked } else { Some(identity.user.to_string()) },
        limit: call.parameters["limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or(100),
    };
    let Some(seat) = Searching::begin(call.world()) else {
        return Failure::Busy("Too many searches of the audit log at once: try again in a moment".to_owned()).into();
    };
    let begun = call.world().auth.borrow().search_audit(search);
    let unreadable = |error: std::io::Error| -> Outcome {
        log::error!("audit: cannot be read: {error}");
        Failure::Broken("The audit log cannot be read: the log says why".to_owned()).into()
    };
    let search = match begun {
        Ok(search) => search,
        Err(error) => return unreadable(error),
    };
    let (give, lines) = channel();
    Outcome::Save {
        work: Box::new(move || search().map(|lines| drop(give.send(lines)))),
        resume: Box::new(move |_, searched| {
            drop(seat);
            match searched {
                Ok(()) => Outcome::Done(lines.try_recv().map(Value::Array).unwrap_or_default()),
                Err(error) => unreadable(error),
            }
        }),
    }
}

/// Most searches of the audit log at once: they have the thread that makes things durable.
const MOST_SEARCHES: usize = 4;

/// One of them.
struct Searching(Rc<World>);

impl Searching {
    fn begin(world: &Rc<World>) -> Option<Self> {
        let searches = world.searches.get();
        (searches < MOST_SEARCHES).then(|| {
            world.searches.set(searches + 1);
            Self(Rc::clone(world))
        })
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        self.0.searches.set(self.0.searches.get() - 1);
    }
}

fn to_json(cid: u32, partition: &Partition) -> Value {
    let Partition { name, filter, internal, exporters } = partition;
    json!({ "cid": cid, "name": name, "filter": filter, "internal": internal, "exporters": exporters })
}

fn list_partitions(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let may = identity.may(Access::Privilege(USER_MODIFY), "/access/partitions") && !identity.is_restricted();
        let seen = |cid: u32| may || cid == identity.partition();
        let everything = Partition { name: "Everything".to_owned(), ..Partition::default() };
        let all = std::iter::once((&0, &everything)).chain(&users.partitions);
        Ok(all.filter(|(cid, _)| seen(**cid)).map(|(cid, partition)| to_json(*cid, partition)).collect())
    })
}

fn set_partition(call: &Call) -> Outcome {
    change_partition(call, |users| {
        let cid = cid(call);
        let before = users.partitions.get(&cid).cloned();
        if before.is_none() && users.partitions.len() >= MOST_PARTITIONS {
            let message = format!("There are {MOST_PARTITIONS} partitions, and there cannot be more");
            return Err(Failure::Conflict(message));
        }
        let given = |name: &str| !call.parameters[name].is_null();
        let mut partition =
            before.clone().unwrap_or_else(|| Partition { name: format!("CID {cid}"), ..Partition::default() });
        if given("name") {
            call.text("name").clone_into(&mut partition.name);
        }
        if given("filter") {
            partition.filter = filter(call, "filter")?;
        }
        if given("internal") {
            partition.internal = texts(call, "internal");
        }
        if given("exporters") {
            partition.exporters = texts(call, "exporters");
        }
        let (was, is) = (before.map_or(Value::Null, |before| to_json(cid, &before)), to_json(cid, &partition));
        users.partitions.insert(cid, partition);
        Ok(Edited::new(format!("partition {cid}"), was, is))
    })
}

fn delete_partition(call: &Call) -> Outcome {
    change_partition(call, |users| {
        let cid = cid(call);
        if let Some((name, _)) = users.by_name.iter().find(|(_, user)| user.partition == cid) {
            return Err(Failure::Conflict(format!("The user '{name}' belongs to partition {cid}")));
        }
        let removed = users.partitions.remove(&cid);
        let removed = removed.ok_or_else(|| Failure::NotFound(format!("There is no partition {cid}")))?;
        Ok(Edited::new(format!("partition {cid}"), to_json(cid, &removed), Value::Null))
    })
}

/// Changes a partition; exporters may belong elsewhere then.
fn change_partition(call: &Call, edit: impl FnOnce(&mut Users) -> Result<Edited, Failure>) -> Outcome {
    let confirm = match trial::confirm(call) {
        Ok(confirm) => confirm,
        Err(failure) => return failure.into(),
    };
    change_then(call.api, call.now, (call.author(), confirm), edit, |api, _, result| {
        api.world.readmit();
        Outcome::Done(result)
    })
}

fn cid(call: &Call) -> u32 {
    call.parameters["cid"].as_u64().and_then(|cid| cid.try_into().ok()).unwrap_or_default()
}
