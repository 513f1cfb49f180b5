//! Traffic groups: a name for some netblocks of a partition, maybe restricted by a filter.
//!
//! What arrives is tagged by [`crate::enrich::groups`]; what is there already keeps the group it had. A group of partition 0
//! is for the flows of all partitions, another for those of its own.
//!
//! Numbers count up over all partitions and are not used again: the history names groups by them.
//!
//! Bounds: [`MOST_GROUPS`], [`MOST_BLOCKS`] netblocks in a group and [`MOST_BLOCKS_IN_ALL`]. Stored as JSON, one value a group.

use crate::base::SmallMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Trouble;
use crate::enrich::Groups;
use crate::enrich::groups::{Condition, Rule};
use crate::filter::{Field, Filter, Internal, Net};
use crate::flow::FlowRecord;
use crate::store::State;

/// Most groups.
pub const MOST_GROUPS: usize = 1_024;
/// Most netblocks of one group.
pub const MOST_BLOCKS: usize = 1_024;
/// Most netblocks of all groups together.
pub const MOST_BLOCKS_IN_ALL: usize = 8_192;
/// The longest filter of a group, in bytes: with [`MOST_BLOCKS`] blocks it still fits in one value of the state.
pub const LONGEST_FILTER: usize = 4_096;
/// The longest name, in characters.
pub const LONGEST_NAME: usize = 126;

/// Group of the state.
const GROUP: &str = "trafficgroups";
/// Key of the next number, beside the numbers' own keys of two octets.
const NEXT: &[u8] = b"next";
/// Version of the stored form.
const VERSION: u8 = 1;

/// One traffic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficGroup {
    /// Its number; not 0.
    pub id: u16,
    /// The partition it belongs to.
    pub partition: u16,
    /// Its name; need not be unique.
    pub name: String,
    /// Restricts it to flows that match, as it was given.
    pub filter: Option<String>,
    /// Its netblocks; at least one.
    pub blocks: Vec<Net>,
}

/// What to change of a group; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Another name.
    pub name: Option<String>,
    /// Another filter, or no filter.
    pub filter: Option<Option<String>>,
    /// Other netblocks.
    pub blocks: Option<Vec<Net>>,
    /// More netblocks.
    pub added: Vec<Net>,
}

/// All traffic groups.
#[derive(Debug, Default)]
pub struct TrafficGroups {
    groups: SmallMap<u16, TrafficGroup>,
    /// The number of the next one; 0 when there are no more.
    next: u16,
}

impl TrafficGroups {
    /// Those of the state. One that cannot be read is left out and logged.
    #[must_use]
    pub fn load(state: &State) -> Self {
        let mut made = Self { groups: SmallMap::new(), next: 1 };
        let stored = state.scan(GROUP, b"").unwrap_or_else(|error| {
            log::error!("traffic groups: {error}");
            Vec::new()
        });
        for (key, value) in stored {
            if key == NEXT {
                made.next = made.next.max(<[u8; 2]>::try_from(&*value.bytes).map_or(0, u16::from_be_bytes));
                continue;
            }
            let group = <[u8; 2]>::try_from(&*key)
                .ok()
                .filter(|_| value.version == VERSION)
                .and_then(|id| TrafficGroup::from_stored(u16::from_be_bytes(id), &value.bytes));
            match group {
                Some(group) => drop(made.groups.insert(group.id, group)),
                None => log::error!("traffic groups: what is stored under {key:02x?} cannot be read"),
            }
        }
        let highest = made.groups.keys().next_back().copied().unwrap_or(0);
        made.next = made.next.max(highest.saturating_add(1));
        made
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &TrafficGroup> {
        self.groups.values()
    }

    /// The group of that number.
    #[must_use]
    pub fn get(&self, id: u16) -> Option<&TrafficGroup> {
        self.groups.get(&id)
    }

    /// How many groups and netblocks there are.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.groups.values().map(|group| group.blocks.len()).sum())
    }

