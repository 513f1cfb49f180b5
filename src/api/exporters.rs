//! Exporters and their interfaces: what was set goes before what is learned, and both are shown as one.
//!
//! Who belongs to a partition sees its exporters alone. Who has a filter of their own sees an exporter only where the filter is
//! about exporters and partitions alone and lets it through: what another filter leaves of an exporter's counters nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::objects::{change, no_state, number};
use super::{Call, Failure, Handler, Outcome, World};
use crate::auth::Identity;
use crate::base::Ip;
use crate::filter::Field;
use crate::flow::exporters::{Exporter, ExporterSettings, InterfaceSettings};
use crate::flow::{FlowRecord, Origin};
use crate::wire::exported::Protocol;

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("exporters", exporters),
    ("exporter", exporter),
    ("exporter.set", set),
    ("exporter.delete", delete),
    ("interface.set", set_interface),
    ("interface.delete", delete_interface),
];

/// `exporters`
fn exporters(call: &Call) -> Outcome {
    let partition = number(call, "partition");
    let known: BTreeSet<Ip> = {
        let (table, objects) = (call.world().exporters.borrow(), call.world().objects.borrow());
        table.iter().map(|(ip, _)| ip).chain(objects.exporters.iter().map(|(ip, _)| ip)).collect()
    };
    let wanted = |ip: &Ip| {
        let its = call.world().partition_of(*ip);
        partition.is_none_or(|partition| partition == its) && sees(call.identity, *ip, its)
    };
    Outcome::Done(known.into_iter().filter(wanted).filter_map(|ip| shown(call.world(), ip)).collect())
}

/// `exporter`
fn exporter(call: &Call) -> Outcome {
    match find(call).and_then(|ip| shown(call.world(), ip).ok_or_else(|| absent(ip))) {
        Ok(found) => Outcome::Done(found),
        Err(failure) => failure.into(),
    }
}

/// `exporter.set`
fn set(call: &Call) -> Outcome {
    edit(call, None, |call, settings| {
        let deleted = deleted(call);
        if let Some(sampling) = call.parameters["sampling"].as_u64() {
            settings.sampling = u32::try_from(sampling).ok();
        } else if deleted("sampling") {
            settings.sampling = None;
        }
        if let Some(correct) = call.parameters["correct_clock"].as_bool() {
            settings.correct_clock = correct;
        } else if deleted("correct_clock") {
            settings.correct_clock = false;
        }
        set_name(call, settings.interfaces.entry(0).or_default());
        Ok(())
    })
}

/// `exporter.delete`
fn delete(call: &Call) -> Outcome {
    let outcome = edit(call, None, |_, settings| {
        *settings = ExporterSettings::default();
        Ok(())
    });
    if let (Outcome::Save { .. }, Ok(ip)) = (&outcome, address(call)) {
        call.world().exporters.borrow_mut().forget(ip);
    }
    without_result(outcome)
}

/// `interface.set`
fn set_interface(call: &Call) -> Outcome {
    edit(call, Some(index(call)), |call, settings| {
        let interface = settings.interfaces.entry(index(call)).or_default();
        let deleted = deleted(call);
        for (name, rate) in ["bit_rate_in", "bit_rate_out"].into_iter().zip(&mut interface.bit_rates) {
            if let Some(bits) = call.parameters[name].as_u64() {
                *rate = Some(bits);
            } else if deleted(name) {
                *rate = None;
            }
        }
        if let Some(ring) = call.parameters["ring"].as_u64() {
            interface.ring = u8::try_from(ring).unwrap_or(u8::MAX);
        } else if deleted("ring") {
            interface.ring = 0;
        }
        set_name(call, interface);
        Ok(())
    })
}

/// `interface.delete`
fn delete_interface(call: &Call) -> Outcome {
    without_result(edit(call, Some(index(call)), |call, settings| match settings.interfaces.remove(&index(call)) {
        Some(_) => Ok(()),
        None => Err(Failure::NotFound(format!("Nothing is set of interface {}", index(call)))),
    }))
}

