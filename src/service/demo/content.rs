//! What stands in the tables of the shop: plausible rows, the same for the same seed.

use fastrand::Rng;

/// Makes rows up, as tuples in the order of their columns.
#[derive(Debug)]
pub(super) struct Content {
    rng: Rng,
    size: Size,
}

/// How many rows there are of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) products: u32,
    pub(super) customers: u32,
    pub(super) reviews: u32,
    pub(super) orders: u32,
}

/// Id, category, name, description, price in cents.
pub(super) type ProductRow = (u32, usize, String, String, u32);
/// Product, units, shelf.
pub(super) type StockRow = (u32, u32, String);
/// Id, name, city, when they joined.
pub(super) type CustomerRow = (u32, String, &'static str, i64);
/// Id, product, customer, stars, text, when it was written.
pub(super) type ReviewRow = (u32, u32, u32, u32, String, i64);
/// Id, customer, when it was placed.
pub(super) type OrderRow = (u32, u32, i64);
/// Order, product, units, price of one in cents.
pub(super) type LineRow = (u32, u32, u32, u32);

pub(super) const CATEGORIES: [&str; 8] =
    ["Kitchen", "Garden", "Books", "Games", "Lamps", "Bags", "Tools", "Bicycles"];

const THINGS: [[&str; 4]; 8] = [
    ["kettle", "saucepan", "bread knife", "teapot"],
    ["watering can", "rake", "bird house", "bench"],
    ["cook book", "atlas", "novel", "field guide"],
    ["chess set", "puzzle", "card game", "dice tower"],
    ["desk lamp", "lantern", "floor lamp", "night light"],
    ["backpack", "tote bag", "briefcase", "wash bag"],
    ["hand drill", "spirit level", "wrench", "tape measure"],
    ["saddle", "bell", "bicycle pump", "basket"],
];
const LOOKS: [&str; 10] =
    ["Small", "Large", "Folding", "Plain", "Bright", "Sturdy", "Light", "Quiet", "Round", "Blue"];
const MATTERS: [&str; 8] = ["oak", "steel", "copper", "linen", "paper", "cork", "wool", "glass"];
const FIRST_NAMES: [&str; 12] =
    ["Ada", "Ben", "Chidi", "Dana", "Emil", "Fatma", "Goran", "Hana", "Ivo", "Jun", "Kira", "Liam"];
const LAST_NAMES: [&str; 12] = [
    "Adler", "Brook", "Castro", "Diaz", "Evans", "Fuchs", "Garcia", "Horvat", "Ito", "Jansen",
    "Kaya", "Lopez",
];
const CITIES: [&str; 8] = ["Berlin", "Lisbon", "Oslo", "Kyoto", "Quito", "Accra", "Pune", "Turin"];
const OPINIONS: [[&str; 3]; 5] = [
    ["Broke on the first day.", "Not what is in the picture.", "Sent it back."],
    ["Smaller than I thought.", "Took three weeks to arrive.", "Feels cheap."],
    ["Does what it should.", "Fine for the price.", "Neither good nor bad."],
    ["Good work, small scratch.", "Would buy it again.", "Better than the old one."],
    ["Use it every day.", "The best I have had.", "A present that was liked."],
];

/// A day in the year in which the shop opened.
const OPENED: i64 = 1_700_000_000;
const YEAR_SECS: i64 = 365 * 86_400;

impl Content {
    pub(super) fn new(size: Size, seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), size }
    }

    pub(super) fn product(&mut self, id: u32) -> ProductRow {
        let category = self.rng.usize(..CATEGORIES.len());
        let things = THINGS.get(category).map_or(&[][..], |things| things);
        let (look, matter) = (self.pick(&LOOKS), self.pick(&MATTERS));
        let thing = self.pick(things);
        let name = format!("{look} {matter} {thing} no. {id}");
        let description = format!(
            "A {} {thing} made of {matter}, from the workshops of {}. Guaranteed for {} years.",
            look.to_lowercase(),
            self.pick(&CITIES),
            self.rng.u32(1..=10),
        );
        (id, category + 1, name, description, self.price())
    }

    pub(super) fn stock(&mut self, product: u32) -> StockRow {
        let shelf = format!("{}-{:03}", self.rng.char('A'..='F'), self.rng.u32(1..=250));
        (product, self.rng.u32(..400), shelf)
    }

    pub(super) fn customer(&mut self, id: u32) -> CustomerRow {
        let name = format!("{} {}", self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES));
        (id, name, self.pick(&CITIES), self.moment())
    }

    pub(super) fn review(&mut self, id: u32) -> ReviewRow {
        // People write about what they love, and a few about what they do not.
        let stars = [5, 5, 5, 4, 4, 4, 3, 3, 2, 1];
        let stars = self.rng.choice(stars).unwrap_or(3);
        let opinions = OPINIONS.get(stars as usize - 1).map_or(&[][..], |opinions| opinions);
        let text = format!("{} {}", self.pick(opinions), self.pick(opinions));
        let (product, customer) = (self.product_id(), self.customer_id());
        (id, product, customer, stars, text, self.moment())
    }

    pub(super) fn order(&mut self, id: u32) -> OrderRow {
        (id, self.customer_id(), self.moment())
    }

    /// One to four lines of an order.
    pub(super) fn lines(&mut self, order: u32) -> Vec<LineRow> {
        let count = self.rng.usize(1..=4);
        let line = |_| (order, self.product_id(), self.rng.u32(1..=3), self.price());
        (0..count).map(line).collect()
    }

    fn product_id(&mut self) -> u32 {
        self.rng.u32(1..=self.size.products)
    }

    fn customer_id(&mut self) -> u32 {
        self.rng.u32(1..=self.size.customers)
    }

    /// A price that ends in 99 or 49 cents.
    fn price(&mut self) -> u32 {
        self.rng.u32(2..=120) * 100 + if self.rng.bool() { 99 } else { 49 }
    }

    fn moment(&mut self) -> i64 {
        OPENED + self.rng.i64(..2 * YEAR_SECS)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        self.rng.choice(words).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { products: 40, customers: 30, reviews: 200, orders: 50 };

    #[test]
    fn a_seed_gives_the_same_rows_again() {
        let rows = |seed| {
            let mut content = Content::new(SIZE, seed);
            let products: Vec<_> = (1..=SIZE.products).map(|id| content.product(id)).collect();
            let reviews: Vec<_> = (1..=SIZE.reviews).map(|id| content.review(id)).collect();
            (products, reviews, content.lines(1))
        };
        assert_eq!(rows(1), rows(1));
        assert_ne!(rows(1), rows(2));
    }

    #[test]
    fn rows_refer_to_rows_that_exist() {
        let mut content = Content::new(SIZE, 7);
        for id in 1..=SIZE.reviews {
            let (_, product, customer, stars, text, _) = content.review(id);
            assert!((1..=SIZE.products).contains(&product));
            assert!((1..=SIZE.customers).contains(&customer));
            assert!((1..=5).contains(&stars) && text.len() > 10, "{stars} {text}");
        }
        for id in 1..=SIZE.orders {
            let (_, customer, _) = content.order(id);
            assert!((1..=SIZE.customers).contains(&customer));
            let lines = content.lines(id);
            assert!((1..=4).contains(&lines.len()));
            assert!(lines.iter().all(|line| (1..=SIZE.products).contains(&line.1)));
        }
        let (_, category, ..) = content.product(1);
        assert!((1..=CATEGORIES.len()).contains(&category));
    }
}