    /// Makes a group; gives its number.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn create(&mut self, state: &mut State, partition: u16, edit: Edit) -> Result<u16, Trouble> {
        if self.groups.len() >= MOST_GROUPS {
            return Err(Trouble::Full(format!("There are {MOST_GROUPS} traffic groups already: more are not kept")));
        }
        let (id, after) = match self.next {
            0 => return Err(Trouble::Full("All numbers of traffic groups were used".to_owned())),
            id => (id, id.checked_add(1).unwrap_or(0)),
        };
        let missing = |property| Trouble::Wrong { property, why: "is missing".to_owned() };
        if edit.name.is_none() {
            return Err(missing("name"));
        }
        if edit.blocks.is_none() && edit.added.is_empty() {
            return Err(missing("blocks"));
        }
        let empty = TrafficGroup { id, partition, name: String::new(), filter: None, blocks: Vec::new() };
        state.put(GROUP, NEXT, VERSION, &after.to_be_bytes())?;
        self.store(state, empty, edit)?;
        self.next = after;
        Ok(id)
    }

    /// Changes a group.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn edit(&mut self, state: &mut State, id: u16, edit: Edit) -> Result<(), Trouble> {
        let group = self.groups.get(&id).cloned().ok_or_else(|| absent(id))?;
        self.store(state, group, edit)
    }

    /// Removes a group.
    ///
    /// # Errors
    /// That there is none, or that the state cannot be written.
    pub fn remove(&mut self, state: &mut State, id: u16) -> Result<(), Trouble> {
        if !self.groups.contains_key(&id) {
            return Err(absent(id));
        }
        state.remove(GROUP, &id.to_be_bytes())?;
        self.groups.remove(&id);
        Ok(())
    }

    fn store(&mut self, state: &mut State, mut group: TrafficGroup, edit: Edit) -> Result<(), Trouble> {
        if let Some(name) = edit.name {
            group.name = name;
        }
        if let Some(filter) = edit.filter {
            group.filter = filter.filter(|text| !text.trim().is_empty());
        }
        if let Some(blocks) = edit.blocks {
            group.blocks = Vec::new();
            group.add(blocks);
        }
        group.add(edit.added);
        group.check()?;
        let others = self.size().1 - self.groups.get(&group.id).map_or(0, |old| old.blocks.len());
        if others + group.blocks.len() > MOST_BLOCKS_IN_ALL {
            return Err(Trouble::Full(format!("All traffic groups together have at most {MOST_BLOCKS_IN_ALL} blocks")));
        }
        state.put(GROUP, &group.id.to_be_bytes(), VERSION, group.to_json().to_string().as_bytes())?;
        self.groups.insert(group.id, group);
        Ok(())
    }

    /// The rules to tag by; `internal` is what `INT` means in their filters.
    #[must_use]
    pub fn rules(&self, internal: &Arc<Internal>) -> Groups {
        let rules = self.groups.values().flat_map(|group| {
            let condition = group.condition(internal);
            let rule =
                move |net: &Net| Rule { ip: net.ip, bits: net.bits, group: group.id, condition: condition.clone() };
            group.blocks.iter().map(rule)
        });
        Groups::new(rules.collect())
    }
}