fn set_name(call: &Call, interface: &mut InterfaceSettings) {
    if let Some(name) = call.parameters["name"].as_str() {
        interface.name = Some(name.to_owned());
    } else if deleted(call)("name") {
        interface.name = None;
    }
}

fn deleted<'a>(call: &'a Call) -> impl Fn(&str) -> bool + 'a {
    move |name| call.parameters["delete"].as_array().is_some_and(|words| words.iter().any(|word| word == name))
}

/// Changes what is set of an exporter; what arrives from now on follows it.
fn edit(
    call: &Call,
    interface: Option<u32>,
    make: impl FnOnce(&Call, &mut ExporterSettings) -> Result<(), Failure>,
) -> Outcome {
    let ip = match find(call) {
        Ok(ip) => ip,
        Err(failure) => return failure.into(),
    };
    let outcome = change(call, |call, objects| {
        let mut settings = objects.exporters.get(ip).cloned().unwrap_or_default();
        let before = set_json(&settings, interface);
        make(call, &mut settings)?;
        settings.interfaces.retain(|_, interface| *interface != InterfaceSettings::default());
        let after = set_json(&settings, interface);
        objects.exporters.put(objects.state.as_mut().ok_or_else(no_state)?, ip, settings)?;
        let target = match interface {
            Some(index) => format!("exporters/{ip}/interfaces/{index}"),
            None => format!("exporters/{ip}"),
        };
        call.changed(&target, &before, &after);
        Ok(Value::Null)
    });
    let Outcome::Save { work, resume } = outcome else { return outcome };
    call.world().readmit();
    // What is shown is what it came to, not only what was set.
    let world = std::rc::Rc::clone(call.world());
    Outcome::Save {
        work,
        resume: Box::new(move |now, written| match resume(now, written) {
            Outcome::Done(_) => Outcome::Done(as_it_is(&world, ip)),
            other => other,
        }),
    }
}

fn without_result(outcome: Outcome) -> Outcome {
    let Outcome::Save { work, resume } = outcome else { return outcome };
    let resume = Box::new(move |now, written| match resume(now, written) {
        Outcome::Done(_) => Outcome::Done(Value::Null),
        other => other,
    });
    Outcome::Save { work, resume }
}

/// The exporter that the parameters name, where the caller may see it; one that was never heard can be set too.
fn find(call: &Call) -> Result<Ip, Failure> {
    let ip = address(call)?;
    let its = call.world().partition_of(ip);
    let is_asked = number(call, "partition").is_none_or(|partition| partition == its);
    if is_asked && sees(call.identity, ip, its) {
        return Ok(ip);
    }
    match number(call, "partition") {
        Some(partition) => Err(Failure::NotFound(format!("There is no exporter {ip} in partition {partition}"))),
        None => Err(absent(ip)),
    }
}

fn absent(ip: Ip) -> Failure {
    Failure::NotFound(format!("There is no exporter {ip}"))
}

fn address(call: &Call) -> Result<Ip, Failure> {
    call.text("address").parse().map_err(|_| Failure::NotFound(format!("'{}' is no address", call.text("address"))))
}

fn index(call: &Call) -> u32 {
    call.parameters["index"].as_u64().and_then(|index| index.try_into().ok()).unwrap_or(0)
}

/// Whether someone may see an exporter of that partition.
fn sees(identity: Option<&Identity>, exporter: Ip, partition: u16) -> bool {
    let Some(identity) = identity else { return false };
    let rights = identity.rights();
    if identity.partition() != 0 && identity.partition() != u32::from(partition) {
        return false;
    }
    match rights.filter() {
        Some(filter) if rights.has_own_filter() => {
            let is_of_exporters = filter.fields().iter().all(|f| matches!(f, Field::Exporter | Field::Partition));
            let origin = Origin { exporter, partition, ..Origin::default() };
            is_of_exporters && filter.matches(&FlowRecord { origin, ..FlowRecord::default() })
        }
        _ => true,
    }
}

