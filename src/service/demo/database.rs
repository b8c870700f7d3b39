//! The database of the shop: SQLite in a file.

use std::path::Path;

use indicatif::ProgressBar;
use serde::Serialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, query, raw_sql};

use super::content::{CATEGORIES, Content, Size};
use crate::service::console::Failure;

const TABLES: &str = "
    create table category (
        category_id integer not null primary key,
        name text not null
    ) strict;
    create table product (
        product_id integer not null primary key,
        category_id integer not null references category,
        name text not null,
        description text not null,
        price_cents integer not null
    ) strict;
    create table stock (
        product_id integer not null primary key references product,
        units integer not null,
        shelf text not null
    ) strict;
    create table customer (
        customer_id integer not null primary key,
        name text not null,
        city text not null,
        joined_at integer not null
    ) strict;
    create table review (
        review_id integer not null primary key,
        product_id integer not null references product,
        customer_id integer not null references customer,
        stars integer not null,
        text text not null,
        written_at integer not null
    ) strict;
    create table orders (
        order_id integer not null primary key,
        customer_id integer not null references customer,
        placed_at integer not null
    ) strict;
    create table order_line (
        order_line_id integer not null primary key,
        order_id integer not null references orders,
        product_id integer not null references product,
        units integer not null,
        price_cents integer not null
    ) strict;";

/// Made after the rows, which is faster.
const INDEXES: &str = "
    create index review_by_product on review (product_id, written_at desc);
    create index orders_by_customer on orders (customer_id);
    create index order_line_by_order on order_line (order_id);
    analyze;";

const ADD_CATEGORIES: &str = "
    insert into category
    select value ->> 0, value ->> 1 from json_each(?1)";

const ADD_PRODUCTS: &str = "
    insert into product
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?1)";

const ADD_STOCKS: &str = "
    insert into stock
    select value ->> 0, value ->> 1, value ->> 2 from json_each(?1)";

const ADD_CUSTOMERS: &str = "
    insert into customer
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?1)";

const ADD_REVIEWS: &str = "
    insert into review
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    from json_each(?1)";

const ADD_ORDERS: &str = "
    insert into orders
    select value ->> 0, value ->> 1, value ->> 2 from json_each(?1)";

const ADD_LINES: &str = "
    insert into order_line (order_id, product_id, units, price_cents)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?1)";

/// Rows that go to SQLite in one statement.
const ROWS_AT_ONCE: usize = 2_000;
/// Connections that read at a time: a small database server has no more cores for one client.
const READERS: u32 = 4;

impl Size {
    /// A shop with this many products.
    pub(super) fn of_shop(products: u32) -> Self {
        Self { products, customers: 2 * products, reviews: 8 * products, orders: 4 * products }
    }

    /// The rows in all tables, about: how many lines an order has is left to chance.
    pub(super) fn rows(self) -> u64 {
        [2 * self.products, self.customers, self.reviews, 7 * self.orders / 2]
            .map(u64::from)
            .iter()
            .sum()
    }
}

/// Makes the database, in one transaction.
pub(super) async fn create(
    path: &Path,
    size: Size,
    seed: u64,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    // What breaks on the way is thrown away, so nothing needs to be on disk before the end.
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .disable_statement_logging()
        .connect()
        .await?;
    let mut transaction = connection.begin().await?;
    raw_sql(TABLES).execute(&mut *transaction).await?;
    fill(&mut transaction, size, seed, bar).await?;
    raw_sql(INDEXES).execute(&mut *transaction).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

/// Opens the database for readers. Each opening begins with nothing in memory.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, Failure> {
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .min_connections(READERS)
        .max_connections(READERS)
        .test_before_acquire(false);
    Ok(pool.connect_with(connect).await?)
}

async fn fill(
    db: &mut SqliteConnection,
    size: Size,
    seed: u64,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut content = Content::new(size, seed);
    let categories = (1_u32..).zip(CATEGORIES);
    insert(db, ADD_CATEGORIES, categories, bar).await?;
    insert(db, ADD_PRODUCTS, (1..=size.products).map(|id| content.product(id)), bar).await?;
    insert(db, ADD_STOCKS, (1..=size.products).map(|id| content.stock(id)), bar).await?;
    insert(db, ADD_CUSTOMERS, (1..=size.customers).map(|id| content.customer(id)), bar).await?;
    insert(db, ADD_REVIEWS, (1..=size.reviews).map(|id| content.review(id)), bar).await?;
    insert(db, ADD_ORDERS, (1..=size.orders).map(|id| content.order(id)), bar).await?;
    insert(db, ADD_LINES, (1..=size.orders).flat_map(|order| content.lines(order)), bar).await
}

/// Inserts rows, many with each statement.
async fn insert<R: Serialize>(
    db: &mut SqliteConnection,
    statement: &'static str,
    mut rows: impl Iterator<Item = R>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    loop {
        let batch: Vec<R> = rows.by_ref().take(ROWS_AT_ONCE).collect();
        if batch.is_empty() {
            return Ok(());
        }
        query(statement).bind(serde_json::to_string(&batch)?).execute(&mut *db).await?;
        bar.inc(batch.len() as u64);
    }
}