impl TrafficGroup {
    /// As it is shown and stored: `partition`, `name`, `filter` where there is one, `blocks`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("partition".into(), json!(self.partition));
        out.insert("name".into(), json!(self.name));
        if let Some(filter) = &self.filter {
            out.insert("filter".into(), json!(filter));
        }
        out.insert("blocks".into(), self.blocks.iter().map(block_text).collect());
        Value::Object(out)
    }

    fn from_stored(id: u16, bytes: &[u8]) -> Option<Self> {
        let stored: Value = serde_json::from_slice(bytes).ok()?;
        let blocks: Option<Vec<Net>> = stored["blocks"].as_array()?.iter().map(|b| Net::parse(b.as_str()?)).collect();
        let group = Self {
            id,
            partition: u16::try_from(stored["partition"].as_u64()?).ok()?,
            name: stored["name"].as_str()?.to_owned(),
            filter: stored["filter"].as_str().map(str::to_owned),
            blocks: blocks?,
        };
        group.check().is_ok().then_some(group)
    }

    /// Adds the blocks that it has not.
    fn add(&mut self, blocks: Vec<Net>) {
        for block in blocks {
            // More than the bound is refused by `check`; until then no more than one above it is gathered.
            if self.blocks.len() <= MOST_BLOCKS && !self.blocks.contains(&block) {
                self.blocks.push(block);
            }
        }
    }

    fn check(&self) -> Result<(), Trouble> {
        let wrong = |property, why: &str| Err(Trouble::Wrong { property, why: why.to_owned() });
        if self.id == 0 {
            return wrong("id", "0 means none");
        }
        if self.name.trim().is_empty() || self.name.chars().count() > LONGEST_NAME {
            return wrong("name", &format!("must have from 1 to {LONGEST_NAME} characters"));
        }
        if self.blocks.is_empty() || self.blocks.len() > MOST_BLOCKS {
            return wrong("blocks", &format!("must have from 1 to {MOST_BLOCKS} addresses or netblocks"));
        }
        if let Some(filter) = &self.filter {
            if filter.len() > LONGEST_FILTER {
                return wrong("filter", &format!("must have at most {LONGEST_FILTER} bytes"));
            }
            let of_groups = [Field::ClientGroup, Field::ServerGroup, Field::Group];
            if Filter::parse(filter)?.fields().iter().any(|field| of_groups.contains(field)) {
                return wrong("filter", "a traffic group cannot be made of traffic groups");
            }
        }
        Ok(())
    }

    /// What a record must fulfil beside its address.
    fn condition(&self, internal: &Arc<Internal>) -> Option<Condition> {
        // It was parsed before it was taken.
        let filter = self.filter.as_deref().and_then(|text| Filter::parse(text).ok());
        let filter = filter.map(|filter| filter.with_internal(Arc::clone(internal)));
        let partition = self.partition;
        match (filter, partition) {
            (None, 0) => None,
            (None, _) => Some(Rc::new(move |record: &FlowRecord| record.origin.partition == partition)),
            (Some(filter), _) => Some(Rc::new(move |record: &FlowRecord| {
                (partition == 0 || record.origin.partition == partition) && filter.matches(record)
            })),
        }
    }
}

/// A netblock with its prefix length, also where it is a single address.
fn block_text(net: &Net) -> Value {
    let text = net.to_string();
    let single = if net.ip.is_v4() { "/32" } else { "/128" };
    Value::from(if text.contains('/') { text } else { text + single })
}

