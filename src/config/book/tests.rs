use super::*;
use crate::base::disk::sim::SimDisk;

const NOW: Time = Time::from_secs(1_000);

fn open(disk: &SimDisk) -> (Book, Loaded) {
    Book::open(Arc::new(disk.clone()), Vec::new(), NOW).unwrap()
}

fn content(value: Value) -> Content {
    Content::of(&value).unwrap()
}

fn change(author: &str) -> Change {
    Change { author: author.to_owned(), comment: String::new() }
}

fn save(book: &mut Book, content: &Content) {
    let (_, job) = book.save(NOW, &change("admin"), content);
    job().unwrap();
    book.saved(content.clone());
}

fn write(disk: &SimDisk, text: &str) {
    replace(disk, Path::new(FILE), text.as_bytes()).unwrap();
}

#[test]
fn the_first_change_has_a_way_back_and_hand_edits_become_versions_once() {
    let disk = SimDisk::new();
    let (mut book, _) = open(&disk);
    assert_eq!(book.newest(), 0, "nothing is written where nothing is said");
    save(&mut book, &content(json!({ "log": { "level": "debug" } })));
    assert_eq!(versions::numbers(&disk).unwrap(), [0, 1]);
    assert_eq!(versions::version(&disk, 0).unwrap().unwrap()["config"], json!({}));
    write(&disk, r#"{"log":{"level":"warn"}}"#);
    for _ in 0..2 {
        let (book, loaded) = open(&disk);
        assert_eq!((book.newest(), loaded.config.log.level.as_str()), (2, "warn"));
    }
    assert_eq!(versions::version(&disk, 2).unwrap().unwrap()["comment"], json!("edited by hand"));
}

#[test]
fn a_power_cut_leaves_the_old_config_or_the_new_one() {
    let (old, new) = (content(json!({ "log": { "level": "warn" } })), content(json!({ "log": { "level": "debug" } })));
    for seed in 0..64 {
        let disk = SimDisk::new();
        let (mut book, _) = open(&disk);
        save(&mut book, &old);
        // Every other time the device fails in between.
        let (_, job) = book.save(NOW, &change("admin"), &new);
        if seed % 2 == 0 {
            disk.fail_syncs(1);
            assert!(job().is_err());
        } else {
            job().unwrap();
        }
        disk.cut_power(seed);
        let (book, _) = open(&disk);
        let expected = if seed % 2 == 0 { &old } else { &new };
        assert_eq!((book.content(), book.broken()), (expected, None), "{seed}");
    }
}

#[test]
fn what_is_tried_out_is_not_in_the_file_and_a_power_cut_has_rolled_it_back() {
    let disk = SimDisk::new();
    let (mut book, _) = open(&disk);
    let tried = content(json!({ "http": { "redirect": ["127.0.0.1:80"] } }));
    let before = book.content().digest();
    let period = Duration::from_secs(60);
    let (trial, note) = book.try_out(NOW, change("alice"), Tried::Config(tried.clone()), vec!["http.redirect"], period);
    assert!(trial.to_string().contains("http.redirect by alice waits"), "{trial}");
    note().unwrap();
    assert_eq!(book.content(), &tried);
    assert!(book.free().unwrap_err().0.starts_with("First confirm"), "one change at a time");
    disk.cut_power(7);
    let (book, _) = open(&disk);
    assert_eq!(book.content().digest(), before);
    assert!(book.rolled_back().unwrap().contains("alice"));
    assert_eq!(open(&disk).0.rolled_back(), None, "told once");
}

#[test]
fn a_power_cut_after_the_confirmation_was_written_has_rolled_nothing_back() {
    for forgotten in [false, true] {
        let disk = SimDisk::new();
        let (mut book, _) = open(&disk);
        let tried = content(json!({ "http": { "redirect": ["127.0.0.1:80"] } }));
        let (_, note) = book.try_out(
            NOW,
            change("alice"),
            Tried::Config(tried.clone()),
            vec!["http.redirect"],
            Duration::from_secs(60),
        );
        note().unwrap();
        let (trial, forget) = book.confirm().unwrap();
        let (_, save) = book.save(NOW, &trial.change, &tried);
        save().unwrap();
        if forgotten {
            forget().unwrap();
        }
        disk.cut_power(7);
        let (book, _) = open(&disk);
        assert_eq!((book.content(), book.rolled_back()), (&tried, None), "{forgotten}");
        assert!(read_all(&disk, Path::new(TRIAL)).unwrap().is_none(), "the note is gone");
    }
}

#[test]
fn a_broken_file_falls_back_to_the_newest_version_that_still_makes_sense() {
    let disk = SimDisk::new();
    let (mut book, _) = open(&disk);
    save(&mut book, &content(json!({ "log": { "level": "warn" } })));
    // Of another program version, say.
    versions::record(&disk, 2, NOW, &change("admin"), &json!({ "log": { "colour": "red" } })).unwrap();
    write(&disk, "[]");
    let (book, loaded) = open(&disk);
    let broken = book.broken().unwrap();
    assert_eq!((broken.why.as_str(), loaded.config.log.level.as_str()), ("the value must be a JSON object", "warn"));
    assert!(broken.using.starts_with("version 1 of "), "{broken}");
    let disk = SimDisk::new();
    write(&disk, "");
    let (book, loaded) = open(&disk);
    assert_eq!(book.broken().unwrap().using, "the default of every leaf");
    assert_eq!(loaded.config.log.level, "info");
}

#[test]
fn broken_files_are_kept_aside_once_each_and_the_oldest_goes() {
    for (files, first, kept) in [(7, 1, 7), (8, 1, 8), (9, 2, 8), (20, 13, 8)] {
        let disk = SimDisk::new();
        for n in 0..files {
            write(&disk, &format!("broken {n}"));
            open(&disk);
            open(&disk);
        }
        let names: Vec<_> = disk.list(Path::new(ASIDE)).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!((names.len(), names[0].as_str()), (kept, format!("{first:04}.json").as_str()), "{files}");
    }
}

#[test]
fn a_wrong_command_line_is_no_broken_file() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let given = vec![(Origin::CommandLine, "board", json!("toaster"))];
    let OpenError::Config(error) = Book::open(Arc::clone(&disk), given, NOW).unwrap_err() else { panic!("a file") };
    assert_eq!(error.faults.len(), 1);
    assert_eq!(disk.list(Path::new(ASIDE)).unwrap(), []);
}
