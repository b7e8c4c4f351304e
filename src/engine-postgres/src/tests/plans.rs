//! Statements go by index, on young tables without statistics and on grown ones.

use tokio_postgres::NoTls;

use super::{fresh, open, options};
use crate::{
    connection::{Connection, Role},
    place::{Place, Places},
    sql::Sql,
};

const ROWS: &str = "INSERT INTO wardstead.point SELECT int8send(n), 'value' FROM generate_series(1, 20000) n;
    INSERT INTO wardstead.scan SELECT int8send(n), 'value' FROM generate_series(1, 20000) n;
    INSERT INTO wardstead.append SELECT int8send(n), 'value' FROM generate_series(1, 20000) n;
    INSERT INTO wardstead.churn SELECT int8send(n), 'value' FROM generate_series(1, 20000) n;
    INSERT INTO wardstead.journal SELECT n, 'value' FROM generate_series(1, 20000) n;";

/// A literal for each parameter, of its type.
fn arguments(sql: Sql) -> String {
    let literal = |parameter: &tokio_postgres::types::Type| match parameter.name() {
        "int8" => "7".to_owned(),
        "bytea" => "'\\x0001'::bytea".to_owned(),
        "_int8" => "'{1,2,3}'::bigint[]".to_owned(),
        _ => "ARRAY['\\x0001', '\\x0002', '\\x0003']::bytea[]".to_owned(),
    };
    let literals: Vec<String> = sql.types().iter().map(literal).collect();
    if literals.is_empty() { String::new() } else { format!("({})", literals.join(", ")) }
}

async fn plan(connection: &Connection, sql: Sql) -> String {
    let types: Vec<String> = sql
        .types()
        .iter()
        .map(|of| of.name().trim_start_matches('_').to_owned() + if of.name().starts_with('_') { "[]" } else { "" })
        .collect();
    let types = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
    let prepare = format!("DEALLOCATE ALL; PREPARE asked{types} AS {}", sql.text());
    connection.client().batch_execute(&prepare).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE asked{}", arguments(sql));
    let lines = connection.client().simple_query(&explain).await.unwrap();
    let lines = lines.iter().filter_map(|line| match line {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_pages_and_writes_go_by_index() {
    let url = fresh().await;
    drop(open(&url).await);
    let (client, connection) = url.parse::<tokio_postgres::Config>().unwrap().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let all: Places = Place::ALL.into_iter().collect();
    let mut statements =
        vec![Sql::Read(all), Sql::ReadForGroup(all), Sql::Newest, Sql::Change { deletes: all, puts: all }];
    for place in Place::ALL {
        statements.push(Sql::DeleteRanges(place));
        for (reverse, by_bytes) in [(false, false), (false, true), (true, false), (true, true)] {
            statements.push(Sql::Page { place, reverse, by_bytes });
        }
    }
    for grown in [false, true] {
        if grown {
            client.batch_execute(ROWS).await.unwrap();
            client.batch_execute("ANALYZE").await.unwrap();
        }
        for role in [Role::Reader, Role::Writer] {
            let connection = Connection::open(&options(&url), role, None).await.unwrap();
            for sql in &statements {
                let plan = plan(&connection, *sql).await;
                assert!(plan.contains("Index"), "{sql:?}\n{plan}");
                for slow in ["Seq Scan", "Sort", "Hash", "Materialize", "Bitmap"] {
                    assert!(!plan.contains(slow), "{sql:?} has {slow}\n{plan}");
                }
                assert!(
                    !matches!(sql, Sql::Page { reverse: true, .. }) || plan.contains("Backward"),
                    "{sql:?}\n{plan}"
                );
            }
        }
    }
}
