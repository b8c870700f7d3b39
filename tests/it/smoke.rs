use forewarm::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn reads_load_once() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let loads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&loads);
    let users = forewarm
        .resource::<u64, String>("user")
        .ttl(Duration::from_secs(60))
        .load_with(move |id| {
            let c = Arc::clone(&counted);
            async move {
                c.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(format!("u{id}"))
            }
        })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    let all = futures_util::future::join_all((0..10_000).map(|_| users.get(&7))).await;
    assert!(all.iter().all(|v| v.as_ref().unwrap().as_deref().unwrap() == "u7"));
    assert_eq!(loads.load(SeqCst), 1);
    let s = users.stats();
    println!("{s:?}");
    println!("{:?}", users.explain(&7));
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        users.get(&7).await.unwrap();
    }
    println!("{:?}", users.stats());
    println!("{:?} {:?}", users.explain(&7), users.hot_keys(3));
    let many = users.get_many(&[1, 2, 3, 7]).await;
    assert_eq!(many.len(), 4);
    let _ = users.invalidate(&7).await;
    assert!(users.peek(&7).is_none());
    forewarm.shutdown(Duration::from_secs(1)).await;
}
