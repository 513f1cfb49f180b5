//! PrivX's REST conventions, as its guide has them: `/<service>/api/v1/<collection>`, UUIDs, `{items, count}`, error objects.
//!
//! # Services and collections
//!
//! | path | objects | operations |
//! |---|---|---|
//! | `/local-user-store/api/v1/users` | users | all |
//! | `/role-store/api/v1/roles` | roles | all |
//! | `/local-user-store/api/v1/api-clients` | OAuth 2.0 clients | all |
//! | `/auth/api/v1/sessionstorage/sessions` | logins | read, remove |
//! | `/auth/api/v1/keys` | API keys (ours) | read, make, remove |
//! | `/host-store/api/v1/hosts` | hosts seen in the flows | read |
//! | `/flow-store/api/v1/sessions` | sessions of the flow history (ours) | read |
//! | `/flow-store/api/v1/traffic-groups` | traffic groups (ours) | all |
//! | `/<service>/api/v1/status` | how the service does | read |
//!
//! `POST <collection>/search` finds objects by criteria. `GET <collection>/schema` (ours) gives JSON Schemas of the parameters and
//! the answer of the collections that are made of the flows: there a cap is to be found. `/auth/api/v1/oauth/..` is OAuth 2.0 (see [`oauth`]).
//!
//! # Where the guide leaves a choice
//!
//! - No `limit` gives every object, and sessions are streamed. Two caps: of hosts, which are a ranking of the flows, there are the
//!   10,000 with the most traffic (`capped` in the answer says that there were more), and sessions that are sorted need a limit of
//!   at most 1,000 with the offset, because all of them must be seen before the first can be told. The error and the schema say so.
//! - A host's `common_name` is the name that DNS answers gave it, while these hold, else its address. Callers who may not see all
//!   flows get the address.
//! - A search without a body, or with an empty one, finds everything. A criterion that objects do not have is an error: a
//!   misspelt one must not find everything.
//! - What was there before under a name that is to be made is invalid data: 400 and `DUPLICATE_OBJECT`.
//! - `expire` and `last_login` are dates, and `null` for never.
//! - `start_time` and `end_time` may stand alone, and one of them with `period`, which then reaches from there.
//! - `PUT` takes the whole object as it was read, or the properties that change. What cannot be changed may be there if it is
//!   the same.
//! - A method that a path does not take is answered with 405.
//! - Credentials are Bearer tokens; where there is none, what every dialect takes is taken (Basic, the local socket).
//! - Token exchange (`token/login`) is not there: nobody else's tokens are trusted.

mod failure;
mod flows;
mod items;
mod oauth;
mod objects;

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use self::failure::Error;
use self::objects::{Collection, Place};
use super::message::header;
use super::router::drive;
use super::{Answer, Request, carriers, reply};
use crate::api::{Api, Outcome};
use crate::base::Time;
use crate::schema::{Operation, registry};

/// The names that paths of this dialect begin with.
const SERVICES: &[&str] = &["auth", "local-user-store", "role-store", "host-store", "flow-store"];

static COLLECTIONS: &[Collection] = &[
    Collection {
        service: "local-user-store",
        name: "users",
        list: "users.list",
        create: Some("users.create"),
        set: Some("users.set"),
        delete: Some("users.delete"),
        key: "userid",
        names: &[("user", "username"), ("firstname", "first_name"), ("lastname", "last_name"), ("enable", "enabled")],
        hidden: &["userid", "realm-type"],
    },
    Collection {
        service: "local-user-store",
        name: "api-clients",
        list: "clients.list",
        create: Some("clients.create"),
        set: Some("clients.set"),
        delete: Some("clients.delete"),
        key: "id",
        names: &[],
        hidden: &[],
    },
    Collection {
        service: "role-store",
        name: "roles",
        list: "roles.list",
        create: Some("roles.create"),
        set: Some("roles.set"),
        delete: Some("roles.delete"),
        key: "roleid",
        names: &[("roleid", "name"), ("privs", "permissions"), ("special", "system")],
        hidden: &[],
    },
    Collection {
        service: "auth",
        name: "sessionstorage/sessions",
        list: "logins.list",
        create: None,
        set: None,
        delete: Some("logins.delete"),
        key: "id",
        names: &[],
        hidden: &[],
    },
    Collection {
        service: "auth",
        name: "keys",
        list: "keys.list",
        create: Some("keys.create"),
        set: None,
        delete: Some("keys.delete"),
        key: "id",
        names: &[],
        hidden: &[],
    },
    Collection {
        service: "flow-store",
        name: "traffic-groups",
        list: "trafficgroups",
        create: Some("trafficgroups.create"),
        set: Some("trafficgroup.set"),
        delete: Some("trafficgroup.delete"),
        key: "id",
        names: &[("id", "number")],
        hidden: &[],
    },
    Collection {
        service: "flow-store",
        name: "exporters",
        list: "exporters",
        create: None,
        set: Some("exporter.set"),
        delete: Some("exporter.delete"),
        key: "address",
        names: &[],
        hidden: &[],
    },
];

