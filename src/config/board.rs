//! Board profiles: what the capacities are on a kind of hardware. Part of the program, so that a box always starts.

use serde_json::{Map, Value};

/// The board where nobody names one.
pub const DEFAULT: &str = "base";

/// The profiles by name.
pub const BOARDS: &[(&str, &str)] = &[
    (DEFAULT, include_str!("../../board/base/profile.json")),
    ("x86-64", include_str!("../../board/x86-64/profile.json")),
    ("vm-arm64", include_str!("../../board/vm-arm64/profile.json")),
    ("rpi-arm64", include_str!("../../board/rpi-arm64/profile.json")),
    ("rpi-armv7", include_str!("../../board/rpi-armv7/profile.json")),
    ("rpi-armv6", include_str!("../../board/rpi-armv6/profile.json")),
];

/// How many profiles may inherit from one another.
const DEEPEST: usize = 4;

/// The settings of a board and of those it inherits from, nearest first.
///
/// # Errors
/// What to tell the one who named it.
pub fn settings(name: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut found = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next.take() {
        let Some((_, text)) = BOARDS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = BOARDS.iter().map(|(known, _)| *known).collect();
            return Err(format!("there is no board '{name}'; there are: {}", known.join(", ")));
        };
        let profile: Value = serde_json::from_str(text).map_err(|e| format!("profile of '{name}': {e}"))?;
        found.push(profile["settings"].as_object().cloned().unwrap_or_default());
        next = profile["inherits"].as_str().map(str::to_owned).filter(|_| found.len() < DEEPEST);
    }
    Ok(found)
}
