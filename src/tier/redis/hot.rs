//! What engines tell each other of the keys that are read most.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::link::Link;
use super::reply;
use super::script::{Call, HOT};
use super::value::millis;
use crate::tier::{HotSum, Node};

/// How many keys are given at least, if there are so many.
const SUMS: usize = 1_000;

/// Notes what one engine reads most, and sums what the others have noted.
pub(super) async fn merge_hot(
    link: &Arc<Link>,
    by: Node,
    resource: &str,
    hot: &[(&str, f64)],
    keep_for: Duration,
) -> Result<Vec<HotSum>, Fault> {
    let mut call = Call::new(&HOT);
    call.key(link.names.meta());
    call.key(link.names.hot(resource));
    call.arg(by.0.to_be_bytes().to_vec());
    call.number(millis(keep_for));
    // It cannot fail: these are texts and numbers.
    call.arg(postcard::to_stdvec(hot).unwrap_or_default());
    let mut sums: HashMap<String, f64> = HashMap::new();
    for noted in reply::list(link.ask(&call).await?)? {
        // What another version has written in another way is passed over.
        let noted = postcard::from_bytes::<Vec<(String, f64)>>(&reply::bytes(noted)?);
        for (key, score) in noted.unwrap_or_default() {
            *sums.entry(key).or_default() += score;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().map(|(key, score)| HotSum { key, score }).collect();
    sums.sort_by(|one, two| two.score.total_cmp(&one.score).then_with(|| one.key.cmp(&two.key)));
    sums.truncate(hot.len().max(SUMS));
    Ok(sums)
}
