//! The config file on a real disk.

use std::sync::Arc;

use serde_json::{Value, json};
use weir::base::Time;
use weir::base::disk::Disk;
use weir::config::versions::{self, Change};

#[test]
fn saving_replaces_the_file_and_keeps_32_versions() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(weir::io::disk::OsDisk::open(folder.path()).unwrap());
    assert_eq!(versions::read(&*disk).unwrap(), None);
    for level in 1..=34 {
        let change = Change { author: "admin".into(), comment: format!("change {level}") };
        versions::save(&*disk, level, Time::from_secs(level), &change, &json!({ "n": level })).unwrap();
        let kept = versions::numbers(&*disk).unwrap();
        assert_eq!(kept.len() as u64, level.min(32), "at, below and above the ceiling");
        assert_eq!(kept.last(), Some(&level));
    }
    assert_eq!(versions::numbers(&*disk).unwrap().first(), Some(&3), "the oldest went first");
    let text = versions::read(&*disk).unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), json!({ "n": 34 }));
    let version = versions::version(&*disk, 33).unwrap().unwrap();
    assert_eq!((&version["author"], &version["config"]["n"]), (&json!("admin"), &json!(33)));
    assert_eq!(versions::version(&*disk, 1).unwrap(), None);
}
