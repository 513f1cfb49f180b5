//! Which dialect a request is for, by the beginning of its path.

use std::rc::Rc;

use tiny_http::Method;

use super::{Answer, Request, Service, alyvix, doc, flowtraq, native, privx, prometheus, pvx, reply};
use crate::api::{Api, Outcome};
use crate::base::Time;

/// The longest body where no operation says: nothing there takes one.
const NO_OPERATION: usize = 4 * 1024;

/// All dialects, as the one service that HTTP calls.
#[derive(Debug)]
pub struct Router {
    api: Rc<Api>,
}

impl Router {
    /// Routes to that API.
    #[must_use]
    pub const fn new(api: Rc<Api>) -> Self {
        Self { api }
    }
}

impl Service for Router {
    fn body_limit(&self, method: &Method, path: &str) -> usize {
        if let Some(rest) = path.strip_prefix(pvx::PREFIX) {
            return pvx::body_limit(rest);
        }
        let operation = if let Some(rest) = path.strip_prefix(flowtraq::PREFIX) {
            flowtraq::operation(method, rest)
        } else if let Some(rest) = path.strip_prefix(native::PREFIX) {
            native::operation(method, rest)
        } else if privx::is_ours(path) {
            privx::operation(method, path)
        } else if alyvix::is_here(path) {
            alyvix::operation(method, path)
        } else {
            None
        };
        operation.map_or(NO_OPERATION, |operation| operation.body_limit)
    }

    fn call(&self, now: Time, request: Request) -> Answer {
        if request.path.starts_with(flowtraq::PREFIX) {
            flowtraq::call(&self.api, now, &request)
        } else if request.path.starts_with(native::PREFIX) {
            native::call(&self.api, now, &request)
        } else if pvx::is_ours(&request.path) {
            pvx::call(&self.api, now, &request)
        } else if privx::is_ours(&request.path) {
            privx::call(&self.api, now, &request)
        } else if alyvix::is_here(&request.path) {
            alyvix::call(&self.api, now, &request)
        } else if request.path == prometheus::PATH {
            prometheus::call(&self.api, now, &request)
        } else if request.path == "/" && request.method == Method::Get {
            Answer::Reply(reply::page(HOME))
        } else if let Some(page) = doc::serve(now, &request) {
            Answer::Reply(page)
        } else {
            Answer::Reply(reply::text(
                404,
                "There is nothing here. The API is under /flowtraq/api/v3/, /api/ and /api2/json/.\n",
            ))
        }
    }
}

/// Goes on with an outcome until it can be rendered, handing out passwords to hash on the way.
pub(super) fn drive(now: Time, outcome: Outcome, render: impl FnOnce(Time, Outcome) -> Answer + 'static) -> Answer {
    match outcome {
        Outcome::Hash { .. } | Outcome::Save { .. } => go_on(now, outcome, Box::new(render)),
        outcome => render(now, outcome),
    }
}

/// The same; apart, so that it is in the program once and not for each who calls.
fn go_on(now: Time, outcome: Outcome, render: Box<dyn FnOnce(Time, Outcome) -> Answer>) -> Answer {
    match outcome {
        Outcome::Hash { work, alike, resume } => {
            Answer::Hash { alike, work, resume: Box::new(move |now, hashed| go_on(now, resume(now, hashed), render)) }
        }
        Outcome::Save { work, resume } => {
            Answer::Save { work, resume: Box::new(move |now, written| go_on(now, resume(now, written), render)) }
        }
        outcome => render(now, outcome),
    }
}

/// What a browser sees.
const HOME: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>weir</title></head><body>\n\
    <h1>weir</h1>\n<p>This box measures the flows that pass it and answers questions about them.</p>\n<ul>\n\
    <li>Set it up: <code>weir setup</code> on the box, or POST the set-up code and a password to \
    <code>/api2/json/setup</code>.</li>\n\
    <li>Ask it: <code>curl -u admin https://this-box:8443/flowtraq/api/v3/table?relative_time=1h</code></li>\n\
    <li>How it does: <code>/flowtraq/api/v3/info</code></li>\n\
    <li>Everything it can do: <a href=\"/doc\">the documentation</a>, <a href=\"/openapi.json\">OpenAPI</a></li>\n</ul>\n</body></html>\n";
