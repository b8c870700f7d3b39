//! The shop as its developers wrote it: what they read, and how it is loaded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::SqlitePool;
use sqlx::query_as;

use super::network::Network;
use super::traffic::Ask;
use crate::builder::Forewarm;
use crate::error::{ConfigError, Error, LoadError};
use crate::loader::{LoadContext, Loaded, Loader};
use crate::policy::{Policy, PreloadMode, PreloadPolicy, Store};
use crate::service::app::Documents;
use crate::service::document::Document;

/// What the pages of the shop read.
#[derive(Debug)]
pub(super) struct Shop {
    products: Documents,
    stocks: Documents,
    reviews: Documents,
    customers: Documents,
}

#[derive(Debug, Serialize)]
struct Product {
    name: String,
    description: String,
    category: String,
    price_cents: u32,
}

#[derive(Debug, Serialize)]
struct Stock {
    units: u32,
    shelf: String,
}

/// What people think of a product.
#[derive(Debug, Serialize)]
struct Reviews {
    count: u32,
    stars: f64,
    newest: Vec<Review>,
}

#[derive(Debug, Serialize)]
struct Review {
    author: String,
    stars: u32,
    text: String,
    written_at: i64,
}

/// Who is signed in, and what they have bought.
#[derive(Debug, Serialize)]
struct Customer {
    name: String,
    city: String,
    orders: u32,
    spent_cents: u64,
}

/// The database, at the other end of the network.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) pool: SqlitePool,
    pub(super) network: Arc<Network>,
}

/// Units in stock must not be old.
pub(super) const TTL_MIN: Duration = Duration::from_secs(2);
/// Nobody minds a review that comes a little later.
pub(super) const TTL_MAX: Duration = Duration::from_secs(4);

impl Shop {
    /// Declares the resources of the shop.
    ///
    /// # Errors
    ///
    /// The engine has started before.
    pub(super) fn declare(forewarm: &Forewarm, remote: &Remote) -> Result<Self, Error> {
        let declare = |name, ttl| forewarm.resource::<String, Document>(name).policy(policy(ttl));
        let (stocks, reviews, customers) = (remote.clone(), remote.clone(), remote.clone());
        Ok(Self {
            products: declare("product", TTL_MAX).loader(Products(remote.clone())).build()?,
            stocks: declare("stock", TTL_MIN)
                .load_with(move |id| written(id, stocks.clone(), Remote::stock))
                .build()?,
            reviews: declare("reviews", TTL_MAX)
                .load_with(move |id| written(id, reviews.clone(), Remote::reviews))
                .build()?,
            customers: declare("customer", TTL_MAX)
                .load_with(move |id| written(id, customers.clone(), Remote::customer))
                .build()?,
        })
    }

    /// What its pages read.
    pub(super) fn resources(&self) -> [Documents; 4] {
        [&self.products, &self.stocks, &self.reviews, &self.customers].map(Clone::clone)
    }

    /// Sets what decides which keys are loaded ahead.
    ///
    /// # Errors
    ///
    /// It cannot be set while the engine runs.
    pub(super) fn preload(&self, mode: &PreloadMode) -> Result<(), ConfigError> {
        for resource in self.resources() {
            resource.tune(PreloadPolicy { mode: mode.clone(), ..resource.preload_policy() })?;
        }
        Ok(())
    }

    /// Reads what is asked for; gives whether there is such a thing.
    pub(super) async fn read(&self, ask: Ask) -> Result<bool, Error> {
        let (resource, id) = match ask {
            Ask::Product(id) => (&self.products, id),
            Ask::Stock(id) => (&self.stocks, id),
            Ask::Reviews(id) => (&self.reviews, id),
            Ask::Customer(id) => (&self.customers, id),
        };
        Ok(resource.get(id.to_string().as_str()).await?.is_some())
    }
}

/// Asks the database for a thing, and writes it as JSON.
async fn written<T: Serialize, Asked>(
    id: String,
    remote: Remote,
    ask: fn(Remote, u32) -> Asked,
) -> Result<Option<Document>, LoadError>
where
    Asked: Future<Output = Result<Option<T>, LoadError>>,
{
    // What is no number is the id of nothing.
    let Ok(id) = id.parse() else { return Ok(None) };
    ask(remote, id).await?.map(|thing| document(&thing)).transpose()
}

fn document(thing: &impl Serialize) -> Result<Document, LoadError> {
    let text = serde_json::to_vec(thing).map_err(LoadError::permanent)?;
    Document::of(text.into()).map_err(LoadError::permanent)
}