fn absent(id: u16) -> Trouble {
    Trouble::Absent(format!("There is no traffic group {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowKey, Origin};

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    fn made(name: &str, filter: Option<&str>, blocks: &[&str]) -> Edit {
        Edit {
            name: Some(name.to_owned()),
            filter: filter.map(|text| Some(text.to_owned())),
            blocks: Some(blocks.iter().map(|text| net(text)).collect()),
            added: Vec::new(),
        }
    }

    fn world() -> (tempfile::TempDir, State, TrafficGroups) {
        let scratch = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&scratch.path().join("state")).unwrap();
        let groups = TrafficGroups::load(&state);
        (scratch, state, groups)
    }

    #[test]
    fn groups_come_back_after_a_restart_and_numbers_are_not_used_again() {
        let (scratch, mut state, mut groups) = world();
        assert_eq!(groups.create(&mut state, 0, made("office", None, &["10.0.0.0/8", "10.0.0.0/8"])).unwrap(), 1);
        assert_eq!(groups.create(&mut state, 3, made("web", Some("SRVPORT == 443"), &["::/0"])).unwrap(), 2);
        assert_eq!(groups.create(&mut state, 0, made("gone", None, &["192.0.2.1"])).unwrap(), 3);
        groups.remove(&mut state, 3).unwrap();
        state.flush().unwrap().run().unwrap();
        let before: Vec<_> = groups.iter().cloned().collect();
        drop((state, groups));

        // A thread of sled may hold its file for a moment longer.
        let again = (0..500).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            State::open(&scratch.path().join("state")).ok()
        });
        let (mut state, _) = again.unwrap();
        let mut groups = TrafficGroups::load(&state);
        assert_eq!(groups.iter().cloned().collect::<Vec<_>>(), before);
        assert_eq!(
            groups.get(1).unwrap().to_json(),
            json!({ "partition": 0, "name": "office", "blocks": ["10.0.0.0/8"] })
        );
        assert_eq!(groups.create(&mut state, 0, made("new", None, &["192.0.2.1"])).unwrap(), 4);
        assert_eq!(groups.get(4).unwrap().to_json()["blocks"], json!(["192.0.2.1/32"]));
        assert!(matches!(groups.remove(&mut state, 3), Err(Trouble::Absent(_))));
    }

    #[test]
    fn an_edit_changes_what_it_names_and_leaves_the_rest() {
        let (_scratch, mut state, mut groups) = world();
        let id = groups.create(&mut state, 0, made("a", Some("PORT == 1"), &["10.0.0.0/8"])).unwrap();
        let edit = Edit { added: vec![net("11.0.0.0/8"), net("10.0.0.0/8")], ..Edit::default() };
        groups.edit(&mut state, id, edit).unwrap();
        groups.edit(&mut state, id, Edit { filter: Some(None), ..Edit::default() }).unwrap();
        groups.edit(&mut state, id, Edit { name: Some("b".into()), ..Edit::default() }).unwrap();
        let expected = json!({ "partition": 0, "name": "b", "blocks": ["10.0.0.0/8", "11.0.0.0/8"] });
        assert_eq!(groups.get(id).unwrap().to_json(), expected);
        assert!(matches!(groups.edit(&mut state, 9, Edit::default()), Err(Trouble::Absent(_))));
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let (_scratch, mut state, mut groups) = world();
        let id = groups.create(&mut state, 0, made("a", None, &["10.0.0.0/8"])).unwrap();
        let before = groups.get(id).cloned();
        let blocks = |n: usize| -> Vec<Net> { (0..n).map(|n| net(&format!("2001:db8::{n:x}"))).collect() };
        for wrong in [
            Edit { name: Some(" ".into()), ..Edit::default() },
            Edit { name: Some("x".repeat(LONGEST_NAME + 1)), ..Edit::default() },
            Edit { blocks: Some(vec![]), ..Edit::default() },
            Edit { blocks: Some(blocks(MOST_BLOCKS + 1)), ..Edit::default() },
            Edit { added: blocks(MOST_BLOCKS), ..Edit::default() },
            Edit { filter: Some(Some("PORT = 1".into())), ..Edit::default() },
            Edit { filter: Some(Some("TGRP == 1".into())), ..Edit::default() },
            Edit { filter: Some(Some(format!("PORT == {}1", "0".repeat(LONGEST_FILTER)))), ..Edit::default() },
        ] {
            assert!(groups.edit(&mut state, id, wrong.clone()).is_err(), "{wrong:?}");
            assert_eq!(groups.get(id).cloned(), before);
        }
        let edit = Edit { blocks: Some(blocks(MOST_BLOCKS)), name: Some("x".repeat(LONGEST_NAME)), ..Edit::default() };
        groups.edit(&mut state, id, edit).unwrap();
        assert!(groups.create(&mut state, 0, Edit { name: Some("a".into()), ..Edit::default() }).is_err());
        assert!(groups.create(&mut state, 0, Edit { blocks: Some(blocks(1)), ..Edit::default() }).is_err());
    }

    #[test]
    fn groups_and_blocks_have_a_ceiling() {
        let (_scratch, mut state, mut groups) = world();
        for n in 0..MOST_GROUPS {
            groups.create(&mut state, 0, made("a", None, &[&format!("2001:db8::{n:x}")])).unwrap();
        }
        assert!(matches!(groups.create(&mut state, 0, made("a", None, &["::"])), Err(Trouble::Full(_))));
        let many: Vec<Net> = (0..MOST_BLOCKS).map(|n| net(&format!("10.0.{}.{}", n / 256, n % 256))).collect();
        let full = MOST_BLOCKS_IN_ALL / MOST_BLOCKS - 1;
        for id in 1..=full as u16 {
            groups.edit(&mut state, id, Edit { blocks: Some(many.clone()), ..Edit::default() }).unwrap();
        }
        let edit = Edit { blocks: Some(many), ..Edit::default() };
        assert!(matches!(groups.edit(&mut state, 1_000, edit), Err(Trouble::Full(_))));
        assert!(groups.size().1 <= MOST_BLOCKS_IN_ALL);
    }

    #[test]
    fn the_last_number_is_given_once() {
        let (_scratch, mut state, _) = world();
        state.put(GROUP, NEXT, VERSION, &u16::MAX.to_be_bytes()).unwrap();
        let mut groups = TrafficGroups::load(&state);
        assert_eq!(groups.create(&mut state, 0, made("a", None, &["::"])).unwrap(), u16::MAX);
        assert!(matches!(groups.create(&mut state, 0, made("a", None, &["::"])), Err(Trouble::Full(_))));
    }

    #[test]
    fn rules_follow_filter_and_partition() {
        let (_scratch, mut state, mut groups) = world();
        groups.create(&mut state, 0, made("all", None, &["10.0.0.0/8"])).unwrap();
        groups.create(&mut state, 5, made("theirs", None, &["10.1.0.0/16"])).unwrap();
        groups.create(&mut state, 0, made("web", Some("SRVPORT == 443 && INT"), &["10.2.0.0/16"])).unwrap();
        let none = groups.rules(&Arc::new(Internal::new(Arc::default())));
        let rules = groups.rules(&Arc::new(Internal::new(Arc::from([net("10.2.0.0/16")]))));
        for (client, port, partition, group) in
            [("10.1.0.1", 80, 0, 1), ("10.1.0.1", 80, 5, 2), ("10.2.0.1", 80, 0, 1), ("10.2.0.1", 443, 7, 3)]
        {
            let key = FlowKey { client: client.parse().unwrap(), server_port: port, ..FlowKey::default() };
            let origin = Origin { partition, ..Origin::default() };
            let mut record = FlowRecord { key, origin, ..FlowRecord::default() };
            rules.tag(&mut record);
            assert_eq!(record.sides.map(|side| side.group), [group, 0], "{client} {port} {partition}");
            let mut record = FlowRecord { sides: Default::default(), ..record };
            none.tag(&mut record);
            assert_ne!(record.sides[0].group, 3, "nothing is internal there");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let (_scratch, mut state, mut groups) = world();
        groups.create(&mut state, 0, made("a", None, &["10.0.0.0/8"])).unwrap();
        for (key, version, value) in [
            (&[0, 2][..], VERSION, &b"not JSON"[..]),
            (&[0, 3], VERSION, br#"{"partition":0,"name":"a","blocks":["x"]}"#),
            (&[0, 4], VERSION + 1, br#"{"partition":0,"name":"a","blocks":["::"]}"#),
            (&[0, 0], VERSION, br#"{"partition":0,"name":"a","blocks":["::"]}"#),
            (&[0], VERSION, br#"{"partition":0,"name":"a","blocks":["::"]}"#),
        ] {
            state.put(GROUP, key, version, value).unwrap();
        }
        assert_eq!(TrafficGroups::load(&state).iter().map(|group| group.id).collect::<Vec<_>>(), [1]);
    }
}
