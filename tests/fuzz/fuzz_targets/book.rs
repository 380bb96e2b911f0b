//! Any bytes as the files of a book: a text of many files, each after a line `=== path`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upheld_agreement::book::{Book, Files, changes};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut files = Files::new();
    for part in text.split("=== ") {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(path.trim().to_owned(), text.to_owned());
    }
    match Book::read(&files) {
        Ok(book) => {
            let _ = (book.canonical_json(), book.versions());
        }
        Err(refused) => {
            assert!(!refused.errors.is_empty());
            for one in refused.errors.iter().chain(&refused.warnings) {
                let _ = (one.render(&files, true), one.line_column(&files));
            }
        }
    }
    let _ = changes::changes(&Files::new(), &files);
});
