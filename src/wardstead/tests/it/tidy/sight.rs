//! Where a timeline is read (promise P7): in one module, from which nothing comes that was not looked at.

use super::{Tree, assert_caught, assert_passes, assert_tidy, source};

const TABLES: [&str; 2] = ["TIMELINE", "ARRIVALS"];
const READER: &str = "src/rooms/src/read/timeline.rs";
/// The graph reads places and ids of its own: what it finds there is for the graph, and leaves it as no event.
const GRAPH: &str = "src/rooms/src/graph/";

fn readers(tree: &Tree) -> Vec<String> {
    let elsewhere = tree
        .rust()
        .filter(|(path, _)| path.starts_with("src/rooms/src/") && *path != READER && !path.starts_with(GRAPH));
    elsewhere
        .flat_map(|(path, text)| {
            let reads = |line: &str| {
                let call =
                    [".scan(", ".scan_all(", ".get(", ".get_many(", "scope("].iter().any(|call| line.contains(call));
                call && TABLES.iter().any(|table| source::has_word(line, table))
            };
            source::code_lines(source::outside_tests(text))
                .filter(|(_, line)| reads(line))
                .map(|(number, _)| format!("{path}:{number}: only {READER} reads a timeline"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_timeline_is_read_in_one_module() {
    assert_tidy(readers);
    let scan = "    let (rows, _) = self.inner.store.scan(&TIMELINE, &range, page).await?;\n";
    assert_passes(
        readers,
        &[(READER, scan), ("src/rooms/src/append/build.rs", "TIMELINE.put(&mut batch, key, &row);\n")],
    );
    assert_caught(readers, &[("src/rooms/src/search.rs", scan)], "only");
}