/// The policy of all resources, whose loads may be shown: nothing is served past its ttl, so that
/// whoever would have met an expired value waits.
fn policy(ttl: Duration) -> Policy {
    Policy {
        ttl,
        stale_while_revalidate: None,
        stale_if_error: None,
        store: Store::Memory,
        preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        ..Policy::default()
    }
}

/// Loads products, several in one query.
#[derive(Debug)]
struct Products(Remote);

const PRODUCTS: &str = "
    select product.product_id, product.name, product.description, category.name,
        product.price_cents
    from json_each(?1) as ask
    join product on product.product_id = ask.value
    join category using (category_id)";

impl Products {
    async fn find(&self, ids: &[u32]) -> Result<HashMap<u32, Product>, LoadError> {
        self.0.network.cross().await;
        let ids = serde_json::to_string(ids).map_err(LoadError::permanent)?;
        let found: Vec<(u32, String, String, String, u32)> = query_as(PRODUCTS)
            .bind(ids)
            .fetch_all(&self.0.pool)
            .await
            .map_err(LoadError::transient)?;
        let products = found.into_iter().map(|(id, name, description, category, price_cents)| {
            (id, Product { name, description, category, price_cents })
        });
        Ok(products.collect())
    }
}

impl Loader<String, Document> for Products {
    async fn load(
        &self,
        id: &String,
        _cx: &LoadContext<Document>,
    ) -> Result<Loaded<Document>, LoadError> {
        let Ok(id) = id.parse::<u32>() else { return Ok(Loaded::absent()) };
        let found = self.find(&[id]).await?.remove(&id);
        Ok(found.map(|product| document(&product)).transpose()?.into())
    }

    fn keys_per_call(&self) -> usize {
        16
    }

    async fn load_many(
        &self,
        asked: &[(String, LoadContext<Document>)],
    ) -> Vec<Result<Loaded<Document>, LoadError>> {
        let ids: Vec<Option<u32>> = asked.iter().map(|(id, _)| id.parse().ok()).collect();
        let known: Vec<u32> = ids.iter().copied().flatten().collect();
        match self.find(&known).await {
            Ok(mut found) => {
                let mut answer = |id: Option<u32>| {
                    let product = id.and_then(|id| found.remove(&id));
                    Ok(product.map(|product| document(&product)).transpose()?.into())
                };
                ids.into_iter().map(&mut answer).collect()
            }
            Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

const STOCK: &str = "select units, shelf from stock where product_id = ?1";

const REVIEWS_COUNT: &str =
    "select count(*), coalesce(avg(stars), 0.0) from review where product_id = ?1";

const REVIEWS_NEWEST: &str = "
    select customer.name, review.stars, review.text, review.written_at
    from review
    join customer using (customer_id)
    where review.product_id = ?1
    order by review.written_at desc
    limit 10";

const CUSTOMER: &str = "select name, city from customer where customer_id = ?1";

const CUSTOMER_BOUGHT: &str = "
    select count(distinct orders.order_id),
        coalesce(sum(order_line.units * order_line.price_cents), 0)
    from orders
    join order_line using (order_id)
    where orders.customer_id = ?1";

impl Remote {
    async fn stock(self, product: u32) -> Result<Option<Stock>, LoadError> {
        self.network.cross().await;
        let found: Option<(u32, String)> = query_as(STOCK)
            .bind(product)
            .fetch_optional(&self.pool)
            .await
            .map_err(LoadError::transient)?;
        Ok(found.map(|(units, shelf)| Stock { units, shelf }))
    }

    async fn reviews(self, product: u32) -> Result<Option<Reviews>, LoadError> {
        self.network.cross().await;
        let (count, stars) = query_as(REVIEWS_COUNT)
            .bind(product)
            .fetch_one(&self.pool)
            .await
            .map_err(LoadError::transient)?;
        let newest: Vec<(String, u32, String, i64)> = query_as(REVIEWS_NEWEST)
            .bind(product)
            .fetch_all(&self.pool)
            .await
            .map_err(LoadError::transient)?;
        let newest = newest.into_iter().map(|(author, stars, text, written_at)| Review {
            author,
            stars,
            text,
            written_at,
        });
        Ok(Some(Reviews { count, stars, newest: newest.collect() }))
    }

    async fn customer(self, id: u32) -> Result<Option<Customer>, LoadError> {
        self.network.cross().await;
        let found: Option<(String, String)> = query_as(CUSTOMER)
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(LoadError::transient)?;
        let Some((name, city)) = found else { return Ok(None) };
        let (orders, spent_cents) = query_as(CUSTOMER_BOUGHT)
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(LoadError::transient)?;
        Ok(Some(Customer { name, city, orders, spent_cents }))
    }
}
