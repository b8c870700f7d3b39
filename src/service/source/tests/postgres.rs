//! What is particular to PostgreSQL.

use serde_json::json;

use super::*;

const TABLES: &str = "
    create table person (id bigint primary key, name text not null, team int not null);
    insert into person values (1, 'Ada', 7), (2, 'Grace', 7), (3, 'Edsger', 8);
    create table kind (
        id uuid primary key, amount numeric, part float8, bytes bytea, truth boolean, said jsonb,
        day date, tags text[], gone text
    );
    insert into kind values (
        '00000000-0000-0000-0000-00000000000a', 12.50, 'NaN', '\\x00ff', true, '{\"b\": [1, 2]}',
        '2026-01-02', '{a,\"b c\"}', null
    );
";

const ONE: &str = "select id, name from person where id = $1";
const MANY: &str = "select id, name from person where id = any($1)";
const UUID: &str = "00000000-0000-0000-0000-00000000000a";

fn integer(parts: LoadParts<'_>) -> LoadParts<'_> {
    LoadParts { key: Some(KeyKind::Integer), ..parts }
}

#[tokio::test]
async fn a_row_is_an_object_as_the_server_makes_it() {
    let database = Database::postgres(TABLES).await;
    // With everything at the end that could come between it and what stands around it.
    let sql = "select * from kind where id = $1::uuid -- the end;";
    let kinds = resource(&database.source, parts(sql)).await;
    let document = kinds.get(UUID).await.unwrap().unwrap();
    let expected = json!({
        "id": UUID, "amount": 12.5, "part": "NaN", "bytes": "\\x00ff", "truth": true,
        "said": { "b": [1, 2] }, "day": "2026-01-02", "tags": ["a", "b c"], "gone": null,
    });
    assert_eq!(document.value(), expected);
    let text = String::from_utf8(document.body().to_vec()).unwrap();
    assert!(text.contains("12.50"), "{text}");
    let other = UUID.replace('a', "b");
    assert_eq!(value(&kinds, &other).await, None);
    let error = kinds.get("s3cret").await.unwrap_err();
    assert!(!error.is_transient() && !said(&error).contains("s3cret"), "{}", said(&error));
}

#[tokio::test]
async fn a_list_has_the_rows_in_their_order_up_to_its_limit() {
    let database = Database::postgres(TABLES).await;
    let sql = "select name from person where team = $1 order by id desc limit $2; ";
    for (limit, expected) in [(1, json!(["Grace"])), (5, json!(["Grace", "Ada"]))] {
        let list = LoadParts { limit: Some(limit), scalar: Some(true), ..integer(parts(sql)) };
        let names = resource(&database.source, list).await;
        assert_eq!(value(&names, "7").await, Some(expected));
        assert_eq!(value(&names, "9").await, Some(json!([])));
    }
    let list = LoadParts { limit: Some(5), ..integer(parts(sql)) };
    let names = resource(&database.source, list).await;
    assert_eq!(value(&names, "8").await, Some(json!([{ "name": "Edsger" }])));
}

#[tokio::test]
async fn many_keys_are_found_at_once_whatever_they_are_bound_as() {
    let database = Database::postgres(TABLES).await;
    let by_text = "select id, name from person where id::text = any($1)";
    // A query for one key that fails tells that the other one was asked.
    let one = "select no from person where id = $1";
    let many = |sql| LoadParts { query_many: Some(sql), key_column: Some("id"), ..parts(one) };
    for parts in [many(by_text), integer(many(MANY))] {
        let people = resource(&database.source, parts).await;
        let found = values(&people, &["3", "9", "1", "x\0"]).await;
        let person = |id, name| Some(json!({ "id": id, "name": name }));
        assert_eq!(found, [person(3, "Edsger"), None, person(1, "Ada"), None], "{parts:?}");
    }
}

#[tokio::test]
async fn the_same_query_can_be_asked_with_keys_of_two_types() {
    let database = Database::postgres(TABLES).await;
    let sql = parts("select $1 as asked");
    let (texts, numbers) =
        (resource(&database.source, sql).await, resource(&database.source, integer(sql)).await);
    for _ in 0..4 {
        let _applied = (texts.invalidate_all().await, numbers.invalidate_all().await);
        assert_eq!(value(&texts, "7").await, Some(json!({ "asked": "7" })));
        assert_eq!(value(&numbers, "7").await, Some(json!({ "asked": 7 })));
    }
}

/// A secret where it belongs.
fn in_a_file(secret: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), secret).unwrap();
    file
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_loads_and_not_the_start() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let password = in_a_file("s3cret");
    let settings = format!(
        "postgres = {{ url = 'postgres://me@{free}/x', password = {{ file = {:?} }}, wait_timeout = '1s' }}",
        password.path()
    );
    let source = open(&settings);
    let people = resource(&source, integer(parts(ONE))).await;
    assert_eq!(value(&people, "x").await, None, "no integer");
    let error = in_time(people.get("1")).await.unwrap_err();
    assert!(error.is_transient() && !said(&error).contains("s3cret"), "{}", said(&error));
    let error = source.check(&load(parts(ONE))).await.unwrap_err();
    assert!(error.is_transient() && !said(&error).contains("s3cret"), "{}", said(&error));
}

