//! The reads of a shop's visitors: which, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;

use super::popularity::Popularity;

/// What is read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Ask {
    Product(u32),
    Stock(u32),
    Reviews(u32),
    Customer(u32),
}

/// A read, and when it is due, counted from the start.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Visit {
    pub(super) at: Duration,
    pub(super) ask: Ask,
}

/// How much is read of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrafficTerms {
    pub(super) products: u32,
    pub(super) customers: u32,
    /// Reads per second.
    pub(super) rate: f64,
    pub(super) span: Duration,
    pub(super) seed: u64,
}

/// Reads in the order in which they are due. The same terms give the same reads.
///
/// Visitors arrive independently of each other and of the answers that earlier ones get. Each looks
/// at a product, then at its stock, and some at its reviews; some are signed in.
#[derive(Debug)]
pub(super) struct Traffic {
    products: Popularity,
    customers: Popularity,
    rng: Rng,
    span: Duration,
    /// Seconds between two visitors, on average.
    gap_secs: f64,
    next_visitor: Duration,
    shift_every: Duration,
    next_shift: Duration,
    /// Reads of visitors who have arrived.
    waiting: BinaryHeap<Reverse<Visit>>,
}

/// How often the favourites change.
pub(super) const SHIFTS: u32 = 5;
/// How many favourites change at a time.
const NEWCOMERS: usize = 8;

/// How much a few products get of all views.
const PRODUCT_SKEW: f64 = 1.1;
/// Visitors differ less.
const CUSTOMER_SKEW: f64 = 0.9;

/// The share of the visitors who are signed in.
const SIGNED_IN: f64 = 0.5;
/// The share of the visitors who look at the reviews.
const CURIOUS: f64 = 0.6;
/// A product and its stock, and the reads that some visitors make.
const READS_PER_VISITOR: f64 = 2.0 + SIGNED_IN + CURIOUS;

impl Traffic {
    pub(super) fn new(terms: &TrafficTerms) -> Self {
        let mut rng = Rng::with_seed(terms.seed);
        let shift_every = terms.span / (SHIFTS + 1);
        let mut traffic = Self {
            products: Popularity::new(terms.products, PRODUCT_SKEW, &mut rng),
            customers: Popularity::new(terms.customers, CUSTOMER_SKEW, &mut rng),
            rng,
            span: terms.span,
            gap_secs: READS_PER_VISITOR / terms.rate,
            next_visitor: Duration::ZERO,
            shift_every,
            next_shift: shift_every,
            waiting: BinaryHeap::new(),
        };
        traffic.next_visitor = traffic.gap();
        traffic
    }

    /// The time until the next visitor: exponential, since visitors know nothing of each other.
    fn gap(&mut self) -> Duration {
        Duration::from_secs_f64(-self.gap_secs * (1.0 - self.rng.f64()).ln())
    }

    /// Adds the reads of the next visitor.
    fn admit(&mut self) {
        let at = self.next_visitor;
        while at >= self.next_shift {
            self.products.shift(NEWCOMERS, &mut self.rng);
            self.next_shift += self.shift_every;
        }
        let product = self.products.draw(&mut self.rng);
        self.push(at, Ask::Product(product));
        if self.rng.f64() < SIGNED_IN {
            let customer = self.customers.draw(&mut self.rng);
            self.push(at, Ask::Customer(customer));
        }
        let to_stock = Duration::from_millis(self.rng.u64(20..60));
        self.push(at + to_stock, Ask::Stock(product));
        if self.rng.f64() < CURIOUS {
            let to_reviews = Duration::from_millis(self.rng.u64(150..400));
            self.push(at + to_reviews, Ask::Reviews(product));
        }
        self.next_visitor = at + self.gap();
    }

    fn push(&mut self, at: Duration, ask: Ask) {
        self.waiting.push(Reverse(Visit { at, ask }));
    }

    /// When the next read is due of those who have arrived, or else the end.
    fn first_waiting(&self) -> Duration {
        self.waiting.peek().map_or(self.span, |Reverse(visit)| visit.at.min(self.span))
    }
}

impl Iterator for Traffic {
    type Item = Visit;

    fn next(&mut self) -> Option<Visit> {
        while self.next_visitor < self.first_waiting() {
            self.admit();
        }
        self.waiting.pop().map(|Reverse(visit)| visit).filter(|visit| visit.at < self.span)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TERMS: TrafficTerms = TrafficTerms {
        products: 500,
        customers: 500,
        rate: 2_000.0,
        span: Duration::from_secs(30),
        seed: 7,
    };

    #[test]
    fn the_same_terms_give_the_same_reads_and_another_seed_others() {
        let reads = |seed| Traffic::new(&TrafficTerms { seed, ..TERMS }).collect::<Vec<_>>();
        assert_eq!(reads(1), reads(1));
        assert_ne!(reads(1), reads(2));
    }

    #[test]
    fn reads_come_in_order_within_the_span_at_the_rate() {
        let reads: Vec<_> = Traffic::new(&TERMS).collect();
        assert!(reads.is_sorted_by_key(|visit| visit.at));
        assert!(reads.iter().all(|visit| visit.at < TERMS.span));
        let rate = reads.len() as f64 / TERMS.span.as_secs_f64();
        assert!((rate / TERMS.rate - 1.0).abs() < 0.05, "{rate} reads per second");
    }

    #[test]
    fn a_visitor_looks_at_a_product_before_its_stock_and_its_reviews() {
        // So few that one has left before the next one comes.
        let terms = TrafficTerms { rate: 1.0, span: Duration::from_hours(1), ..TERMS };
        let mut last_viewed = HashMap::new();
        let mut counts = [0_u32; 4];
        for Visit { at, ask } in Traffic::new(&terms) {
            let (kind, product) = match ask {
                Ask::Product(product) => (0, product),
                Ask::Stock(product) => (1, product),
                Ask::Reviews(product) => (2, product),
                Ask::Customer(customer) => {
                    assert!((1..=terms.customers).contains(&customer));
                    counts[3] += 1;
                    continue;
                }
            };
            counts[kind] += 1;
            assert!((1..=terms.products).contains(&product));
            if kind == 0 {
                last_viewed.insert(product, at);
            }
            let viewed = *last_viewed.get(&product).expect("the product was looked at first");
            assert!(at - viewed < Duration::from_millis(400), "{ask:?} at {at:?}");
        }
        let [products, stocks, reviews, customers] = counts.map(f64::from);
        assert!(products > 900.0 && (stocks / products - 1.0).abs() < 0.01);
        assert!((reviews / products - CURIOUS).abs() < 0.05);
        assert!((customers / products - SIGNED_IN).abs() < 0.05);
    }

    #[test]
    fn the_favourite_changes_several_times() {
        let mut favourites = Vec::new();
        let reads: Vec<_> = Traffic::new(&TERMS).collect();
        for part in 0..=SHIFTS {
            let from = TERMS.span / (SHIFTS + 1) * part;
            let until = from + TERMS.span / (SHIFTS + 1);
            let mut views = HashMap::new();
            for visit in reads.iter().filter(|visit| (from..until).contains(&visit.at)) {
                if let Ask::Product(product) = visit.ask {
                    *views.entry(product).or_insert(0_u32) += 1;
                }
            }
            favourites.push(views.into_iter().max_by_key(|(_, views)| *views).unwrap().0);
        }
        favourites.dedup();
        assert_eq!(favourites.len(), 6, "{favourites:?}");
    }
}