/// An exporter as it is known, or as it was set; none where it is neither.
fn shown(world: &World, ip: Ip) -> Option<Value> {
    let is_known = world.exporters.borrow().get(ip).is_some() || world.objects.borrow().exporters.get(ip).is_some();
    is_known.then(|| as_it_is(world, ip))
}

/// The same where it may be neither.
fn as_it_is(world: &World, ip: Ip) -> Value {
    let (table, objects) = (world.exporters.borrow(), world.objects.borrow());
    let (heard, set) = (table.get(ip), objects.exporters.get(ip));
    let nothing = ExporterSettings::default();
    let settings = set.unwrap_or(&nothing);
    let learned = heard.map(|exporter| &exporter.interfaces);
    let numbers: BTreeSet<u32> =
        learned.into_iter().flat_map(BTreeMap::keys).chain(settings.interfaces.keys()).copied().collect();
    let own = InterfaceSettings::default();
    let interfaces = numbers.into_iter().map(|index| {
        let set = settings.interfaces.get(&index).unwrap_or(&own);
        let told = learned.and_then(|interfaces| interfaces.get(&index));
        let rates = told.map_or([0; 2], |interface| interface.bit_rates());
        json!({
            "index": index,
            "name": set.name.as_deref().or(told.map(|told| told.name.as_str())).unwrap_or_default(),
            "description": told.map_or("", |told| &told.description),
            "speed": told.map_or(0, |told| told.speed),
            "bit_rate_in": set.bit_rates[0].unwrap_or(rates[0]),
            "bit_rate_in_learned": set.bit_rates[0].is_none(),
            "bit_rate_out": set.bit_rates[1].unwrap_or(rates[1]),
            "bit_rate_out_learned": set.bit_rates[1].is_none(),
            "ring": set.ring,
        })
    });
    let counted = heard.map(|exporter| exporter.counters).unwrap_or_default();
    let mut out = Map::from_iter([("address".to_owned(), json!(ip.to_string()))]);
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("partition", json!(world.partition_of(ip)));
    put("name", json!(settings.interfaces.get(&0).and_then(|own| own.name.as_deref()).unwrap_or_default()));
    put("protocol", json!(heard.and_then(|exporter| exporter.protocol).map_or("", Protocol::name)));
    if let Some(exporter) = heard {
        put("since", json!(exporter.since.to_string()));
        put("last", json!(exporter.last.to_string()));
    }
    put("sampling", json!(settings.sampling.unwrap_or(heard.map_or(0, |exporter| exporter.sampling))));
    put("sampling_learned", json!(settings.sampling.is_none()));
    put("clock_skew_ms", json!(heard.map_or(0, Exporter::clock_skew_ms)));
    put("correct_clock", json!(settings.correct_clock));
    put("datagrams", json!(counted.datagrams));
    put("octets", json!(counted.octets));
    put("flows", json!(counted.flows));
    put("troubles", heard.map_or_else(|| json!({}), |exporter| json!(exporter.troubles())));
    put("interfaces", interfaces.collect());
    Value::Object(out)
}

/// What was set, for the audit log.
fn set_json(settings: &ExporterSettings, interface: Option<u32>) -> Value {
    let named = |index| settings.interfaces.get(&index).and_then(|interface| interface.name.clone());
    match interface {
        None => json!({
            "name": named(0), "sampling": settings.sampling, "correct_clock": settings.correct_clock,
        }),
        Some(index) => settings.interfaces.get(&index).map_or(Value::Null, |interface| {
            let [bits_in, bits_out] = interface.bit_rates;
            json!({ "name": named(index), "bit_rate_in": bits_in, "bit_rate_out": bits_out, "ring": interface.ring })
        }),
    }
}
