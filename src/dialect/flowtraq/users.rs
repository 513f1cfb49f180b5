//! `users`: everyone whom the caller may see, one of them, or one of their four keys. Only GET: people and their rights are
//! changed in the native tree.
//!
//! Whoever has the role Administrator is `ADMIN`; `last_login` is in UTC, empty before the first; who is no administrator and
//! has no filter has the `userfilter` `None`, as in the guide.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::{Asker, keyed, message};
use crate::dialect::{Answer, Reply};
use crate::schema::{Operation, registry};

const KEYS: [&str; 4] = ["role", "last_login", "userfilter", "cid"];
/// The role of administrators in the table.
const ADMINISTRATOR: &str = "Administrator";

/// The operation that a call comes to.
pub(super) fn operation(keys: &[String]) -> Option<&'static Operation> {
    registry::find(if keys.is_empty() { "users.list" } else { "users.get" })
}

pub(super) fn call(asker: &Asker<'_>, keys: &[String]) -> Answer {
    answer(asker, keys).unwrap_or_else(Answer::Reply)
}

fn answer(asker: &Asker<'_>, keys: &[String]) -> Result<Answer, Reply> {
    if asker.request.method != Method::Get {
        return Err(message(403, "users does not support POST, PUT, or DELETE"));
    }
    let absent = || message(404, "There is no such user: names have an '@' before them here");
    let [user, key @ ..] = keys else {
        return Ok(asker.ask("users.list", Map::new(), |users| {
            let named = users.as_array().into_iter().flatten().map(|user| (at(user), block(user)));
            keyed::answer("users", Value::Object(named.collect()))
        }));
    };
    let name = user.strip_prefix('@').ok_or_else(absent)?;
    let key = match key {
        [] => None,
        [key] => Some(KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(key)).ok_or_else(absent)?),
        _ => return Err(absent()),
    };
    let parameters = Map::from_iter([("userid".to_owned(), json!(name))]);
    Ok(asker.ask("users.get", parameters, move |user| match key {
        None => keyed::answer(&at(user), block(user)),
        Some(key) => keyed::answer(key, block(user)[key].clone()),
    }))
}

fn at(user: &Value) -> String {
    format!("@{}", user["user"].as_str().unwrap_or_default())
}

fn block(user: &Value) -> Value {
    let is_administrator = user["roles"].as_array().is_some_and(|roles| roles.iter().any(|role| role == ADMINISTRATOR));
    let filter = match user["filter"].as_str() {
        _ if is_administrator => Value::Null,
        Some("") | None => json!("None"),
        Some(filter) => json!(filter),
    };
    json!({
        "role": if is_administrator { "ADMIN" } else { "USER" },
        "last_login": date(user["last_login"].as_str().unwrap_or_default()),
        "userfilter": filter,
        "cid": user["partition"].to_string(),
    })
}

/// `2026-01-02T03:04:05Z` as `01/02/2026 03:04:05`.
fn date(time: &str) -> String {
    let parts = time.split_once('T').and_then(|(date, clock)| Some((date.split_once('-')?, clock.get(..8)?)));
    parts
        .and_then(|((year, rest), clock)| {
            Some(format!("{}/{year} {clock}", rest.split_once('-').map(|(m, d)| format!("{m}/{d}"))?))
        })
        .unwrap_or_default()
}
