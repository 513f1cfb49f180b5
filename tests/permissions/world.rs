//! A box in memory whose operations are called as dialects call them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weir::api::{Api, Asked, Caller, Failure, Outcome, Parts, World};
use weir::auth::{self, Auth, Credential, From, Refusal, password};
use weir::base::disk::Disk;
use weir::base::disk::sim::SimDisk;
use weir::base::lru::HashKey;
use weir::base::{Connection, Time};
use weir::config;
use weir::enrich::Enricher;
use weir::flow::{FlowRecord, Intake, IntakeConfig, Meter, MeterConfig};
use weir::query::Step;
use weir::rollup::Rollups;
use weir::schema::{Operation, registry};
use weir::store::{Settings, Store};

/// 2026-11-22T12:00:00Z
pub const NOW: u64 = 1_795_348_800;
pub const PASSWORD: &str = "a good long password";

pub fn at(seconds: u64) -> Time {
    Time::from_secs(NOW + seconds)
}

pub struct Box_ {
    pub api: Rc<Api>,
    pub disk: Arc<dyn Disk>,
}

impl Box_ {
    /// Set up.
    pub fn new() -> Self {
        let made = Self::on(Arc::new(SimDisk::new()));
        let hash = password::hash(PASSWORD).unwrap();
        let mut auth = made.api.world().auth.borrow_mut();
        let (ticket, write) = auth.finish_setup(at(0), From::Local(0), hash).unwrap().into_parts();
        auth.saved(at(0), ticket, write()).unwrap();
        drop(auth);
        made
    }

    /// What is started on that disk.
    pub fn on(disk: Arc<dyn Disk>) -> Self {
        let settings = auth::Settings { key_age: Duration::from_secs(3_600), keys: 4_096, own_uid: 999 };
        let (auth, _) = Auth::open(Arc::clone(&disk), settings).unwrap();
        let began = Time::from_secs(NOW - 10_000);
        let (store, recovery) = Store::open(Arc::clone(&disk), Settings::default(), began).unwrap();
        let (book, config) = config::Book::open(Arc::clone(&disk), Vec::new(), at(0)).unwrap();
        let parts = Parts {
            config,
            book,
            auth,
            meter: Meter::new(
                &MeterConfig { first_id: 1_000_000, capacity: 64, ..MeterConfig::default() },
                HashKey(1, 2),
            ),
            intake: Intake::new(&IntakeConfig { capacity: 64, ..IntakeConfig::default() }, HashKey(1, 2)),
            enricher: Enricher::new(HashKey(1, 2)),
            rollups: Rollups::new(HashKey(1, 2), began),
            rollup_store: None,
            store,
            damaged: recovery.damaged,
            objects: weir::objects::Objects::load(None),
        };
        Self { api: Api::new(Rc::new(World::new(began, parts))), disk }
    }

    pub fn append(&self, records: &[FlowRecord]) {
        for record in records {
            self.api.world().store.borrow_mut().append(record.last, record);
        }
    }

    /// Calls an operation to its end.
    pub fn raw(&self, now: Time, credential: &Credential, operation: &'static Operation, given: Value) -> Outcome {
        let from = match credential {
            Credential::None => From::Address("192.0.2.1".parse().unwrap()),
            _ => From::Address("192.0.2.2".parse().unwrap()),
        };
        self.raw_from(now, from, credential, operation, given)
    }

    pub fn raw_from(
        &self,
        now: Time,
        from: From,
        credential: &Credential,
        operation: &'static Operation,
        given: Value,
    ) -> Outcome {
        let Value::Object(given) = given else { panic!("parameters are an object") };
        let caller = Caller { from, credential: credential.clone(), connection: Connection::begin() };
        let mut outcome = self.api.call(now, caller, operation, given);
        loop {
            outcome = match outcome {
                Outcome::Hash { work, resume, .. } => resume(now, Some(work())),
                Outcome::Save { work, resume } => resume(now, work()),
                other => return other,
            };
        }
    }

    pub fn call_at(&self, now: Time, who: &Credential, name: &str, given: Value) -> Result<Value, Failure> {
        let operation = registry::find(name).unwrap_or_else(|| panic!("no operation {name}"));
        match self.raw(now, who, operation, given) {
            Outcome::Done(value) => Ok(value),
            Outcome::Shared(value) => Ok(value.value().clone()),
            Outcome::Failed(failure) => Err(failure),
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn call(&self, who: &Credential, name: &str, given: Value) -> Result<Value, Failure> {
        self.call_at(at(0), who, name, given)
    }

    /// What must work.
    pub fn must(&self, who: &Credential, name: &str, given: Value) -> Value {
        self.call(who, name, given.clone()).unwrap_or_else(|failure| panic!("{name} {given}: {failure:?}"))
    }

    /// Over the local socket, as root.
    pub fn root(&self, name: &str, given: Value) -> Value {
        let operation = registry::find(name).unwrap();
        match self.raw_from(at(0), From::Local(0), &Credential::None, operation, given) {
            Outcome::Done(value) => value,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Makes a user with a password.
    pub fn user(&self, name: &str, more: Value) -> Credential {
        let mut given = json!({ "userid": name, "password": format!("the password of {name}") });
        given.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_else(Map::new));
        self.root("users.create", given);
        self.login(name)
    }

    /// Logs a user in that [`Box_::user`] made: a session key.
    pub fn login(&self, name: &str) -> Credential {
        let password = if name == "admin" { PASSWORD.to_owned() } else { format!("the password of {name}") };
        let made = self.must(&Credential::None, "sessionkey", json!({ "username": name, "password": password }));
        Credential::Key(made["sessionkey"].as_str().unwrap().to_owned())
    }

    /// A question to its end: all steps as text, and the honesty object.
    pub fn ask(&self, who: &Credential, name: &str, given: Value) -> Result<String, Failure> {
        match self.raw(at(0), who, registry::find(name).unwrap(), given) {
            Outcome::Asked(asked) => Ok(answer(*asked)),
            Outcome::Failed(failure) => Err(failure),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn answer(mut asked: Asked) -> String {
    let mut text = String::new();
    loop {
        match asked.step(at(0)) {
            Step::Busy => {}
            Step::Sessions(sessions) => {
                for session in sessions {
                    text.push_str(&format!("{session:?}\n"));
                }
            }
            Step::Done(done) => {
                text.push_str(&format!("{done:?}\n{}", asked.honesty()));
                return text;
            }
        }
    }
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

pub fn refused(result: Result<Value, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