/// What a path asks for.
#[derive(Debug)]
enum Route {
    Objects(&'static Collection, Place),
    Flows(flows::Collection, Place),
    OAuth(oauth::Endpoint),
    Status,
}

impl Route {
    fn find(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.splitn(4, '/');
        let (service, api, version, rest) = (segments.next()?, segments.next()?, segments.next()?, segments.next()?);
        if (api, version) != ("api", "v1") || !SERVICES.contains(&service) {
            return None;
        }
        if rest == "status" {
            return Some(Self::Status);
        }
        if let Some(endpoint) = oauth::Endpoint::find(service, rest) {
            return Some(Self::OAuth(endpoint));
        }
        let place = |name: &str| match rest.strip_prefix(name)? {
            "" => Some(Place::All),
            "/search" => Some(Place::Search),
            "/schema" => Some(Place::Schema),
            id => {
                let id = id.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/'))?;
                Some(Place::One(id.to_ascii_lowercase()))
            }
        };
        let of_service = COLLECTIONS.iter().filter(|collection| collection.service == service);
        let mut objects =
            of_service.filter_map(|c| Some(Self::Objects(c, place(c.name).filter(|place| *place != Place::Schema)?)));
        objects.next().or_else(|| {
            flows::Collection::ALL
                .into_iter()
                .filter(|collection| collection.service() == service)
                .find_map(|collection| Some(Self::Flows(collection, place(collection.name())?)))
        })
    }

    fn operation(&self, method: &Method) -> Result<&'static Operation, Error> {
        match self {
            Self::Objects(collection, place) => collection.operation(method, place),
            Self::Flows(collection, place) => collection.operation(method, place),
            Self::OAuth(endpoint) => endpoint.operation(method),
            Self::Status if *method == Method::Get => registry::find("status").ok_or(Error::NotFound),
            Self::Status => Err(Error::Method),
        }
    }
}

/// Whether a path is this dialect's.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    segments.next().is_some_and(|service| SERVICES.contains(&service)) && segments.next() == Some("api")
}

/// The operation behind a path.
#[must_use]
pub fn operation(method: &Method, path: &str) -> Option<&'static Operation> {
    Route::find(path)?.operation(method).ok()
}

/// Answers a request for a path of this dialect.
#[must_use]
pub fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    let answered = match Route::find(&request.path) {
        None => Err(Error::NotFound),
        Some(route) => match route {
            Route::Objects(collection, place) => collection.call(api, now, request, place),
            Route::Flows(collection, place) => collection.call(api, now, request, place),
            Route::OAuth(endpoint) => endpoint.call(api, now, request),
            Route::Status => route.operation(&request.method).map(|operation| status(api, now, request, operation)),
        },
    };
    answered.unwrap_or_else(|error| {
        let mut reply = error.reply();
        if error == Error::Method {
            reply.headers.extend(header("Allow", &allowed(&request.path).join(", ")).ok());
        }
        Answer::Reply(reply)
    })
}

/// The methods that a path takes.
fn allowed(path: &str) -> Vec<&'static str> {
    let methods = [("GET", Method::Get), ("POST", Method::Post), ("PUT", Method::Put), ("DELETE", Method::Delete)];
    methods.into_iter().filter(|(_, method)| operation(method, path).is_some()).map(|(name, _)| name).collect()
}

/// `{"status": "OK", ..}`, or `ERROR` with what troubles the box as `status_message`.
fn status(api: &Rc<Api>, now: Time, request: &Request, operation: &'static Operation) -> Answer {
    let outcome = api.call(now, carriers::caller(request, None), operation, Map::new());
    drive(now, outcome, |_, outcome| {
        Answer::Reply(match outcome {
            Outcome::Failed(failure) => Error::Call(failure).reply(),
            outcome => match outcome.result() {
                Some(result) => reply::json(200, &status_object(result)),
                None => Error::NotFound.reply(),
            },
        })
    })
}

fn status_object(ours: &Value) -> Value {
    let healthy = ours["healthy"] == true;
    let trouble: Vec<&str> = ours["trouble"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!({
        "variant": ours["product"], "version": ours["release"], "api_version": "v1", "app_id": ours["product"],
        "server-mode": "standalone", "start_time": ours["started"], "status": if healthy { "OK" } else { "ERROR" },
        "status_message": trouble.join("; "), "status_details": [],
    })
}