#[tokio::test]
async fn a_password_of_its_own_is_used_and_never_shown() {
    let options = PostgresOptions::default().password("s3cret");
    let server = PostgresServer::launch(options).await.unwrap();
    let url = server.url().replace(":s3cret@", "@");
    let with = |password: &tempfile::NamedTempFile| {
        let file = password.path();
        open(&format!("postgres = {{ url = {url:?}, password = {{ file = {file:?} }} }}"))
    };
    let right = with(&in_a_file("s3cret"));
    right.ping().await.unwrap();
    let wrong = with(&in_a_file("wr0ng"));
    let error = wrong.ping().await.unwrap_err();
    assert!(!said(&error).contains("wr0ng"), "{}", said(&error));
    assert!(!format!("{right:?}").contains("s3cret"));
    for settings in [
        "postgres = { url = 'postgres://me:s3cret@host:port/x' }",
        "postgres = { url = 'mysql://me:s3cret@host/x' }",
        "postgres = { url = { file = '/no/such/file' } }",
    ] {
        let error = Source::open("crm", &toml::from_str(settings).unwrap()).unwrap_err();
        assert_eq!(field(&error), "sources.crm.postgres.url");
        assert!(!said(&error).contains("s3cret"), "{}", said(&error));
    }
}

#[tokio::test]
async fn a_source_reads_only_and_not_for_ever() {
    let database = Database::postgres(TABLES).await;
    let write = "
        create function grow() returns bigint language sql
        as 'insert into person values (9, ''Eve'', 9) returning id'";
    raw_sql(write).execute(&database.owner).await.unwrap();
    let error = database.source.keys("select grow()").await.unwrap_err();
    assert!(!error.is_transient() && said(&error).contains("25006"), "{}", said(&error));
    assert_eq!(database.source.keys("select id from person").await.unwrap().len(), 3);

    let url = shared().await.url();
    let settings = format!("postgres = {{ url = {url:?}, statement_timeout = '50ms' }}");
    let error = in_time(open(&settings).keys("select pg_sleep(60)::text")).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("57014"), "{}", said(&error));
}

