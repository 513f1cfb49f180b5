//! A call on its way to the native tree: over the local socket of a data folder (root and the service's own user alone), or over
//! TLS to a box known by its certificate's fingerprint.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tiny_http::Method;

use super::setup::SOCKET;
use super::usage;
use crate::http::client::{CallError, call, exchange};
use crate::io::pinned::{self, Fingerprint, PinError};
use crate::schema::{Operation, Verb};

/// Where the native tree begins; in this format truth values stay what they are, and a refusal comes at once.
const TREE: &str = "/api2/rest";
/// The longest key file.
const LONGEST_KEY: u64 = 4_096;

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The weir of a data folder, over its socket.
    Local(PathBuf),
    /// A box.
    Remote { host: String, port: u16, key_file: Option<PathBuf>, fingerprint: Option<Fingerprint> },
}

/// Why a call came to nothing; each kind has its exit code.
#[derive(Debug)]
pub enum CallFailure {
    /// The call makes no sense.
    Usage(String),
    /// The caller may not.
    Refused(String),
    /// There is no such thing.
    Absent(String),
    /// It went wrong.
    Broken(String),
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Refused(why) | Self::Absent(why) | Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CallFailure {}

/// Calls an operation at a path; gives its result.
///
/// # Errors
/// [`CallFailure`]
pub(super) fn send(
    target: &Target,
    operation: &'static Operation,
    path: &str,
    parameters: &Map<String, Value>,
) -> Result<Value, CallFailure> {
    let mut uri = TREE.to_owned();
    for segment in path.split('/').skip(1) {
        uri.push('/');
        uri.push_str(&escaped(segment));
    }
    let in_path = |name: &str| !usage::options(operation).any(|property| property.name == name);
    let rest: Map<String, Value> =
        parameters.iter().filter(|(name, _)| !in_path(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    let method = match operation.verb {
        Verb::Get => Method::Get,
        Verb::Delete => Method::Delete,
        Verb::Set => Method::Put,
        Verb::Create => Method::Post,
    };
    // Whatever the verb: a body has room for long filters, and types.
    let body = if rest.is_empty() { String::new() } else { Value::Object(rest).to_string() };
    let answer = async_io::block_on(reach(target, &method, &uri, body.as_bytes()))?;
    judge(answer)
}

fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn reach(target: &Target, method: &Method, uri: &str, body: &[u8]) -> Result<(u16, Vec<u8>), CallFailure> {
    let broken = |error: CallError| CallFailure::Broken(error.to_string());
    match target {
        Target::Local(data) => call(&data.join(SOCKET), method, uri, body).await.map_err(|error| match error {
            CallError::NotRunning(_) => CallFailure::Broken(format!(
                "no weir runs on the data folder {}: start it, name another with --data, or a box with --host",
                data.display()
            )),
            CallError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => CallFailure::Refused(
                "the local socket is for root and the service's own user: use sudo, or --host with a key file"
                    .to_owned(),
            ),
            other => broken(other),
        }),
        Target::Remote { host, port, key_file, fingerprint } => {
            let authorization = match key_file {
                Some(file) => Some(format!("PVEAPIToken={}", key(file)?)),
                None => None,
            };
            let stream = pinned::connect(host, *port, fingerprint.clone()).await.map_err(|error| match error {
                PinError::Io(error) => CallFailure::Broken(format!("{host}, port {port}: {error}")),
                other => CallFailure::Refused(other.to_string()),
            })?;
            let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            exchange(stream, &name, authorization.as_deref(), method, uri, body).await.map_err(broken)
        }
    }
}

/// The API token of a key file; a file that others can read is refused, because its token is no secret.
fn key(file: &Path) -> Result<String, CallFailure> {
    let wrong = |why: String| CallFailure::Usage(format!("{}: {why}", file.display()));
    let open = fs::File::open(file).map_err(|e| wrong(e.to_string()))?;
    let mode = open.metadata().map_err(|e| wrong(e.to_string()))?.mode();
    if mode & 0o077 != 0 {
        return Err(wrong(format!("others can read this key (mode {:03o}): chmod 600", mode & 0o777)));
    }
    let mut text = String::new();
    open.take(LONGEST_KEY).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    let text = text.trim();
    let shaped = text.split_once('!').and_then(|(user, rest)| Some((user, rest.split_once('=')?)));
    match shaped {
        Some((user, (id, secret))) if !user.is_empty() && !id.is_empty() && !secret.is_empty() => Ok(text.to_owned()),
        _ => Err(wrong("an API token is expected, USER@REALM!ID=SECRET".to_owned())),
    }
}

/// The result out of an answer of the native tree, or what it says instead.
fn judge((status, body): (u16, Vec<u8>)) -> Result<Value, CallFailure> {
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if (200..300).contains(&status) {
        return match answer.get_mut("data") {
            Some(data) => Ok(data.take()),
            None => Err(CallFailure::Broken(format!("weir answers {status}, but not in JSON with 'data'"))),
        };
    }
    let mut message =
        answer["message"].as_str().map_or_else(|| format!("weir answers {status}"), |m| m.trim().to_owned());
    for (name, why) in answer["errors"].as_object().into_iter().flatten() {
        message.push_str(&format!("\nweir: --{name}: {}", why.as_str().unwrap_or_default()));
    }
    Err(match status {
        400 | 409 | 412 => CallFailure::Usage(message),
        401 | 403 | 429 => CallFailure::Refused(message),
        404 | 501 => CallFailure::Absent(message),
        _ => CallFailure::Broken(message),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_has_its_kind() {
        let answer = |status, body: &str| judge((status, body.as_bytes().to_vec()));
        assert_eq!(answer(200, r#"{"data":{"a":1}}"#).unwrap(), json!({ "a": 1 }));
        assert!(matches!(answer(200, "{}"), Err(CallFailure::Broken(_))));
        assert!(matches!(answer(400, r#"{"message":"m","errors":{"rows":"bad"}}"#),
            Err(CallFailure::Usage(text)) if text == "m\nweir: --rows: bad"));
        assert!(matches!(answer(403, r#"{"message":"no"}"#), Err(CallFailure::Refused(text)) if text == "no"));
        assert!(matches!(answer(404, ""), Err(CallFailure::Absent(_))));
        assert!(matches!(answer(503, ""), Err(CallFailure::Broken(_))));
    }
}
