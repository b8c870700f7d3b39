//! What is no request at all.

use fastrand::Rng;
use tokio::task::JoinSet;

use super::{HEADER_TIMEOUT, assert_well, said, start, statuses};
use crate::served::make_shop;

/// What is changed here and there.
const REQUESTS: [&str; 6] = [
    "GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "GET /v1/user/7?alias=email HTTP/1.1\r\nhost: localhost\r\nif-none-match: \"a\", W/\"b\"\r\n\r\n",
    "POST /v1/user HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
     content-length: 12\r\n\r\n{\"ids\":[\"1\"]}",
    "POST /admin/resources/user/warm HTTP/1.1\r\nhost: localhost\r\n\
     content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\ne\r\n{\"keys\":[\"2\"]}\r\n0\r\n\r\n",
    "DELETE /v1/user?pattern=* HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "HEAD /admin/stats HTTP/1.1\r\nhost: localhost\r\ncache-control: max-age=1\r\n\r\n",
];

/// Bytes by chance, or a request in which some are others, are missing or are there twice.
fn noise(random: &mut Rng) -> Vec<u8> {
    if random.u8(0..4) == 0 {
        let length = random.usize(1..2_000);
        return (0..length).map(|_| random.u8(..)).collect();
    }
    let mut bytes = REQUESTS[random.usize(..REQUESTS.len())].as_bytes().to_vec();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(..bytes.len());
        match random.u8(0..4) {
            0 => bytes[at] = random.u8(..),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"\r\n\0 :,%/\"{}"[random.usize(..11)]),
            _ => {
                let end = random.usize(at..bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

#[tokio::test]
async fn a_thousand_times_noise_is_no_more_than_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), &format!("{HEADER_TIMEOUT}\nbody_timeout = \"300ms\""));
    let mut random = Rng::with_seed(0x_F0_4E_3A_43);
    for _ in 0..10 {
        let mut asking = JoinSet::new();
        for _ in 0..100 {
            let (address, sent) = (served.address().to_owned(), noise(&mut random));
            asking.spawn(async move {
                let answers = said(&address, &sent).await;
                let shown = sent.escape_ascii();
                assert!(
                    statuses(&answers).iter().all(|status| *status < 500),
                    "{shown}: {answers}"
                );
            });
        }
        while let Some(ended) = asking.join_next().await {
            ended.unwrap();
        }
    }
    assert_well(&served).await;
}