#[tokio::test]
async fn keys_names_and_collections_are_read() {
    let database = Database::postgres(TABLES).await;
    let source = &database.source;
    let keys = source.keys("select team from person order by id;").await.unwrap();
    assert_eq!(keys, ["7", "7", "8"]);
    let keys = source.keys("select gone from kind union all select 'x'").await.unwrap();
    assert_eq!(keys, ["x"]);
    let find = source.find("select id from person where lower(name) = $1");
    assert_eq!(find("grace".into()).await.unwrap().as_deref(), Some("2"));
    for name in ["Grace", "x", "grace\0"] {
        assert_eq!(find(name.into()).await.unwrap(), None, "{name:?}");
    }
    let sql = "select id, name from person where team = 7 order by id";
    let expected = json!([{ "id": 1, "name": "Ada" }, { "id": 2, "name": "Grace" }]);
    assert_eq!(collected(source, sql, false).await, expected);
    let values = "select gone from kind union all select 'x' order by 1";
    assert_eq!(collected(source, values, true).await, json!(["x", null]));
}

#[tokio::test]
async fn what_the_server_does_not_take_is_told_without_asking() {
    let database = Database::postgres(TABLES).await;
    let many = LoadParts { query_many: Some(MANY), key_column: Some("id"), ..parts(ONE) };
    let by_uuid = parts("select * from kind where id = $1::uuid;");
    for good in [integer(parts(ONE)), integer(many), by_uuid, parts("select $1 as asked")] {
        database.source.check(&load(good)).await.unwrap();
    }
    let list = |parts| LoadParts { limit: Some(5), ..integer(parts) };
    let cases = [
        // A text is no bigint.
        ("query", parts(ONE)),
        ("query", integer(parts("select nothing from person where id = $1"))),
        ("query", integer(parts("selec 1"))),
        ("query", integer(parts("select id from person"))),
        ("query", integer(parts("select id from person where id = $1 and team = $2"))),
        ("query", list(parts(ONE))),
        ("query", LoadParts { scalar: Some(true), ..integer(parts(ONE)) }),
        ("query", integer(parts("delete from person where id = $1 returning id"))),
        ("query", integer(parts("select 1 where $1 = 1; select 2"))),
        ("query", integer(parts("select 1 where $1 = 1) as x, (select 2"))),
        ("query_many", LoadParts { query_many: Some(ONE), ..integer(many) }),
        ("key_column", LoadParts { key_column: Some("team"), ..integer(many) }),
        ("key_column", LoadParts { key_column: Some("i\"d"), ..integer(many) }),
    ];
    for (expected, parts) in cases {
        let checked = database.source.check(&load(parts)).await;
        let error = checked.expect_err(&format!("{parts:?}"));
        assert!(!error.is_transient(), "{}", said(&error));
        assert_eq!(field(&error), expected, "{}: {parts:?}", said(&error));
    }
    let people = database.source.keys("select id from person").await.unwrap();
    assert_eq!(people.len(), 3, "nothing was run");
    database.source.check_query(query("select id from person where name = $1", 1)).await.unwrap();
    let error = database.source.check_query(query("select $1::text", 0)).await.unwrap_err();
    assert_eq!(field(&error), "aliases.email.query");
}

#[tokio::test]
async fn numbers_and_the_order_of_names_stay_as_the_server_writes_them() {
    let tables = format!(
        "create table thing (z bigint primary key, said json, a numeric);
        insert into thing values (1, '{NUMBERS}', 12345678901234567890.123456789), (2, null, 1.50);"
    );
    let database = Database::postgres(&tables).await;
    let one = "select z, said, a from thing where z = $1";
    let many = "select z, said, a from thing where z = any($1)";
    let many = LoadParts { query_many: Some(many), key_column: Some("z"), ..integer(parts(one)) };
    let things = resource(&database.source, many).await;
    let row = format!("{{\"z\":1,\"said\":{NUMBERS},\"a\":12345678901234567890.123456789}}");
    assert_eq!(texts(&things, "1").await, [row.clone(), row.clone()]);
    let all = database.source.collect("select z, said, a from thing order by z", false).await;
    assert_eq!(all.unwrap(), format!("[{row},{{\"z\":2,\"said\":null,\"a\":1.50}}]"));
    let scalars = database.source.collect("select a from thing order by z", true).await;
    assert_eq!(scalars.unwrap(), "[12345678901234567890.123456789,1.50]");
}
